#include "outcome_await.h"

#include "outcome_object.h"
#include "outcome_result.h"
#include "section.h"

namespace fanwire::python::outcome_methods {

PyObject* get_self(PyObject* self) {
    return new_reference(self);
}

PySendResult send_any(PyObject* self, PyObject*, PyObject** result) {
    Outcome* outcome = cast_outcome(self);
    bool is_done = false;
    {
        Section section(self);
        is_done = done(outcome);
    }
    if (is_done) {
        *result = get_result(self, nullptr);
        return *result == nullptr ? PYGEN_ERROR : PYGEN_RETURN;
    }
    outcome->blocking = true;
    *result = new_reference(self);
    return PYGEN_NEXT;
}

PyObject* next(PyObject* self) {
    PyObject* result = nullptr;
    if (send_any(self, nullptr, &result) == PYGEN_NEXT) return result;
    if (result == nullptr) return nullptr;
    PyErr_SetObject(PyExc_StopIteration, result);
    Py_DECREF(result);
    return nullptr;
}

PyObject* send(PyObject* self, PyObject*) {
    return next(self);
}

// throw(exception), or throw(type, value=None, traceback=None)
PyObject* throw_into(PyObject*, PyObject* arguments) {
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    if (!PyArg_UnpackTuple(arguments, "throw", 1, 3, &type, &value, &traceback)) return nullptr;
    if (value == Py_None) value = nullptr;
    if (traceback == Py_None) traceback = nullptr;
    if (PyExceptionInstance_Check(type)) {
        value = type;
        type = reinterpret_cast<PyObject*>(Py_TYPE(type));
        Py_INCREF(type);
        Py_INCREF(value);
        PyErr_Restore(type, value, traceback == nullptr ? PyException_GetTraceback(value) : new_reference(traceback));
    } else if (PyExceptionClass_Check(type) && (traceback == nullptr || PyTraceBack_Check(traceback))) {
        Py_INCREF(type);
        Py_XINCREF(value);
        Py_XINCREF(traceback);
        PyErr_Restore(type, value, traceback);
    } else {
        PyErr_SetString(PyExc_TypeError, "exceptions must be classes or instances deriving from BaseException");
    }
    return nullptr;
}

PyObject* close(PyObject*, PyObject*) {
    Py_RETURN_NONE;
}

}  // namespace fanwire::python::outcome_methods
