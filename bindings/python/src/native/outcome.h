// fanwire._native.Outcome: what publish() of the asyncio interface gives.
#pragma once

#include <pybind11/pybind11.h>

#include "targets.h"

namespace fanwire::python {

// A future of asyncio's protocol: to be awaited, gathered, shielded, cancelled. Also what create_task() takes for a
// coroutine. It differs from asyncio.Future in that the callbacks of all outcomes of a batch are called in one turn of
// the event loop, instead of being scheduled one by one.
//
// How it ends is in outcome_result.h, who is told in outcome_callbacks.h.
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

void define_outcome(pybind11::module_& module);

}  // namespace fanwire::python
