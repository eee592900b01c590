#include "gil.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace fanwire::python {

namespace {

// A thread adds itself to `returning` and then looks whether `closed`; who closes sets it and then waits for
// `returning` to be 0. So either sees the other.
std::atomic<int> returning{0};
std::atomic<bool> closed{false};
thread_local bool may_return = false;

}  // namespace

WithoutGil::~WithoutGil() {
    returning.fetch_add(1);
    if (closed.load() && !may_return) {
        returning.fetch_sub(1);
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
    PyEval_RestoreThread(state_);
    returning.fetch_sub(1);
}

void keep_threads_out() {
    may_return = true;
    closed.store(true);
    PyThreadState* state = PyEval_SaveThread();
    while (returning.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
}

void forget_other_threads() {
    returning.store(0);
}

}  // namespace fanwire::python
