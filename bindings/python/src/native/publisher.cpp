#include "publisher.h"

#include "bytes_view.h"
#include "engine.h"
#include "fork.h"
#include "outcome.h"
#include "outcome_result.h"
#include "section.h"

namespace fanwire::python {

namespace {

struct Publisher {
    PyObject_HEAD PyObject* engine_object;
    PyObject* encode;        // makes any value str or bytes-like
    PyObject* loads;         // parses JSON for the messages that are answered through it; None: Python's own
    PyObject* inbox_object;  // where outcomes go to; None: nobody asks for them
    PyObject* loop;
    PyObject* loop_state;  // the loop's attributes, with `_thread_id`; nullptr: it is a loop of another kind
    PyObject* check_loop;  // check_loop(loop) raises when it may not be used here; None: it may be used everywhere
    Engine* engine;        // what the objects hold
    Inbox* inbox;
    std::uint64_t generation;  // of the process that made it
    bool encode_all;           // str and bytes too: there is a codec
    bool closed;
};

// The module's, never freed.
PyObject* thread_id_name = nullptr;
PyObject* get_running_loop = nullptr;

PyTypeObject* publisher_type = nullptr;  // the module's, never freed

Publisher* cast(PyObject* self) {
    return reinterpret_cast<Publisher*>(self);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Publisher* publisher = cast(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(publisher->engine_object);
    Py_VISIT(publisher->encode);
    Py_VISIT(publisher->loads);
    Py_VISIT(publisher->inbox_object);
    Py_VISIT(publisher->loop);
    Py_VISIT(publisher->loop_state);
    Py_VISIT(publisher->check_loop);
    return 0;
}

int clear(PyObject* self) {
    Publisher* publisher = cast(self);
    publisher->engine = nullptr;
    publisher->inbox = nullptr;
    Py_CLEAR(publisher->engine_object);
    Py_CLEAR(publisher->encode);
    Py_CLEAR(publisher->loads);
    Py_CLEAR(publisher->inbox_object);
    Py_CLEAR(publisher->loop);
    Py_CLEAR(publisher->loop_state);
    Py_CLEAR(publisher->check_loop);
    return 0;
}

void deallocate(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

bool check_call(const Publisher* publisher, Py_ssize_t count, Py_ssize_t most) {
    if (count < 2 || count > most)
        PyErr_SetString(PyExc_TypeError, "a publish takes a channel and a value");
    else if (publisher->engine == nullptr)
        PyErr_SetString(PyExc_RuntimeError, "it was garbage collected");
    else
        return true;
    return false;
}

// Whether its event loop runs in this thread. asyncio's own loops have the thread in `_thread_id` while they run; to
// ask for the running loop would take as long as the rest of a publish, up to Python 3.11.
bool loop_runs_here(const Publisher* publisher) {
    if (publisher->loop_state == nullptr) {
        PyObject* running = PyObject_CallNoArgs(get_running_loop);
        if (running == nullptr) PyErr_Clear();
        Py_XDECREF(running);
        return running == publisher->loop;
    }
    PyObject* thread = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
    if (PyDict_GetItemRef(publisher->loop_state, thread_id_name, &thread) < 0) PyErr_Clear();
#else
    thread = PyDict_GetItemWithError(publisher->loop_state, thread_id_name);
    if (thread == nullptr) PyErr_Clear();
    Py_XINCREF(thread);
#endif
    const bool here = thread != nullptr && PyLong_CheckExact(thread) &&
                      PyLong_AsUnsignedLongMask(thread) == PyThread_get_thread_ident();
    Py_XDECREF(thread);
    return here;
}

// New, or nullptr.
PyObject* state_of_loop(PyObject* loop) {
    PyObject* state = PyObject_GetAttrString(loop, "__dict__");
    if (state != nullptr && PyDict_CheckExact(state) && PyDict_Contains(state, thread_id_name) == 1) return state;
    PyErr_Clear();
    Py_XDECREF(state);
    return nullptr;
}

// False with a Python error set.
bool check_caller(const Publisher* publisher) {
    if (publisher->check_loop == Py_None || loop_runs_here(publisher)) return true;
    if (publisher->generation != fork_generation()) return true;  // the engine will say that it is of another process
    PyObject* checked = PyObject_CallOneArg(publisher->check_loop, publisher->loop);
    Py_XDECREF(checked);
    return checked != nullptr;
}

bool is_closed(const Publisher* publisher) {
    Section section(const_cast<PyObject*>(reinterpret_cast<const PyObject*>(publisher)));
    return publisher->closed;
}

// A new reference to what is sent for a value: str or bytes-like.
PyObject* encoded(const Publisher* publisher, PyObject* value) {
    if (publisher->encode_all || (!PyUnicode_Check(value) && !PyBytes_Check(value)))
        return PyObject_CallOneArg(publisher->encode, value);
    Py_INCREF(value);
    return value;
}

// False with a Python error set.
bool send(const Publisher* publisher, PyObject* channel, PyObject* payload, Target* target, std::uint64_t timeout_ms) {
    const auto send_bytes = [&] {
        if (is_closed(publisher)) throw Failure{FANWIRE_CLOSED, "the bus is closed"};
        publisher->engine->publish(BytesView::of_name(channel, "channel"), BytesView::of_payload(payload),
                                   target == nullptr ? nullptr : publisher->inbox->handle(), target, timeout_ms);
        return Py_None;
    };
    return guarded(send_bytes) != nullptr;
}

PyObject* publish_nowait(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    const Publisher* publisher = cast(self);
    if (!check_call(publisher, count, 2) || !check_caller(publisher)) return nullptr;
    PyObject* payload = encoded(publisher, arguments[1]);
    const bool sent = payload != nullptr && send(publisher, arguments[0], payload, nullptr, 0);
    Py_XDECREF(payload);
    if (!sent) return nullptr;
    Py_RETURN_NONE;
}

// From now on publishes are refused.
PyObject* close(PyObject* self, PyObject*) {
    Section section(self);
    cast(self)->closed = true;
    Py_RETURN_NONE;
}

// What a call gives that was refused: the outcome, with the pending error, unless that must go on.
PyObject* refused(Outcome* outcome) {
    if (settle_with_pending_error(outcome)) return to_object(outcome);
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    Py_DECREF(to_object(outcome));
    PyErr_Restore(type, value, traceback);
    return nullptr;
}

// The inbox keeps the outcome until its event has come.
void expect(Inbox* inbox, Outcome* outcome) {
    Section section(inbox->lock());
    inbox->targets().add_embedded(target_of(outcome), to_object(outcome));
}

void expect_no_longer(Inbox* inbox, Outcome* outcome) {
    Section section(inbox->lock());
    inbox->targets().remove_embedded(target_of(outcome));
}

// publish(channel, value, timeout_ms=0): an Outcome; it also tells why a publish was refused.
PyObject* publish(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    const Publisher* publisher = cast(self);
    if (!check_call(publisher, count, 3) || !check_caller(publisher)) return nullptr;
    const std::uint64_t timeout_ms = count == 3 ? PyLong_AsUnsignedLongLong(arguments[2]) : 0;
    if (count == 3 && PyErr_Occurred()) return nullptr;
    if (publisher->inbox == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "it has no inbox for outcomes");
        return nullptr;
    }
    Outcome* const outcome = make_outcome(publisher->loop);
    if (outcome == nullptr) return nullptr;
    PyObject* payload = encoded(publisher, arguments[1]);
    if (payload != nullptr) {
        expect(publisher->inbox, outcome);
        const bool sent = send(publisher, arguments[0], payload, target_of(outcome), timeout_ms);
        Py_DECREF(payload);
        if (sent) return to_object(outcome);
        expect_no_longer(publisher->inbox, outcome);
    }
    return refused(outcome);
}

// numsub(channels): an Outcome, whose result is a list of numbers.
PyObject* numsub(PyObject* self, PyObject* channels) {
    const Publisher* publisher = cast(self);
    if (publisher->engine == nullptr || publisher->inbox == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "it has no inbox for outcomes");
        return nullptr;
    }
    if (!check_caller(publisher)) return nullptr;
    Outcome* const outcome = make_outcome(publisher->loop);
    if (outcome == nullptr) return nullptr;
    expect(publisher->inbox, outcome);
    const auto ask = [&] {
        if (is_closed(publisher)) throw Failure{FANWIRE_CLOSED, "the bus is closed"};
        publisher->engine->numsub(channels, publisher->inbox->handle(), target_of(outcome));
        return Py_None;
    };
    if (guarded(ask) != nullptr) return to_object(outcome);
    expect_no_longer(publisher->inbox, outcome);
    return refused(outcome);
}

template <typename Function>
PyCFunction as_function(Function function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef methods[] = {
    {"publish", as_function(publish), METH_FASTCALL, nullptr},
    {"publish_nowait", as_function(publish_nowait), METH_FASTCALL, nullptr},
    {"numsub", numsub, METH_O, nullptr},
    {"close", close, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {"fanwire._native.Publisher", sizeof(Publisher), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

py::object make_publisher(py::object engine, py::object encode, py::object inbox, py::object loop,
                          py::object check_loop, bool encode_all, py::object loads) {
    Engine* const native_engine = py::cast<Engine*>(engine);
    Inbox* const native_inbox = inbox.is_none() ? nullptr : py::cast<Inbox*>(inbox);
    Publisher* publisher = PyObject_GC_New(Publisher, publisher_type);
    if (publisher == nullptr) throw py::error_already_set();
    publisher->loop_state = state_of_loop(loop.ptr());
    publisher->engine_object = engine.release().ptr();
    publisher->encode = encode.release().ptr();
    publisher->loads = loads.release().ptr();
    publisher->inbox_object = inbox.release().ptr();
    publisher->loop = loop.release().ptr();
    publisher->check_loop = check_loop.release().ptr();
    publisher->engine = native_engine;
    publisher->inbox = native_inbox;
    publisher->encode_all = encode_all;
    publisher->generation = fork_generation();
    publisher->closed = false;
    PyObject_GC_Track(reinterpret_cast<PyObject*>(publisher));
    return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(publisher));
}

}  // namespace

bool send_reply(PyObject* object, const fanwire_message* request, PyObject* value) {
    const Publisher* publisher = object == Py_None ? nullptr : cast(object);
    const auto refuse = [] {
        throw Failure{FANWIRE_INVALID_ARGUMENT, "the message is no request"};
        return Py_None;
    };
    if (publisher == nullptr || publisher->engine == nullptr) return guarded(refuse) != nullptr;
    PyObject* payload = encoded(publisher, value);
    if (payload == nullptr) return false;
    const auto send_bytes = [&] {
        publisher->engine->reply(request, BytesView::of_payload(payload));
        return Py_None;
    };
    const bool sent = guarded(send_bytes) != nullptr;
    Py_DECREF(payload);
    return sent;
}

PyObject* loads_of(PyObject* object) {
    PyObject* loads = object == Py_None ? nullptr : cast(object)->loads;
    return loads == Py_None ? nullptr : loads;
}

void define_publisher(py::module_& module) {
    thread_id_name = PyUnicode_InternFromString("_thread_id");
    if (thread_id_name == nullptr) throw py::error_already_set();
    get_running_loop = py::object(py::module_::import("asyncio").attr("_get_running_loop")).release().ptr();
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw py::error_already_set();
    publisher_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Publisher") = py::handle(type);
    module.def("make_publisher", make_publisher, py::arg("engine"), py::arg("encode"), py::arg("inbox") = py::none(),
               py::arg("loop") = py::none(), py::arg("check_loop") = py::none(), py::arg("encode_all") = false,
               py::arg("loads") = py::none());
}

}  // namespace fanwire::python
