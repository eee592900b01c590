// Nothing: a precompiled header has to belong to something that is compiled.
