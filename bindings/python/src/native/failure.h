// Failures of the C API as C++ exceptions, which the module's translator turns into the Python classes.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

#include <string>

namespace fanwire::python {

namespace py = pybind11;

struct Failure {
    int status;
    std::string text;
};

// Throws the Failure of a status that is not OK, with the detail of this thread's last error.
inline void check(int status) {
    if (status != FANWIRE_OK) throw Failure{status, fanwire_last_error()};
}

// From now on a Failure raises the class that stands under its status.
void set_error_classes(py::dict classes);
void register_failure_translator();

}  // namespace fanwire::python
