#include "message.h"

#include <cstddef>
#include <utility>

#include "publisher.h"
#include "section.h"

namespace fanwire::python {

// A type of its own and not a pybind11 class: one is made for each message received, and this is several times cheaper.
namespace {

struct MessageObject {
    PyObject_HEAD fanwire_message* message;
    const char* payload;  // the message's
    Py_ssize_t payload_size;
    // Made when first asked for, if not known before.
    PyObject* data;
    PyObject* channel;
    PyObject* pattern;
    PyObject* replier;  // the Publisher that it is answered through, or None
    PyObject* value;    // what a codec has made of the payload; nullptr: the payload
};

MessageObject* cast(PyObject* self) {
    return reinterpret_cast<MessageObject*>(self);
}

PyTypeObject* message_type = nullptr;  // the module's, never freed
PyObject* json_loads = nullptr;

// Freed objects, to be used again: as many as one batch has.
constexpr std::size_t max_free = 512;
MessageObject* free_objects[max_free];
std::size_t free_count = 0;

using Getter = int (*)(const fanwire_message*, const char**, std::size_t*);

PyObject* get_name(PyObject* self, PyObject* MessageObject::*cached, Getter get) {
    Section section(self);
    PyObject*& name = cast(self)->*cached;
    if (name == nullptr) {
        const char* bytes = nullptr;
        std::size_t size = 0;
        get(cast(self)->message, &bytes, &size);
        if (bytes == nullptr) Py_RETURN_NONE;
        name = decode_name(bytes, size);
        if (name == nullptr) return nullptr;
    }
    Py_INCREF(name);
    return name;
}

PyObject* get_name_bytes(PyObject* self, Getter get) {
    const char* bytes = nullptr;
    std::size_t size = 0;
    get(cast(self)->message, &bytes, &size);
    if (bytes == nullptr) Py_RETURN_NONE;
    return PyBytes_FromStringAndSize(bytes, static_cast<Py_ssize_t>(size));
}

PyObject* get_channel(PyObject* self, void*) {
    return get_name(self, &MessageObject::channel, fanwire_message_channel);
}
PyObject* get_channel_bytes(PyObject* self, void*) {
    return get_name_bytes(self, fanwire_message_channel);
}
PyObject* get_pattern(PyObject* self, void*) {
    return get_name(self, &MessageObject::pattern, fanwire_message_pattern);
}
PyObject* get_pattern_bytes(PyObject* self, void*) {
    return get_name_bytes(self, fanwire_message_pattern);
}

PyObject* get_data(PyObject* self, void*) {
    MessageObject* object = cast(self);
    Section section(self);
    if (object->data == nullptr) {
        object->data = PyBytes_FromStringAndSize(object->payload, object->payload_size);
        if (object->data == nullptr) return nullptr;
    }
    Py_INCREF(object->data);
    return object->data;
}

PyObject* get_value(PyObject* self, void*) {
    PyObject* value = cast(self)->value;
    if (value == nullptr) return get_data(self, nullptr);
    Py_INCREF(value);
    return value;
}

PyObject* get_text(PyObject* self, void*) {
    return PyUnicode_DecodeUTF8(cast(self)->payload, cast(self)->payload_size, nullptr);
}

PyObject* to_json(PyObject* self, PyObject*) {
    PyObject* text = get_text(self, nullptr);
    if (text == nullptr) return nullptr;
    PyObject* loads = loads_of(cast(self)->replier);
    if (loads == nullptr) loads = json_loads;
    Py_INCREF(loads);
    PyObject* value = PyObject_CallOneArg(loads, text);
    Py_DECREF(loads);
    Py_DECREF(text);
    return value;
}

PyObject* get_is_request(PyObject* self, void*) {
    return PyBool_FromLong(fanwire_message_is_request(cast(self)->message) == 1);
}

PyObject* reply(PyObject* self, PyObject* value) {
    if (!send_reply(cast(self)->replier, cast(self)->message, value)) return nullptr;
    Py_RETURN_NONE;
}

PyObject* to_repr(PyObject* self) {
    PyObject* channel = get_channel(self, nullptr);
    if (channel == nullptr) return nullptr;
    const Py_ssize_t size = cast(self)->payload_size;
    PyObject* text = PyUnicode_FromFormat("<fanwire.Message on %A: %zd byte%s>", channel, size, size == 1 ? "" : "s");
    Py_DECREF(channel);
    return text;
}

void deallocate(PyObject* self) {
    MessageObject* object = cast(self);
    PyTypeObject* type = Py_TYPE(self);
    fanwire_message_release(object->message);
    Py_XDECREF(object->data);
    Py_XDECREF(object->channel);
    Py_XDECREF(object->pattern);
    Py_XDECREF(object->value);
    Py_DECREF(object->replier);
    if (reuse_objects && free_count < max_free)
        free_objects[free_count++] = object;
    else
        PyObject_Free(object);
    Py_DECREF(type);
}

PyGetSetDef getters[] = {
    {"channel", get_channel, nullptr,
     "The channel without the namespace; surrogates stand for bytes that are no UTF-8.", nullptr},
    {"channel_bytes", get_channel_bytes, nullptr, "The channel, byte for byte.", nullptr},
    {"pattern", get_pattern, nullptr, "The pattern it came by; None for exact subscriptions.", nullptr},
    {"pattern_bytes", get_pattern_bytes, nullptr, "The pattern, byte for byte.", nullptr},
    {"data", get_data, nullptr, "The payload.", nullptr},
    {"text", get_text, nullptr, "The payload as UTF-8; raises UnicodeDecodeError when it is not.", nullptr},
    {"value", get_value, nullptr, "What the codec of the bus has made of the payload; without a codec the payload.",
     nullptr},
    {"is_request", get_is_request, nullptr, "Whether somebody waits for a reply to it.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef methods[] = {
    {"json", to_json, METH_NOARGS,
     "The payload as JSON, parsed by the bus's `json`; raises ValueError when it is not."},
    {"reply", reply, METH_O,
     "Answers it, if it is a request. Returns at once; raises InvalidArgumentError when nobody waits for a reply."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
    {Py_tp_repr, reinterpret_cast<void*>(to_repr)},
    {Py_tp_getset, getters},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("A message as it came from Redis. Immutable.")},
    {0, nullptr},
};

PyType_Spec spec = {"fanwire.Message", sizeof(MessageObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

void define_message(pybind11::module_& module) {
    json_loads = pybind11::object(pybind11::module_::import("json").attr("loads")).release().ptr();
    PyObject* type = PyType_FromSpec(&spec);
    if (type == nullptr) throw pybind11::error_already_set();
    message_type = reinterpret_cast<PyTypeObject*>(type);
    module.attr("Message") = pybind11::handle(type);
}

PyObject* make_message(fanwire_event& event, PyObject* channel, PyObject* pattern, PyObject* replier) {
    MessageObject* object = nullptr;
    if (reuse_objects && free_count > 0)
        object = reinterpret_cast<MessageObject*>(
            PyObject_Init(reinterpret_cast<PyObject*>(free_objects[--free_count]), message_type));
    else
        object = PyObject_New(MessageObject, message_type);
    if (object == nullptr) return nullptr;
    object->message = std::exchange(event.message, nullptr);
    object->payload = event.payload;
    object->payload_size = static_cast<Py_ssize_t>(event.payload_size);
    object->data = nullptr;
    Py_XINCREF(channel);
    object->channel = channel;
    Py_XINCREF(pattern);
    object->pattern = pattern;
    object->value = nullptr;
    Py_INCREF(replier);
    object->replier = replier;
    return reinterpret_cast<PyObject*>(object);
}

const fanwire_message* message_of(PyObject* message) {
    return cast(message)->message;
}

PyObject* payload_of(PyObject* message) {
    return get_data(message, nullptr);
}

PyObject* value_of(PyObject* message) {
    return get_value(message, nullptr);
}

void set_value(PyObject* message, PyObject* value) {
    Py_XSETREF(cast(message)->value, value);
}

PyObject* decode_name(const char* bytes, std::size_t size) {
    return PyUnicode_DecodeUTF8(bytes, static_cast<Py_ssize_t>(size), "surrogateescape");
}

}  // namespace fanwire::python
