#include "outcomes.h"

#include <string>

#include "bytes_view.h"
#include "gil.h"
#include "waiting.h"

namespace fanwire::python {

Outcomes::Outcomes() {
    check(fanwire_inbox_create(&inbox_, nullptr));
}

Outcomes::~Outcomes() {
    const WithoutGil without_gil;
    fanwire_inbox_destroy(&inbox_);
}

// Takes one event from the inbox; whether it is the outcome of publish `number`. Those of earlier publishes, whose
// callers gave up, are dropped.
bool Outcomes::take(std::uintptr_t number, fanwire_event& outcome) {
    std::size_t count = 0;
    check(fanwire_inbox_drain(inbox_, &outcome, sizeof outcome, 1, &count));
    if (count == 0) return false;
    if (outcome.user_data == reinterpret_cast<void*>(number)) return true;
    fanwire_events_release(&outcome, sizeof outcome, 1);
    return false;
}

std::uint64_t Outcomes::publish(Engine& engine, py::handle channel, py::handle value, std::uint64_t timeout_ms) {
    const std::uintptr_t number = ++last_number_;
    engine.publish(BytesView::of_name(channel, "channel"), BytesView::of_payload(value), inbox_,
                   reinterpret_cast<void*>(number));

    fanwire_event outcome{};
    bool found = false;
    const int status = wait_in_slices(timeout_ms, [&](std::uint64_t ms) {
        const int waited = fanwire_inbox_wait(inbox_, ms);
        if (waited != FANWIRE_OK) return waited;
        found = take(number, outcome);
        return found ? int{FANWIRE_OK} : int{FANWIRE_TIMEOUT};
    });
    if (!found) {
        check(status == FANWIRE_TIMEOUT ? int{FANWIRE_OK} : status);
        throw Failure{FANWIRE_TIMEOUT, "no outcome in time; the publish is still under way"};
    }
    const Failure failure{outcome.status, outcome.text != nullptr ? outcome.text : ""};
    fanwire_events_release(&outcome, sizeof outcome, 1);
    if (failure.status != FANWIRE_OK) throw failure;
    return outcome.count;
}

void define_outcomes(py::module_& module) {
    py::class_<Outcomes>(module, "Outcomes").def(py::init()).def("publish", &Outcomes::publish);
}

}  // namespace fanwire::python
