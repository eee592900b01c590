// How an Outcome ends: with a number of receivers, with an error or cancelled; and what it then says.
#pragma once

#include <cstdint>

#include "outcome.h"

namespace fanwire::python {

// Sets the result, a new reference that it takes over, unless it is done already. 1 when call_back() is to be called, 0
// when nobody waits, -1 with a Python error set, which it is when there is no result.
int settle(Outcome* outcome, PyObject* result);

// Makes the pending Python error, an Exception, its outcome. False with the error still set when it is none.
bool settle_with_pending_error(Outcome* outcome);

// asyncio.CancelledError; borrowed.
PyObject* cancelled_error_class();

namespace outcome_methods {

PyObject* get_result(PyObject* self, PyObject*);
PyObject* get_exception(PyObject* self, PyObject*);
PyObject* is_done(PyObject* self, PyObject*);
PyObject* is_cancelled(PyObject* self, PyObject*);
PyObject* cancel(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords);
PyObject* set_exception(PyObject* self, PyObject* error);
PyObject* make_cancelled_error(PyObject* self, PyObject*);

}  // namespace outcome_methods

void define_outcome_result();

}  // namespace fanwire::python
