#include "outcomes.h"

#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "bytes_view.h"
#include "gil.h"
#include "waiting.h"

namespace fanwire::python {

namespace {

std::uint64_t receivers_of(fanwire_event& outcome) {
    const Failure failure{outcome.status, outcome.text != nullptr ? outcome.text : ""};
    fanwire_events_release(&outcome, sizeof outcome, 1);
    if (failure.status != FANWIRE_OK) throw failure;
    return outcome.count;
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

// The engine reports an outcome in any case, within the time that the publish has.
std::uint64_t Outcomes::publish(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms) {
    start(engine, channel, value, timeout_ms);
    fanwire_event outcome{};
    check(wait_in_slices(FANWIRE_FOREVER, [&](std::uint64_t ms) {
        const int waited = fanwire_inbox_wait(inbox_, ms);
        if (waited != FANWIRE_OK) return waited;
        return take(outcome) ? int{FANWIRE_OK} : int{FANWIRE_TIMEOUT};
    }));
    return receivers_of(outcome);
}

void define_outcomes(py::module_& module) {
    py::class_<Outcomes>(module, "Outcomes")
        .def(py::init<std::shared_ptr<Waker>>(), py::arg("waker") = nullptr)
        .def("publish", &Outcomes::publish)
        .def("start", &Outcomes::start)
        .def("poll", &Outcomes::poll);
}

}  // namespace fanwire::python
