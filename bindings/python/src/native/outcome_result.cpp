#include "outcome_result.h"

#include "outcome_callbacks.h"
#include "outcome_object.h"
#include "section.h"

// Functions here that call Python code keep nothing that has a destructor: see inbox.cpp.
namespace fanwire::python {

namespace {

// The module's, never freed.
PyObject* cancelled_error = nullptr;
PyObject* invalid_state_error = nullptr;
PyObject* may_have_happened = nullptr;

// Steals the reference to `error`.
void fail(Outcome* outcome, PyObject* error) {
    outcome->result = error;
    outcome->state = Outcome::State::failed;
    outcome->unretrieved = true;
}

PyObject* raise_not_done() {
    PyErr_SetString(invalid_state_error, "the publish has no outcome yet");
    return nullptr;
}

PyObject* raise_cancelled(PyObject* self) {
    PyObject* error = outcome_methods::make_cancelled_error(self, nullptr);
    if (error == nullptr) return nullptr;
    PyErr_SetObject(cancelled_error, error);
    Py_DECREF(error);
    return nullptr;
}

}  // namespace

int settle(Outcome* outcome, PyObject* result) {
    if (result == nullptr) return -1;
    Section section(to_object(outcome));
    if (done(outcome)) {
        Py_DECREF(result);
        return 0;
    }
    outcome->result = result;
    outcome->state = Outcome::State::settled;
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

PyObject* cancelled_error_class() {
    return cancelled_error;
}

namespace outcome_methods {

PyObject* get_result(PyObject* self, PyObject*) {
    Outcome* outcome = cast_outcome(self);
    Section section(self);
    switch (outcome->state) {
        case Outcome::State::settled:
            return new_reference(outcome->result);
        case Outcome::State::pending:
            return raise_not_done();
        case Outcome::State::cancelled:
            return raise_cancelled(self);
        case Outcome::State::failed:
            break;
    }
    outcome->unretrieved = false;
    PyException_SetTraceback(outcome->result, Py_None);  // else it would collect those of all who raise it
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(outcome->result)), outcome->result);
    return nullptr;
}

PyObject* get_exception(PyObject* self, PyObject*) {
    Outcome* outcome = cast_outcome(self);
    Section section(self);
    switch (outcome->state) {
        case Outcome::State::settled:
            Py_RETURN_NONE;
        case Outcome::State::pending:
            return raise_not_done();
        case Outcome::State::cancelled:
            return raise_cancelled(self);
        case Outcome::State::failed:
            break;
    }
    outcome->unretrieved = false;
    return new_reference(outcome->result);
}

PyObject* is_done(PyObject* self, PyObject*) {
    Section section(self);
    return PyBool_FromLong(done(cast_outcome(self)));
}

PyObject* is_cancelled(PyObject* self, PyObject*) {
    Section section(self);
    return PyBool_FromLong(cast_outcome(self)->state == Outcome::State::cancelled);
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
    Outcome* outcome = cast_outcome(self);
    {
        Section section(self);
        outcome->unretrieved = false;
        if (done(outcome)) Py_RETURN_FALSE;
        outcome->state = Outcome::State::cancelled;
        if (message != Py_None) outcome->cancel_message = new_reference(message);
    }
    if (!schedule_callbacks(outcome)) return nullptr;
    Py_RETURN_TRUE;
}

PyObject* set_exception(PyObject* self, PyObject* error) {
    Outcome* outcome = cast_outcome(self);
    {
        Section section(self);
        if (done(outcome)) Py_RETURN_NONE;
        fail(outcome, new_reference(error));
    }
    if (!schedule_callbacks(outcome)) return nullptr;
    Py_RETURN_NONE;
}

PyObject* make_cancelled_error(PyObject* self, PyObject*) {
    PyObject* message = cast_outcome(self)->cancel_message;
    PyObject* error =
        message == nullptr ? PyObject_CallNoArgs(cancelled_error) : PyObject_CallOneArg(cancelled_error, message);
    if (error != nullptr && PyObject_SetAttr(error, may_have_happened, Py_True) != 0) Py_CLEAR(error);
    return error;
}

}  // namespace outcome_methods

void define_outcome_result() {
    const auto keep = [](pybind11::object object) { return object.release().ptr(); };
    const pybind11::module_ asyncio = pybind11::module_::import("asyncio");
    cancelled_error = keep(asyncio.attr("CancelledError"));
    may_have_happened = keep(pybind11::str("may_have_happened"));
    invalid_state_error = keep(asyncio.attr("InvalidStateError"));
}

}  // namespace fanwire::python
