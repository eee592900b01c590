// Decoding the messages of an inbox by the codec of a bus.
#pragma once

#include "failure.h"

namespace fanwire::python {

// Several subscriptions of an inbox get one message one after the other: it is decoded for the first of them.
class Decoder {
 public:
    // `decode` makes a value of bytes; null: there is no codec.
    explicit Decoder(PyObject* decode) : decode_(decode) { Py_XINCREF(decode_); }
    ~Decoder() { release_objects(); }
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;

    bool on() const { return decode_ != nullptr; }

    // Sets the value of a Message. When it cannot be decoded, *failure is a new reference to the exception, else
    // nullptr. False with a Python error set when that is none that a codec may raise.
    bool decode(PyObject* message, PyObject** failure);

    // Forgets the last message, so that it is not kept alive.
    void forget();

    // For the garbage collector.
    int traverse(visitproc visit, void* arg) const;
    void release_objects();

 private:
    PyObject* decode_;
    PyObject* last_ = nullptr;          // the Message that was decoded last; owned
    PyObject* last_failure_ = nullptr;  // why it could not be; owned
};

}  // namespace fanwire::python
