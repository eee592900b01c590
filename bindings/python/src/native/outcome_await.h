// An Outcome as an awaitable and as its iterator; it has no state of its own as the latter, so it is both.
#pragma once

#include "outcome.h"

namespace fanwire::python::outcome_methods {

PyObject* get_self(PyObject* self);
PyObject* next(PyObject* self);
PySendResult send_any(PyObject* self, PyObject*, PyObject** result);
PyObject* send(PyObject* self, PyObject*);
PyObject* throw_into(PyObject*, PyObject* arguments);
PyObject* close(PyObject*, PyObject*);

}  // namespace fanwire::python::outcome_methods
