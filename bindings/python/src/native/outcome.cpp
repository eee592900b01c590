// An Outcome's life, from make_outcome() to the garbage collector, and its type.
#include "outcome.h"

#include <structmember.h>

#include <cstddef>

#include "outcome_await.h"
#include "outcome_callbacks.h"
#include "outcome_object.h"
#include "outcome_result.h"
#include "section.h"

namespace fanwire::python {

namespace {

using namespace outcome_methods;
using State = Outcome::State;

PyTypeObject* outcome_type = nullptr;  // the module's, never freed

// Freed objects, to be used again.
constexpr std::size_t max_free = 512;
Outcome* free_objects[max_free];
std::size_t free_count = 0;

int traverse(PyObject* self, visitproc visit, void* arg) {
    Outcome* outcome = cast_outcome(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(outcome->loop);
    Py_VISIT(outcome->result);
    Py_VISIT(outcome->callback);
    Py_VISIT(outcome->context);
    Py_VISIT(outcome->more_callbacks);
    Py_VISIT(outcome->cancel_message);
    return 0;
}

int clear(PyObject* self) {
    Outcome* outcome = cast_outcome(self);
    if (outcome->state == State::pending) outcome->state = State::cancelled;  // it has nobody to tell any more
    outcome->unretrieved = false;
    Py_CLEAR(outcome->callback);
    Py_CLEAR(outcome->context);
    Py_CLEAR(outcome->more_callbacks);
    Py_CLEAR(outcome->cancel_message);
    return 0;
}

// Nobody has looked at the failure.
void finalize(PyObject* self) {
    Outcome* outcome = cast_outcome(self);
    if (!outcome->unretrieved) return;
    outcome->unretrieved = false;
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome->result)), outcome->result);
    if (!report(outcome, "a publish failed, and its outcome was never looked at")) PyErr_WriteUnraisable(self);
    PyErr_Restore(type, value, traceback);
}

void deallocate(PyObject* self) {
    Outcome* outcome = cast_outcome(self);
    PyTypeObject* type = Py_TYPE(self);
    if (outcome->unretrieved && PyObject_CallFinalizerFromDealloc(self) < 0) return;
    const bool finalized = PyObject_GC_IsFinalized(self) != 0;
    PyObject_GC_UnTrack(self);
    if (outcome->weak_references != nullptr) PyObject_ClearWeakRefs(self);
    clear(self);
    Py_CLEAR(outcome->result);
    Py_CLEAR(outcome->loop);
    if (reuse_objects && !finalized && free_count < max_free)
        free_objects[free_count++] = outcome;
    else
        PyObject_GC_Del(self);
    Py_DECREF(type);
}

PyObject* to_repr(PyObject* self) {
    static const char* const states[] = {"pending", "settled", "failed", "cancelled"};
    const Outcome* outcome = cast_outcome(self);
    Section section(self);
    const char* state = states[static_cast<int>(outcome->state)];
    if (outcome->result == nullptr) return PyUnicode_FromFormat("<fanwire.Outcome, %s>", state);
    return PyUnicode_FromFormat("<fanwire.Outcome, %s: %R>", state, outcome->result);
}

PyObject* get_loop(PyObject* self, PyObject*) {
    return new_reference(cast_outcome(self)->loop);
}

template <typename Function>
PyCFunction as_function(Function function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef methods[] = {
    {"result", get_result, METH_NOARGS, "The number of receivers, or raises why it failed."},
    {"exception", get_exception, METH_NOARGS, "Why it failed; None when it did not."},
    {"done", is_done, METH_NOARGS, nullptr},
    {"cancelled", is_cancelled, METH_NOARGS, nullptr},
    {"cancel", as_function(cancel), METH_FASTCALL | METH_KEYWORDS, "Gives up the outcome, not the publish."},
    {"add_done_callback", as_function(add_done_callback), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"remove_done_callback", remove_done_callback, METH_O, nullptr},
    {"get_loop", get_loop, METH_NOARGS, nullptr},
    {"set_exception", set_exception, METH_O, nullptr},
    {"_make_cancelled_error", make_cancelled_error, METH_NOARGS, nullptr},
    {"send", send, METH_O, nullptr},
    {"throw", throw_into, METH_VARARGS, nullptr},
    {"close", close, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(Outcome, blocking), 0, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Outcome, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_finalize, reinterpret_cast<void*>(finalize)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_repr, reinterpret_cast<void*>(to_repr)},
    {Py_tp_iter, reinterpret_cast<void*>(get_self)},
    {Py_tp_iternext, reinterpret_cast<void*>(next)},
    {Py_am_await, reinterpret_cast<void*>(get_self)},
    {Py_am_send, reinterpret_cast<void*>(send_any)},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char*>("The outcome of a publish: await it for the number of receivers.")},
    {0, nullptr},
};

PyType_Spec spec = {"fanwire._native.Outcome", sizeof(Outcome), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Outcome* make_outcome(PyObject* loop) {
    Outcome* outcome = nullptr;
    if (reuse_objects && free_count > 0)
        outcome = cast_outcome(PyObject_Init(to_object(free_objects[--free_count]), outcome_type));
    else
        outcome = PyObject_GC_New(Outcome, outcome_type);
    if (outcome == nullptr) return nullptr;
    outcome->target = Target{};
    outcome->loop = new_reference(loop);
    outcome->result = nullptr;
    outcome->callback = nullptr;
    outcome->context = nullptr;
    outcome->more_callbacks = nullptr;
    outcome->cancel_message = nullptr;
    outcome->weak_references = nullptr;
    outcome->state = State::pending;
    outcome->blocking = false;
    outcome->unretrieved = false;
    PyObject_GC_Track(to_object(outcome));
    return outcome;
}

Target* target_of(Outcome* outcome) {
    return &outcome->target;
}

Outcome* to_outcome(PyObject* object) {
    return Py_TYPE(object) == outcome_type ? cast_outcome(object) : nullptr;
}

void define_outcome(pybind11::module_& module) {
    define_outcome_callbacks();
    define_outcome_result();
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw pybind11::error_already_set();
    outcome_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Outcome") = pybind11::handle(type);
}

}  // namespace fanwire::python
