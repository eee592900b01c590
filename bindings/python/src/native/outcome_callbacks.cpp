#include "outcome_callbacks.h"

#include <utility>

#include "outcome_object.h"
#include "section.h"

// Functions here that call Python code keep nothing that has a destructor: see inbox.cpp.
namespace fanwire::python {

namespace {

// The module's, never freed.
struct Names {
    PyObject* call_soon;
    PyObject* call_exception_handler;
    PyObject* context;
    PyObject* context_keyword;  // ("context",)
} names;

bool call_soon(Outcome* outcome, PyObject* callback, PyObject* context) {
    PyObject* arguments[] = {outcome->loop, callback, to_object(outcome), context};
    PyObject* handle = PyObject_VectorcallMethod(names.call_soon, arguments, 3, names.context_keyword);
    Py_XDECREF(handle);
    return handle != nullptr;
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
    Section section(to_object(outcome));
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

}  // namespace

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

bool schedule_callbacks(Outcome* outcome) {
    const Callbacks callbacks = take_callbacks(outcome);
    Py_ssize_t next = 0;
    const bool scheduled = for_each(outcome, callbacks, next, call_soon);
    release(callbacks);
    return scheduled;
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

namespace outcome_methods {

// add_done_callback(callback, *, context=None)
PyObject* add_done_callback(PyObject* self, PyObject* const* arguments, Py_ssize_t count, PyObject* keywords) {
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    if (count != 1 || named > 1 || (named == 1 && !PyUnicode_Check(PyTuple_GET_ITEM(keywords, 0))) ||
        (named == 1 && PyUnicode_Compare(PyTuple_GET_ITEM(keywords, 0), names.context) != 0)) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback() takes a callback and the keyword context");
        return nullptr;
    }
    Outcome* outcome = cast_outcome(self);
    PyObject* callback = arguments[0];
    PyObject* context = named == 1 && arguments[1] != Py_None ? new_reference(arguments[1]) : PyContext_CopyCurrent();
    if (context == nullptr) return nullptr;
    bool added = true;
    Section section(self);
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
    Outcome* outcome = cast_outcome(self);
    Section section(self);
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
        if (equal == 1 && still)
            ++removed;
        else
            ++i;
    }
    Py_DECREF(more);
    return PyLong_FromSsize_t(removed);
}

}  // namespace outcome_methods

void define_outcome_callbacks() {
    const auto keep = [](pybind11::object object) { return object.release().ptr(); };
    names.call_soon = keep(pybind11::str("call_soon"));
    names.call_exception_handler = keep(pybind11::str("call_exception_handler"));
    names.context = keep(pybind11::str("context"));
    names.context_keyword = keep(pybind11::make_tuple("context"));
}

}  // namespace fanwire::python
