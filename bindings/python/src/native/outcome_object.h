// What an Outcome is made of, for the files that are its methods: outcome.cpp (its life and type), outcome_result.cpp
// (how it ends), outcome_callbacks.cpp (who is told) and outcome_await.cpp (await). All of it needs the GIL, or the
// Section of the object.
#pragma once

#include "outcome.h"

namespace fanwire::python {

struct Outcome {
    PyObject_HEAD Target target;
    PyObject* loop;
    PyObject* result;          // the number of receivers, or the exception
    PyObject* callback;        // the first one; nullptr: none
    PyObject* context;         // which it is called in
    PyObject* more_callbacks;  // a list of (callback, context); nullptr: none
    PyObject* cancel_message;  // as given to cancel(); nullptr: none
    PyObject* weak_references;
    enum class State : char { pending, settled, failed, cancelled } state;
    bool blocking;     // asyncio's mark that a task is being suspended
    bool unretrieved;  // failed, and nobody has looked at it
};

inline Outcome* cast_outcome(PyObject* self) {
    return reinterpret_cast<Outcome*>(self);
}

inline bool done(const Outcome* outcome) {
    return outcome->state != Outcome::State::pending;
}

inline bool has_callbacks(const Outcome* outcome) {
    return outcome->callback != nullptr || outcome->more_callbacks != nullptr;
}

inline PyObject* new_reference(PyObject* object) {
    Py_INCREF(object);
    return object;
}

}  // namespace fanwire::python
