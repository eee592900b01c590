#include "failure.h"

namespace fanwire::python {

namespace {

// Belongs to the module, which is never unloaded.
PyObject* error_factory = nullptr;

void raise(const Failure& failure) {
    PyObject* text =
        PyUnicode_DecodeUTF8(failure.text.data(), static_cast<Py_ssize_t>(failure.text.size()), "replace");
    if (text == nullptr) return;
    PyObject* error = nullptr;
    if (error_factory != nullptr) error = PyObject_CallFunction(error_factory, "iO", failure.status, text);
    Py_DECREF(text);
    if (error == nullptr) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, failure.text.c_str());
        return;
    }
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
    Py_DECREF(error);
}

}  // namespace

void set_error_factory(py::object make_error) {
    PyObject* former = error_factory;
    error_factory = make_error.release().ptr();
    Py_XDECREF(former);
}

void register_failure_translator() {
    py::register_local_exception_translator([](std::exception_ptr thrown) {
        try {
            if (thrown) std::rethrow_exception(thrown);
        } catch (const Failure& failure) {
            raise(failure);
        }
    });
}

}  // namespace fanwire::python
