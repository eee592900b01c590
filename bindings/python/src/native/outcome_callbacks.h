// Who is told that an Outcome is done: its callbacks, called by the event loop or in a turn of it.
#pragma once

#include "outcome.h"

namespace fanwire::python {

// Calls the callbacks of a settled one, as an event loop would: nothing else may be running. False with a Python error
// set when one raised KeyboardInterrupt or SystemExit; the others are then scheduled.
bool call_back(Outcome* outcome);

// Has the event loop call them. False with a Python error set.
bool schedule_callbacks(Outcome* outcome);

// Tells the event loop's exception handler of the pending error. False with an error set when that fails.
bool report(Outcome* outcome, const char* text);

namespace outcome_methods {

PyObject* add_done_callback(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords);
PyObject* remove_done_callback(PyObject* self, PyObject* callback);

}  // namespace outcome_methods

void define_outcome_callbacks();

}  // namespace fanwire::python
