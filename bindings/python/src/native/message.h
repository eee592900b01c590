// fanwire.Message: a Python type over fanwire_message that copies nothing until it is asked.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

#include <cstddef>

namespace fanwire::python {

// Adds the type to the module.
void define_message(pybind11::module_& module);

// A new Message of an event, whose reference to the message it takes over. channel and pattern, which may be nullptr,
// are the texts it would otherwise make when asked for them. `replier` is the Publisher that it is answered through, or
// None. nullptr with a Python error set when out of memory, the
// reference then still the event's.
PyObject* make_message(fanwire_event& event, PyObject* channel, PyObject* pattern, PyObject* replier);

// What a Message is of.
const fanwire_message* message_of(PyObject* message);
// Its payload as bytes: a new reference, or nullptr with a Python error set.
PyObject* payload_of(PyObject* message);

// A new reference to Message.value, or nullptr with a Python error set.
PyObject* value_of(PyObject* message);

// Sets Message.value, which is the payload otherwise. Takes over the reference.
void set_value(PyObject* message, PyObject* value);

// How Python sees the bytes of a channel or pattern: surrogates stand for those that are not UTF-8.
PyObject* decode_name(const char* bytes, std::size_t size);

}  // namespace fanwire::python
