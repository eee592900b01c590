// Failures of the C API as C++ exceptions, which the module's translator turns into the Python classes.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

#include <new>
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

// Makes a Failure the pending Python error: for functions that Python calls directly.
void set_error(const Failure& failure);

// Calls `function`, which gives a new reference, and turns what it throws into the pending Python error.
template <typename Function>
PyObject* guarded(Function function) noexcept {
    try {
        return function();
    } catch (const Failure& failure) {
        set_error(failure);
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    }
    return nullptr;
}

// From now on a Failure raises the class that stands under its status.
void set_error_classes(py::dict classes);
void register_failure_translator();

}  // namespace fanwire::python
