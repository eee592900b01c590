#include "core/fanout/dispatcher.h"

#include "core/base/thread.h"

namespace fanwire::core {

namespace {
constexpr std::size_t batch = 256;
}

Dispatcher::Dispatcher(std::shared_ptr<Inbox> inbox, Callback callback) : state_(std::make_shared<State>()) {
    state_->inbox = std::move(inbox);
    state_->callback = std::move(callback);
    state_->events.reserve(batch);
    state_->owners.reserve(batch);
    thread_ = start_thread("fanwire-handler", [state = state_] { run(state); });
}

Dispatcher::~Dispatcher() {
    state_->stop.store(true);
    state_->inbox->interrupt();
    if (thread_.get_id() == std::this_thread::get_id())
        thread_.detach();
    else
        thread_.join();
}

void Dispatcher::run(const std::shared_ptr<State>& state) {
    std::vector<Event>& events = state->events;
    std::vector<SubscriptionRef>& owners = state->owners;
    while (!state->stop.load() && state->inbox->wait()) {
        state->inbox->drain(events, batch, &owners);
        for (std::size_t i = 0; i < events.size() && !state->stop.load(); ++i) {
            // Given up since the drain, perhaps by the callback before this one: nothing follows but its end.
            if (owners[i] && owners[i]->given_up() && events[i].kind != EventKind::ended) continue;
            try {
                state->callback(events[i]);
            } catch (...) {
                state->errors.fetch_add(1, std::memory_order_relaxed);
            }
        }
        events.clear();
        owners.clear();
    }
}

}  // namespace fanwire::core
