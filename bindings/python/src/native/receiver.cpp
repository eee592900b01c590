#include "receiver.h"

#include <structmember.h>

#include <cstddef>

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
    {"_stopped", T_BOOL, offsetof(Receiver, stopped), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_members, members},
    {0, nullptr},
};

PyType_Spec spec = {"fanwire._native.Receiver", sizeof(Receiver), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

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
