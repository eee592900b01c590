#include "decoder.h"

#include "message.h"

// Nothing here that calls Python code keeps what has a destructor: see inbox.cpp.
namespace fanwire::python {

bool Decoder::decode(PyObject* message, PyObject** failure) {
    *failure = nullptr;
    if (last_ != nullptr && message_of(last_) == message_of(message)) {
        Py_XINCREF(last_failure_);
        *failure = last_failure_;
        if (last_failure_ == nullptr) set_value(message, value_of(last_));
        return true;
    }
    forget();
    PyObject* payload = payload_of(message);
    if (payload == nullptr) return false;
    PyObject* decode = decode_;
    Py_INCREF(decode);
    PyObject* value = PyObject_CallOneArg(decode, payload);
    Py_DECREF(decode);
    Py_DECREF(payload);
    if (value != nullptr) {
        set_value(message, value);
    } else {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) return false;
        PyObject *type = nullptr, *traceback = nullptr;
        PyErr_Fetch(&type, failure, &traceback);
        PyErr_NormalizeException(&type, failure, &traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
    }
    forget();  // what decoding has called may have come here again
    Py_INCREF(message);
    last_ = message;
    Py_XINCREF(*failure);
    last_failure_ = *failure;
    return true;
}

void Decoder::forget() {
    Py_CLEAR(last_);
    Py_CLEAR(last_failure_);
}

int Decoder::traverse(visitproc visit, void* arg) const {
    Py_VISIT(decode_);
    Py_VISIT(last_failure_);
    return 0;
}

void Decoder::release_objects() {
    forget();
    Py_CLEAR(decode_);
}

}  // namespace fanwire::python
