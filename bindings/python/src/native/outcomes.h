// Publishing and waiting for the outcome, for one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine.h"
#include "failure.h"
#include "waker.h"

namespace fanwire::python {

// fanwire_publish_wait() could not be interrupted by Ctrl-C, nor called again after a slice of waiting: each call
// publishes. So the outcome comes to an inbox, where the wait can be resumed.
class Outcomes {
 public:
    // `waker` (may be null) is rung when an outcome comes.
    explicit Outcomes(std::shared_ptr<Waker> waker);
    ~Outcomes();
    Outcomes(const Outcomes&) = delete;
    Outcomes& operator=(const Outcomes&) = delete;

    // The number of receivers. timeout_ms 0: the setting.
    std::uint64_t publish(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms);

    // The same in two steps, for those who wait in a way of their own: start() publishes, and poll() gives the number
    // of receivers once it is known, before that None.
    void start(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms);
    std::optional<std::uint64_t> poll();

    // The numbers of subscribers of channels.
    py::list numsub(Engine& engine, py::handle channels);
    void start_numsub(Engine& engine, py::handle channels);
    std::optional<py::list> poll_numsub();

 private:
    bool take(fanwire_event& outcome);
    fanwire_event wait();

    const std::shared_ptr<Waker> waker_;
    Waker::Source source_;
    fanwire_inbox* inbox_ = nullptr;
    std::uintptr_t last_number_ = 0;
};

void define_outcomes(py::module_& module);

}  // namespace fanwire::python
