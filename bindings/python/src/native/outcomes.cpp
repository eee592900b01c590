#include "outcomes.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "bytes_view.h"
#include "gil.h"
#include "numsub.h"
#include "waiting.h"

namespace fanwire::python {

namespace {

void check_outcome(fanwire_event& outcome) {
    if (outcome.status == FANWIRE_OK) return;
    const Failure failure{outcome.status, outcome.text != nullptr ? outcome.text : ""};
    fanwire_events_release(&outcome, sizeof outcome, 1);
    throw failure;
}

std::uint64_t receivers_of(fanwire_event& outcome) {
    check_outcome(outcome);
    fanwire_events_release(&outcome, sizeof outcome, 1);
    return outcome.count;
}

py::list numbers_of(fanwire_event& outcome) {
    check_outcome(outcome);
    auto numbers = py::reinterpret_steal<py::list>(counts_of(outcome));
    fanwire_events_release(&outcome, sizeof outcome, 1);
    if (!numbers) throw py::error_already_set();
    return numbers;
}

}  // namespace

Outcomes::Outcomes(std::shared_ptr<Waker> waker) : waker_(std::move(waker)) {
    check(fanwire_inbox_create(&inbox_, nullptr));
    if (!waker_) return;
    waker_->add();
    const auto wake = [](void* self) {
        auto* outcomes = static_cast<Outcomes*>(self);
        outcomes->waker_->wake(outcomes->source_);
    };
    check(fanwire_inbox_set_wake(inbox_, wake, this));
}

Outcomes::~Outcomes() {
    {
        const WithoutGil without_gil;
        fanwire_inbox_destroy(&inbox_);
    }
    if (waker_) waker_->remove(source_);
}

// Takes one event from the inbox; whether it is the outcome of the last publish. Those of earlier ones, whose callers
// gave up, are dropped.
bool Outcomes::take(fanwire_event& outcome) {
    for (;;) {
        std::size_t count = 0;
        check(fanwire_inbox_drain(inbox_, &outcome, sizeof outcome, 1, &count));
        if (count == 0) return false;
        if (outcome.user_data == reinterpret_cast<void*>(last_number_)) return true;
        fanwire_events_release(&outcome, sizeof outcome, 1);
    }
}

void Outcomes::start(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms) {
    engine.publish(BytesView::of_name(channel, "channel"), BytesView::of_payload(value), inbox_,
                   reinterpret_cast<void*>(++last_number_), timeout_ms);
}

std::optional<std::uint64_t> Outcomes::poll() {
    fanwire_event outcome{};
    if (!take(outcome)) return std::nullopt;
    return receivers_of(outcome);
}

std::uint64_t Outcomes::publish(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms) {
    start(engine, channel, value, timeout_ms);
    fanwire_event outcome = wait();
    return receivers_of(outcome);
}

void Outcomes::start_numsub(Engine& engine, py::handle channels) {
    engine.numsub(channels, inbox_, reinterpret_cast<void*>(++last_number_));
}

std::optional<py::list> Outcomes::poll_numsub() {
    fanwire_event outcome{};
    if (!take(outcome)) return std::nullopt;
    return numbers_of(outcome);
}

py::list Outcomes::numsub(Engine& engine, py::handle channels) {
    start_numsub(engine, channels);
    fanwire_event outcome = wait();
    return numbers_of(outcome);
}

// The engine reports an outcome in any case, within the time that it has.
fanwire_event Outcomes::wait() {
    fanwire_event outcome{};
    check(wait_in_slices(FANWIRE_FOREVER, [&](std::uint64_t ms) {
        const int waited = fanwire_inbox_wait(inbox_, ms);
        if (waited != FANWIRE_OK) return waited;
        return take(outcome) ? int{FANWIRE_OK} : int{FANWIRE_TIMEOUT};
    }));
    return outcome;
}

void define_outcomes(py::module_& module) {
    py::class_<Outcomes>(module, "Outcomes")
        .def(py::init<std::shared_ptr<Waker>>(), py::arg("waker") = nullptr)
        .def("publish", &Outcomes::publish)
        .def("start", &Outcomes::start)
        .def("poll", &Outcomes::poll)
        .def("numsub", &Outcomes::numsub)
        .def("start_numsub", &Outcomes::start_numsub)
        .def("poll_numsub", &Outcomes::poll_numsub);
}

}  // namespace fanwire::python
