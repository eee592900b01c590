// Publishing and waiting for the outcome, for one thread at a time.
#pragma once

#include <cstdint>

#include "engine.h"
#include "failure.h"

namespace fanwire::python {

// fanwire_publish_wait() could not be interrupted by Ctrl-C, nor called again after a slice of waiting: each call
// publishes. So the outcome comes to an inbox, where the wait can be resumed.
class Outcomes {
 public:
    Outcomes();
    ~Outcomes();
    Outcomes(const Outcomes&) = delete;
    Outcomes& operator=(const Outcomes&) = delete;

    // The number of receivers.
    std::uint64_t publish(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms);

 private:
    bool take(std::uintptr_t number, fanwire_event& outcome);

    fanwire_inbox* inbox_ = nullptr;
    std::uintptr_t last_number_ = 0;
};

void define_outcomes(py::module_& module);

}  // namespace fanwire::python
