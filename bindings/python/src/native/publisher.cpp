#include "publisher.h"

#include "bytes_view.h"
#include "engine.h"
#include "outcome.h"

namespace fanwire::python {

namespace {

struct Publisher {
    PyObject_HEAD PyObject* engine_object;
    PyObject* encode;        // makes any value str or bytes-like
    PyObject* inbox_object;  // where outcomes go to; None: nobody asks for them
    PyObject* loop;
    Engine* engine;  // what the objects hold
    Inbox* inbox;
};

PyTypeObject* publisher_type = nullptr;  // the module's, never freed

Publisher* cast(PyObject* self) {
    return reinterpret_cast<Publisher*>(self);
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Publisher* publisher = cast(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(publisher->engine_object);
    Py_VISIT(publisher->encode);
    Py_VISIT(publisher->inbox_object);
    Py_VISIT(publisher->loop);
    return 0;
}

int clear(PyObject* self) {
    Publisher* publisher = cast(self);
    publisher->engine = nullptr;
    publisher->inbox = nullptr;
    Py_CLEAR(publisher->engine_object);
    Py_CLEAR(publisher->encode);
    Py_CLEAR(publisher->inbox_object);
    Py_CLEAR(publisher->loop);
    return 0;
}

void deallocate(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

bool check_call(const Publisher* publisher, Py_ssize_t count) {
    if (count != 2) PyErr_SetString(PyExc_TypeError, "a publish takes a channel and a value");
    else if (publisher->engine == nullptr) PyErr_SetString(PyExc_RuntimeError, "it was garbage collected");
    else return true;
    return false;
}

// Calls publish(channel, payload) with both as bytes.
template <typename Publish>
void with_bytes(const Publisher* publisher, PyObject* const* arguments, Publish publish) {
    const BytesView channel = BytesView::of_name(arguments[0], "channel");
    py::object encoded;
    PyObject* value = arguments[1];
    if (!PyUnicode_Check(value) && !PyBytes_Check(value)) {
        encoded = py::reinterpret_steal<py::object>(PyObject_CallOneArg(publisher->encode, value));
        if (!encoded) throw py::error_already_set();
        value = encoded.ptr();
    }
    const BytesView payload = BytesView::of_payload(value);
    publish(channel, payload);
}

PyObject* publish_nowait(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    const Publisher* publisher = cast(self);
    if (!check_call(publisher, count)) return nullptr;
    return guarded([&] {
        with_bytes(publisher, arguments, [&](const BytesView& channel, const BytesView& payload) {
            publisher->engine->publish(channel, payload, nullptr, nullptr);
        });
        Py_INCREF(Py_None);
        return Py_None;
    });
}

// An Outcome; it also tells why a publish was refused.
PyObject* publish(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    const Publisher* publisher = cast(self);
    if (!check_call(publisher, count)) return nullptr;
    if (publisher->inbox == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "it has no inbox for outcomes");
        return nullptr;
    }
    Outcome* const outcome = make_outcome(publisher->loop);
    if (outcome == nullptr) return nullptr;
    Targets& targets = publisher->inbox->targets();
    Target* const target = target_of(outcome);
    targets.add_embedded(target, to_object(outcome));
    PyObject* done = guarded([&] {
        with_bytes(publisher, arguments, [&](const BytesView& channel, const BytesView& payload) {
            publisher->engine->publish(channel, payload, publisher->inbox->handle(), target);
        });
        return to_object(outcome);
    });
    if (done != nullptr) return done;
    if (settle_with_pending_error(outcome)) done = to_object(outcome);
    PyObject *type = nullptr, *value = nullptr, *traceback = nullptr;
    PyErr_Fetch(&type, &value, &traceback);
    targets.remove(target);
    if (done == nullptr) Py_DECREF(to_object(outcome));
    PyErr_Restore(type, value, traceback);
    return done;
}

template <typename Function>
PyCFunction as_function(Function function) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef methods[] = {
    {"publish", as_function(publish), METH_FASTCALL, nullptr},
    {"publish_nowait", as_function(publish_nowait), METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec spec = {
    "fanwire._native.Publisher", sizeof(Publisher), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

py::object make_publisher(py::object engine, py::object encode, py::object inbox, py::object loop) {
    Engine* const native_engine = py::cast<Engine*>(engine);
    Inbox* const native_inbox = inbox.is_none() ? nullptr : py::cast<Inbox*>(inbox);
    Publisher* publisher = PyObject_GC_New(Publisher, publisher_type);
    if (publisher == nullptr) throw py::error_already_set();
    publisher->engine_object = engine.release().ptr();
    publisher->encode = encode.release().ptr();
    publisher->inbox_object = inbox.release().ptr();
    publisher->loop = loop.release().ptr();
    publisher->engine = native_engine;
    publisher->inbox = native_inbox;
    PyObject_GC_Track(reinterpret_cast<PyObject*>(publisher));
    return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(publisher));
}

}  // namespace

void define_publisher(py::module_& module) {
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw py::error_already_set();
    publisher_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Publisher") = py::handle(type);
    module.def("make_publisher", make_publisher, py::arg("engine"), py::arg("encode"), py::arg("inbox") = py::none(),
               py::arg("loop") = py::none());
}

}  // namespace fanwire::python
