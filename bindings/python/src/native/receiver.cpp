#include "receiver.h"

#include <structmember.h>

#include <atomic>
#include <cstddef>

#include "section.h"

namespace fanwire::python {

namespace {

PyTypeObject* receiver_type = nullptr;  // the module's, never freed

Receiver* cast(PyObject* self) {
    return reinterpret_cast<Receiver*>(self);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cast(self)->handler);
    return 0;
}

int clear(PyObject* self) {
    Py_CLEAR(cast(self)->handler);
    return 0;
}

void deallocate(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    Py_CLEAR(cast(self)->channel);
    Py_CLEAR(cast(self)->pattern);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef members[] = {
    {"_handler", T_OBJECT, offsetof(Receiver, handler), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// Not a member: without a GIL those of type bool are read and written as if nobody else did (CPython 3.13).
PyObject* get_stopped(PyObject* self, void*) {
    return PyBool_FromLong(std::atomic_ref(cast(self)->stopped).load(std::memory_order_relaxed));
}

int set_stopped(PyObject* self, PyObject* value, void*) {
    if (value != Py_True && value != Py_False) {
        PyErr_SetString(PyExc_TypeError, "_stopped is True or False");
        return -1;
    }
    std::atomic_ref(cast(self)->stopped).store(value == Py_True, std::memory_order_relaxed);
    return 0;
}

PyGetSetDef getters[] = {
    {"_stopped", get_stopped, set_stopped, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_members, members},
    {Py_tp_getset, getters},
    {0, nullptr},
};

PyType_Spec spec = {"fanwire._native.Receiver", sizeof(Receiver), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

PyObject* handler_of(Receiver* receiver) {
    Section section(reinterpret_cast<PyObject*>(receiver));
    if (receiver->handler == nullptr || std::atomic_ref(receiver->stopped).load(std::memory_order_relaxed))
        return nullptr;
    Py_INCREF(receiver->handler);
    return receiver->handler;
}

void set_names(pybind11::handle receiver, pybind11::object channel, pybind11::object pattern) {
    if (!PyObject_TypeCheck(receiver.ptr(), receiver_type)) throw pybind11::type_error("it is no Receiver");
    Py_XSETREF(cast(receiver.ptr())->channel, channel.release().ptr());
    Py_XSETREF(cast(receiver.ptr())->pattern, pattern.release().ptr());
}

void define_receiver(pybind11::module_& module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw pybind11::error_already_set();
    receiver_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Receiver") = pybind11::handle(type);
}

}  // namespace fanwire::python
