// fanwire._native.Publisher: publishing without the cost of a pybind11 call.
#pragma once

#include <pybind11/pybind11.h>

namespace fanwire::python {

// Adds the type, and make_publisher(engine, encode, inbox=None, loop=None), to the module.
void define_publisher(pybind11::module_& module);

}  // namespace fanwire::python
