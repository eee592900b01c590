#include "message.h"

#include <cstddef>

namespace fanwire::python {

// A type of its own and not a pybind11 class: one is made for each message received, and this is several times cheaper.
namespace {

struct MessageObject {
    PyObject_HEAD fanwire_message* message;
    PyObject* data;  // made when first asked for
};

PyTypeObject* message_type = nullptr;  // the module's, never freed
PyObject* json_loads = nullptr;

struct Piece {
    const char* bytes = nullptr;
    std::size_t size = 0;
};

using Getter = int (*)(const fanwire_message*, const char**, std::size_t*);

Piece piece_of(PyObject* self, Getter get) {
    Piece piece;
    get(reinterpret_cast<MessageObject*>(self)->message, &piece.bytes, &piece.size);
    return piece;
}

PyObject* to_bytes(const Piece& piece) {
    return PyBytes_FromStringAndSize(piece.bytes, static_cast<Py_ssize_t>(piece.size));
}

PyObject* to_name(const Piece& piece) {
    return PyUnicode_DecodeUTF8(piece.bytes, static_cast<Py_ssize_t>(piece.size), "surrogateescape");
}

PyObject* get_channel(PyObject* self, void*) {
    return to_name(piece_of(self, fanwire_message_channel));
}
PyObject* get_channel_bytes(PyObject* self, void*) {
    return to_bytes(piece_of(self, fanwire_message_channel));
}

PyObject* get_pattern(PyObject* self, void*) {
    const Piece pattern = piece_of(self, fanwire_message_pattern);
    if (pattern.bytes == nullptr) Py_RETURN_NONE;
    return to_name(pattern);
}

PyObject* get_pattern_bytes(PyObject* self, void*) {
    const Piece pattern = piece_of(self, fanwire_message_pattern);
    if (pattern.bytes == nullptr) Py_RETURN_NONE;
    return to_bytes(pattern);
}

PyObject* get_data(PyObject* self, void*) {
    auto* object = reinterpret_cast<MessageObject*>(self);
    if (object->data == nullptr) {
        object->data = to_bytes(piece_of(self, fanwire_message_payload));
        if (object->data == nullptr) return nullptr;
    }
    Py_INCREF(object->data);
    return object->data;
}

PyObject* get_text(PyObject* self, void*) {
    const Piece payload = piece_of(self, fanwire_message_payload);
    return PyUnicode_DecodeUTF8(payload.bytes, static_cast<Py_ssize_t>(payload.size), nullptr);
}

PyObject* to_json(PyObject* self, PyObject*) {
    PyObject* text = get_text(self, nullptr);
    if (text == nullptr) return nullptr;
    PyObject* value = PyObject_CallOneArg(json_loads, text);
    Py_DECREF(text);
    return value;
}

PyObject* to_repr(PyObject* self) {
    PyObject* channel = get_channel(self, nullptr);
    if (channel == nullptr) return nullptr;
    const auto size = static_cast<Py_ssize_t>(piece_of(self, fanwire_message_payload).size);
    PyObject* text = PyUnicode_FromFormat("<fanwire.Message on %A: %zd byte%s>", channel, size, size == 1 ? "" : "s");
    Py_DECREF(channel);
    return text;
}

void deallocate(PyObject* self) {
    auto* object = reinterpret_cast<MessageObject*>(self);
    PyTypeObject* type = Py_TYPE(self);
    fanwire_message_release(object->message);
    Py_XDECREF(object->data);
    type->tp_free(self);
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
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMethodDef methods[] = {
    {"json", to_json, METH_NOARGS, "The payload as JSON; raises ValueError when it is not."},
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

PyObject* make_message(fanwire_message* message) {
    PyObject* self = message_type->tp_alloc(message_type, 0);
    if (self == nullptr) return nullptr;
    auto* object = reinterpret_cast<MessageObject*>(self);
    object->message = message;
    object->data = nullptr;
    return self;
}

}  // namespace fanwire::python
