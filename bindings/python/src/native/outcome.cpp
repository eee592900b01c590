#include "outcome.h"

#include <structmember.h>

#include <cstddef>
#include <utility>

// Functions here that call Python code keep nothing that has a destructor: see inbox.cpp.
namespace fanwire::python {

struct Outcome {
    PyObject_HEAD Target target;
    PyObject* loop;
    PyObject* result;            // the number of receivers, or the exception
    PyObject* callback;          // the first one; nullptr: none
    PyObject* context;           // which it is called in
    PyObject* more_callbacks;    // a list of (callback, context); nullptr: none
    PyObject* cancel_message;    // as given to cancel(); nullptr: none
    PyObject* weak_references;
    enum class State : char { pending, settled, failed, cancelled } state;
    bool blocking;     // asyncio's mark that a task is being suspended
    bool unretrieved;  // failed, and nobody has looked at it
};

namespace {

using State = Outcome::State;

// The module's, never freed.
PyTypeObject* outcome_type = nullptr;
PyObject* cancelled_error = nullptr;
PyObject* invalid_state_error = nullptr;
struct Names {
    PyObject* call_soon;
    PyObject* call_exception_handler;
    PyObject* context;
    PyObject* context_keyword;  // ("context",)
} names;

// Freed objects, to be made anew.
constexpr std::size_t max_free = 512;
Outcome* free_objects[max_free];
std::size_t free_count = 0;

Outcome* cast(PyObject* self) {
    return reinterpret_cast<Outcome*>(self);
}

bool done(const Outcome* outcome) {
    return outcome->state != State::pending;
}

PyObject* new_reference(PyObject* object) {
    Py_INCREF(object);
    return object;
}

bool call_soon(Outcome* outcome, PyObject* callback, PyObject* context) {
    PyObject* arguments[] = {outcome->loop, callback, to_object(outcome), context};
    PyObject* handle = PyObject_VectorcallMethod(names.call_soon, arguments, 3, names.context_keyword);
    Py_XDECREF(handle);
    return handle != nullptr;
}

// Tells the event loop's exception handler of the pending error. False with an error set when that fails.
bool report(Outcome* outcome, const char* text) {
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != nullptr) PyException_SetTraceback(value, traceback);
    PyObject* context = Py_BuildValue("{sssOsO}", "message", text, "exception", value, "future", to_object(outcome));
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    if (context == nullptr) return false;
    PyObject* result = PyObject_CallMethodOneArg(outcome->loop, names.call_exception_handler, context);
    Py_DECREF(context);
    Py_XDECREF(result);
    return result != nullptr;
}

// Calls one callback. False with the error set when it must reach the event loop.
bool run(Outcome* outcome, PyObject* callback, PyObject* context) {
    if (PyContext_Enter(context) != 0) {  // it is entered already
        PyErr_Clear();
        return call_soon(outcome, callback, context);
    }
    PyObject* result = PyObject_CallOneArg(callback, to_object(outcome));
    if (result == nullptr) {
        PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
        PyErr_Fetch(&type, &value, &traceback);
        PyContext_Exit(context);
        PyErr_Restore(type, value, traceback);
        if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit)) return false;
        return report(outcome, "Exception in a callback of a publish's outcome");
    }
    Py_DECREF(result);
    return PyContext_Exit(context) == 0;
}

// What an outcome had, each a reference of its own or nullptr.
struct Callbacks {
    PyObject* first;
    PyObject* context;
    PyObject* more;
};

Callbacks take_callbacks(Outcome* outcome) {
    return {std::exchange(outcome->callback, nullptr), std::exchange(outcome->context, nullptr),
            std::exchange(outcome->more_callbacks, nullptr)};
}

void release(const Callbacks& callbacks) {
    Py_XDECREF(callbacks.first);
    Py_XDECREF(callbacks.context);
    Py_XDECREF(callbacks.more);
}

// Calls `call` with each of the callbacks from number `next` on, which it counts up, until one gives false.
template <typename Call>
bool for_each(Outcome* outcome, const Callbacks& callbacks, Py_ssize_t& next, Call call) {
    if (next == 0) {
        ++next;
        if (callbacks.first != nullptr && !call(outcome, callbacks.first, callbacks.context)) return false;
    }
    while (callbacks.more != nullptr && next <= PyList_GET_SIZE(callbacks.more)) {
        PyObject* pair = PyList_GET_ITEM(callbacks.more, next++ - 1);
        if (!call(outcome, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1))) return false;
    }
    return true;
}

// Has the event loop call the callbacks.
bool schedule_callbacks(Outcome* outcome) {
    const Callbacks callbacks = take_callbacks(outcome);
    Py_ssize_t next = 0;
    const bool scheduled = for_each(outcome, callbacks, next, call_soon);
    release(callbacks);
    return scheduled;
}

bool has_callbacks(const Outcome* outcome) {
    return outcome->callback != nullptr || outcome->more_callbacks != nullptr;
}

// Steals the reference to `error`.
void fail(Outcome* outcome, PyObject* error) {
    outcome->result = error;
    outcome->state = State::failed;
    outcome->unretrieved = true;
}

PyObject* make_cancelled_error(PyObject* self, PyObject*) {
    PyObject* message = cast(self)->cancel_message;
    return message == nullptr ? PyObject_CallNoArgs(cancelled_error) : PyObject_CallOneArg(cancelled_error, message);
}

PyObject* raise_not_done() {
    PyErr_SetString(invalid_state_error, "the publish has no outcome yet");
    return nullptr;
}

PyObject* raise_cancelled(PyObject* self) {
    PyObject* error = make_cancelled_error(self, nullptr);
    if (error == nullptr) return nullptr;
    PyErr_SetObject(cancelled_error, error);
    Py_DECREF(error);
    return nullptr;
}

PyObject* get_result(PyObject* self, PyObject*) {
    Outcome* outcome = cast(self);
    switch (outcome->state) {
        case State::settled: return new_reference(outcome->result);
        case State::pending: return raise_not_done();
        case State::cancelled: return raise_cancelled(self);
        case State::failed: break;
    }
    outcome->unretrieved = false;
    PyException_SetTraceback(outcome->result, Py_None);  // else it would collect those of all who raise it
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome->result)), outcome->result);
    return nullptr;
}

PyObject* get_exception(PyObject* self, PyObject*) {
    Outcome* outcome = cast(self);
    switch (outcome->state) {
        case State::settled: Py_RETURN_NONE;
        case State::pending: return raise_not_done();
        case State::cancelled: return raise_cancelled(self);
        case State::failed: break;
    }
    outcome->unretrieved = false;
    return new_reference(outcome->result);
}

PyObject* is_done(PyObject* self, PyObject*) {
    return PyBool_FromLong(done(cast(self)));
}

PyObject* is_cancelled(PyObject* self, PyObject*) {
    return PyBool_FromLong(cast(self)->state == State::cancelled);
}

PyObject* get_loop(PyObject* self, PyObject*) {
    return new_reference(cast(self)->loop);
}

// The message may already be on its way: only its outcome is no longer waited for.
PyObject* cancel(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    PyObject* message = Py_None;
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    if (count + named > 1 ||
        (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, 0), "msg") != 0)) {
        PyErr_SetString(PyExc_TypeError, "cancel() takes one argument, msg");
        return nullptr;
    }
    if (count + named == 1) message = arguments[0];
    Outcome* outcome = cast(self);
    outcome->unretrieved = false;
    if (done(outcome)) Py_RETURN_FALSE;
    outcome->state = State::cancelled;
    if (message != Py_None) outcome->cancel_message = new_reference(message);
    if (!schedule_callbacks(outcome)) return nullptr;
    Py_RETURN_TRUE;
}

// add_done_callback(callback, *, context=None)
PyObject* add_done_callback(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    if (count != 1 || named > 1 || (named == 1 && !PyUnicode_Check(PyTuple_GET_ITEM(keywords, 0))) ||
        (named == 1 && PyUnicode_Compare(PyTuple_GET_ITEM(keywords, 0), names.context) != 0)) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback() takes a callback and the keyword context");
        return nullptr;
    }
    Outcome* outcome = cast(self);
    PyObject* callback = arguments[0];
    PyObject* context = named == 1 && arguments[1] != Py_None ? new_reference(arguments[1]) : PyContext_CopyCurrent();
    if (context == nullptr) return nullptr;
    bool added = true;
    if (done(outcome)) {
        added = call_soon(outcome, callback, context);
        Py_DECREF(context);
    } else if (!has_callbacks(outcome)) {
        outcome->callback = new_reference(callback);
        outcome->context = context;
    } else {
        if (outcome->more_callbacks == nullptr) outcome->more_callbacks = PyList_New(0);
        PyObject* pair = outcome->more_callbacks == nullptr ? nullptr : PyTuple_Pack(2, callback, context);
        added = pair != nullptr && PyList_Append(outcome->more_callbacks, pair) == 0;
        Py_XDECREF(pair);
        Py_DECREF(context);
    }
    if (!added) return nullptr;
    Py_RETURN_NONE;
}

// How many there were.
PyObject* remove_done_callback(PyObject* self, PyObject* callback) {
    Outcome* outcome = cast(self);
    Py_ssize_t removed = 0;
    if (outcome->callback != nullptr) {
        PyObject* first = new_reference(outcome->callback);  // the comparison may run anything
        const int equal = PyObject_RichCompareBool(first, callback, Py_EQ);
        const bool still = outcome->callback == first;
        Py_DECREF(first);
        if (equal < 0) return nullptr;
        if (equal == 1 && still) {
            Py_CLEAR(outcome->callback);
            Py_CLEAR(outcome->context);
            ++removed;
        }
    }
    PyObject* more = outcome->more_callbacks;
    if (more == nullptr) return PyLong_FromSsize_t(removed);
    Py_INCREF(more);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(more);) {
        PyObject* pair = new_reference(PyList_GET_ITEM(more, i));
        const int equal = PyObject_RichCompareBool(PyTuple_GET_ITEM(pair, 0), callback, Py_EQ);
        const bool still = i < PyList_GET_SIZE(more) && PyList_GET_ITEM(more, i) == pair;
        Py_DECREF(pair);
        if (equal < 0 || (equal == 1 && still && PyList_SetSlice(more, i, i + 1, nullptr) != 0)) {
            Py_DECREF(more);
            return nullptr;
        }
        if (equal == 1 && still) ++removed;
        else ++i;
    }
    Py_DECREF(more);
    return PyLong_FromSsize_t(removed);
}

PyObject* set_exception(PyObject* self, PyObject* error) {
    Outcome* outcome = cast(self);
    if (done(outcome)) Py_RETURN_NONE;
    fail(outcome, new_reference(error));
    if (!schedule_callbacks(outcome)) return nullptr;
    Py_RETURN_NONE;
}

// ---- As an awaitable and its iterator; it has no state of its own as the latter, so it is both.

PyObject* get_self(PyObject* self) {
    return new_reference(self);
}

PySendResult send_any(PyObject* self, PyObject*, PyObject** result) {
    Outcome* outcome = cast(self);
    if (done(outcome)) {
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

// ---- Life

int traverse(PyObject* self, visitproc visit, void* arg) {
    Outcome* outcome = cast(self);
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
    Outcome* outcome = cast(self);
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
    Outcome* outcome = cast(self);
    if (!outcome->unretrieved) return;
    outcome->unretrieved = false;
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome->result)), outcome->result);
    if (!report(outcome, "a publish failed, and its outcome was never looked at")) PyErr_WriteUnraisable(self);
    PyErr_Restore(type, value, traceback);
}

void deallocate(PyObject* self) {
    Outcome* outcome = cast(self);
    PyTypeObject* type = Py_TYPE(self);
    if (outcome->unretrieved && PyObject_CallFinalizerFromDealloc(self) < 0) return;
    const bool finalized = PyObject_GC_IsFinalized(self) != 0;
    PyObject_GC_UnTrack(self);
    if (outcome->weak_references != nullptr) PyObject_ClearWeakRefs(self);
    clear(self);
    Py_CLEAR(outcome->result);
    Py_CLEAR(outcome->loop);
    if (!finalized && free_count < max_free)
        free_objects[free_count++] = outcome;
    else
        PyObject_GC_Del(self);
    Py_DECREF(type);
}

PyObject* to_repr(PyObject* self) {
    static const char* const states[] = {"pending", "settled", "failed", "cancelled"};
    const Outcome* outcome = cast(self);
    const char* state = states[static_cast<int>(outcome->state)];
    if (outcome->result == nullptr) return PyUnicode_FromFormat("<fanwire.Outcome, %s>", state);
    return PyUnicode_FromFormat("<fanwire.Outcome, %s: %R>", state, outcome->result);
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

PyType_Spec spec = {
    "fanwire._native.Outcome", sizeof(Outcome), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

Outcome* make_outcome(PyObject* loop) {
    Outcome* outcome = nullptr;
    if (free_count > 0)
        outcome = cast(PyObject_Init(to_object(free_objects[--free_count]), outcome_type));
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
    return Py_TYPE(object) == outcome_type ? cast(object) : nullptr;
}

int settle(Outcome* outcome, std::uint64_t receivers) {
    if (done(outcome)) return 0;
    PyObject* result = PyLong_FromUnsignedLongLong(receivers);
    if (result == nullptr) return -1;
    outcome->result = result;
    outcome->state = State::settled;
    return has_callbacks(outcome) ? 1 : 0;
}

bool settle_with_pending_error(Outcome* outcome) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) return false;
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    fail(outcome, value);
    return true;
}

bool call_back(Outcome* outcome) {
    const Callbacks callbacks = take_callbacks(outcome);
    Py_ssize_t next = 0;
    const bool called = for_each(outcome, callbacks, next, run);
    if (!called) {
        PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
        PyErr_Fetch(&type, &value, &traceback);
        if (!for_each(outcome, callbacks, next, call_soon)) PyErr_WriteUnraisable(to_object(outcome));
        PyErr_Restore(type, value, traceback);
    }
    release(callbacks);
    return called;
}

PyObject* cancelled_error_class() {
    return cancelled_error;
}

void define_outcome(pybind11::module_& module) {
    const auto keep = [](pybind11::object object) { return object.release().ptr(); };
    const pybind11::module_ asyncio = pybind11::module_::import("asyncio");
    cancelled_error = keep(asyncio.attr("CancelledError"));
    invalid_state_error = keep(asyncio.attr("InvalidStateError"));
    names.call_soon = keep(pybind11::str("call_soon"));
    names.call_exception_handler = keep(pybind11::str("call_exception_handler"));
    names.context = keep(pybind11::str("context"));
    names.context_keyword = keep(pybind11::make_tuple("context"));
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw pybind11::error_already_set();
    outcome_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Outcome") = pybind11::handle(type);
}

}  // namespace fanwire::python
