// fanwire._native.Publisher: publishing without the cost of a pybind11 call.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

namespace fanwire::python {

// Adds the type, and make_publisher(engine, encode, inbox=None, loop=None), to the module.
void define_publisher(pybind11::module_& module);

// Answers a request with a value, through a Publisher (None: there is none). False with a Python error set.
bool send_reply(PyObject* publisher, const fanwire_message* request, PyObject* value);

// What parses JSON for the messages of a Publisher (None: there is none), borrowed; nullptr: Python's own.
PyObject* loads_of(PyObject* publisher);

}  // namespace fanwire::python
