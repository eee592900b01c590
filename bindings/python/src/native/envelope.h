// Envelopes.
#pragma once

#include <pybind11/pybind11.h>

namespace fanwire::python {

void define_envelope(pybind11::module_& module);

}  // namespace fanwire::python
