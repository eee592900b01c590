// Blocking calls as Python wants them: without the GIL, and ending with an exception when a signal's handler raises.
#pragma once

#include <fanwire/fanwire.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <cstdint>

#include "gil.h"

namespace fanwire::python {

// Calls `wait(ms)`, which gives a status, in slices until it gives something other than TIMEOUT or `timeout_ms` have
// passed. Signals are looked at in between, so that Ctrl-C is not kept waiting.
template <typename Wait>
int wait_in_slices(std::uint64_t timeout_ms, Wait wait) {
    using Clock = std::chrono::steady_clock;
    constexpr std::uint64_t slice_ms = 50;
    const Clock::time_point start = Clock::now();
    for (;;) {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
        const auto passed_ms = static_cast<std::uint64_t>(passed.count());
        const std::uint64_t left_ms = timeout_ms > passed_ms ? timeout_ms - passed_ms : 0;
        const bool last = timeout_ms != FANWIRE_FOREVER && left_ms <= slice_ms;
        int status = FANWIRE_OK;
        {
            const WithoutGil without_gil;
            status = wait(last ? left_ms : slice_ms);
        }
        if (status != FANWIRE_TIMEOUT || last) return status;
        if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
    }
}

}  // namespace fanwire::python
