// Descriptors 0 to 2 as a program may rely on them.
#pragma once

namespace fanwire::cli {

// Fills closed standard descriptors, so that no socket becomes "stdout" by accident. Reading from stdin and
// writing to the others still fail: what is opened for them can do only the opposite.
void fill_standard_descriptors();

}  // namespace fanwire::cli
