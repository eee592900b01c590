#include "failure.h"

#include <cstring>

namespace fanwire::python {

namespace {

// By status. Belongs to the module, which is never unloaded.
PyObject* error_classes = nullptr;

}  // namespace

// Runs no Python code: within a catch block a thread must not lose the GIL to an interpreter that is ending.
void set_error(const Failure& failure) {
    const char* text = failure.text.empty() ? fanwire_status_text(failure.status) : failure.text.c_str();
    // The engine's text names what of C it is.
    if (failure.status == FANWIRE_FORKED) text = "opened before a fork: open another one in this process";
    PyObject* status = PyLong_FromLong(failure.status);
    if (status == nullptr) return;
    PyObject* error_class = error_classes == nullptr ? nullptr : PyDict_GetItemWithError(error_classes, status);
    Py_DECREF(status);
    if (error_class == nullptr) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, text);
        return;
    }
    PyObject* message = PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(std::strlen(text)), "replace");
    if (message == nullptr) return;
    PyErr_SetObject(error_class, message);
    Py_DECREF(message);
}

void set_error_classes(py::dict classes) {
    PyObject* former = error_classes;
    error_classes = classes.release().ptr();
    Py_XDECREF(former);
}

void register_failure_translator() {
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Failure& failure) {
            set_error(failure);
        }
    });
}

}  // namespace fanwire::python
