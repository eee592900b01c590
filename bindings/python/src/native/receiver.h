// fanwire._native.Receiver: what the subscriptions of both interfaces are, as far as delivering a message needs it.
#pragma once

#include <pybind11/pybind11.h>

namespace fanwire::python {

// Python classes derive from it and use `_handler` and `_stopped` as any attribute; Inbox::deliver() reads them in
// place.
struct Receiver {
    PyObject_HEAD PyObject* handler;  // nullptr: none
    PyObject* channel;                // what its messages have as channel; nullptr for a pattern
    PyObject* pattern;                // nullptr for a channel
    bool stopped;                     // nothing is delivered any more
};

// A new reference to what messages are delivered to, or nullptr: nothing is delivered.
PyObject* handler_of(Receiver* receiver);

// What the messages of a receiver will have as channel and pattern (null: none). Throws when `receiver` is none.
void set_names(pybind11::handle receiver, pybind11::object channel, pybind11::object pattern);

void define_receiver(pybind11::module_& module);

}  // namespace fanwire::python
