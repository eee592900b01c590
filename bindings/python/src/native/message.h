// fanwire.Message: a Python type over fanwire_message that copies nothing until it is asked.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

namespace fanwire::python {

// Adds the type to the module.
void define_message(pybind11::module_& module);

// A new Message that takes over one reference to `message`; nullptr with a Python error set when out of memory, the
// reference then still the caller's.
PyObject* make_message(fanwire_message* message);

}  // namespace fanwire::python
