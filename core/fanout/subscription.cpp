#include "core/fanout/subscription.h"

#include <new>
#include <string>

namespace fanwire::core {

Subscription::~Subscription() {
    if (!has_reason_) return;
    std::lock_guard lock(share().changed.mutex);
    share().reasons.erase(this);
}

void Subscription::open() {
    share().queue.add(*this);
}

void Subscription::unsubscribe() {
    switch (end()) {
        case Status::OK:
            return;
        case Status::CLOSED:
            throw Failure(closed_error);
        default:
            throw Failure(Status::UNSUBSCRIBED, "the subscription has been unsubscribed before");
    }
}

Status Subscription::end() noexcept {
    return share().queue.abandon(*this);
}

void Subscription::wait_active(Deadline deadline) {
    ChangeSignal& changed = share().changed;
    std::unique_lock lock(changed.mutex);
    // The state that was seen last: by the time it is reported there may be another, but it has been this one. A
    // subscription fails under the mutex, and its reason changes under it as well: the two belong together.
    SubscriptionState seen = SubscriptionState::pending;
    const auto decided = [&] {
        seen = state();
        if (seen == SubscriptionState::active || seen == SubscriptionState::ended || abandoned()) return true;
        return seen == SubscriptionState::failed && static_cast<Status>(why_) != Status::OK;
    };
    if (!changed.wait(lock, deadline, decided)) {
        std::string text = "Redis has not confirmed the subscription yet";
        if (const Error why = share().state.why_not_locked()) text += ": " + why.text;
        throw Failure(Status::TIMEOUT, text);
    }
    // An abandoned subscription ends without a reason.
    const bool ended_so = seen == SubscriptionState::ended && static_cast<Status>(why_) == Status::OK;
    if (abandoned() || ended_so) throw Failure(Status::UNSUBSCRIBED, "the subscription has been unsubscribed");
    if (seen == SubscriptionState::active) return;
    const Reason reason = why_locked();
    lock.unlock();
    const StatusRow* const row = find_status(static_cast<int>(reason.status));
    throw Failure(reason.status, std::string(reason.text ? reason.text->payload() : row ? row->text : ""));
}

void Subscription::change(SubscriptionState state, const Reason& why) noexcept {
    // Only this thread writes the reason, which is dropped with the state that it explained.
    if (why.status == Status::OK && static_cast<Status>(why_) == Status::OK && !has_reason_) {
        state_.store(state);
    } else {
        std::lock_guard lock(share().changed.mutex);
        why_ = static_cast<std::uint8_t>(why.status);
        try {
            if (state == SubscriptionState::failed && why.text) {
                share().reasons[this] = why.text;
                has_reason_ = true;
            } else if (has_reason_) {
                share().reasons.erase(this);
                has_reason_ = false;
            }
        } catch (const std::bad_alloc&) {  // the status alone remains
        }
        state_.store(state);
    }
    share().changed.notify();
}

Reason Subscription::why() const noexcept {
    std::lock_guard lock(share().changed.mutex);
    return why_locked();
}

Reason Subscription::why_locked() const noexcept {
    const auto& reasons = share().reasons;
    Reason reason;
    reason.status = static_cast<Status>(why_);
    const auto found = reasons.find(this);
    if (found != reasons.end()) reason.text = found->second;
    return reason;
}

}  // namespace fanwire::core
