// Letting go of the GIL, safely also while the interpreter ends.
#pragma once

#include <Python.h>

namespace fanwire::python {

// Releases the GIL for its lifetime.
//
// CPython up to 3.13 ends a thread that asks for the GIL of an interpreter that is ending, by unwinding its stack; that
// passes through destructors of ours and of pybind11's and aborts the process. So a thread that comes back that late
// stays here instead, as newer versions of CPython do it, and goes with the process.
class WithoutGil {
 public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil();
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

 private:
    PyThreadState* state_;
};

// From now on no thread but the calling one comes back through ~WithoutGil(); waits for those that are about to.
void keep_threads_out();

// In a forked child: no other thread is about to come back here.
void forget_other_threads();

}  // namespace fanwire::python
