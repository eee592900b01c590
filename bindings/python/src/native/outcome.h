// fanwire._native.Outcome: what publish() of the asyncio interface gives.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

#include <cstdint>

#include "targets.h"

namespace fanwire::python {

// A future of asyncio's protocol: to be awaited, gathered, shielded, cancelled. Also what create_task() takes for a
// coroutine. It differs from asyncio.Future in that the callbacks of all outcomes of a batch are called in one turn of
// the event loop, instead of being scheduled one by one.
struct Outcome;

// A new pending one, of the event loop `loop`; nullptr with a Python error set.
Outcome* make_outcome(PyObject* loop);

inline PyObject* to_object(Outcome* outcome) {
    return reinterpret_cast<PyObject*>(outcome);
}

// What makes it known to an inbox.
Target* target_of(Outcome* outcome);

// nullptr when it is something else.
Outcome* to_outcome(PyObject* object);

// Sets the number of receivers, unless it is done already. 1 when call_back() is to be called, 0 when nobody waits, -1
// with a Python error set.
int settle(Outcome* outcome, std::uint64_t receivers);

// Makes the pending Python error, an Exception, its outcome. False with the error still set when it is none.
bool settle_with_pending_error(Outcome* outcome);

// Calls the callbacks of a settled one, as an event loop would: nothing else may be running. False with a Python error
// set when one raised KeyboardInterrupt or SystemExit; the others are then scheduled.
bool call_back(Outcome* outcome);

// asyncio.CancelledError; borrowed.
PyObject* cancelled_error_class();

void define_outcome(pybind11::module_& module);

}  // namespace fanwire::python
