#include "core/fanout/subscription.h"

#include <new>
#include <string>

namespace fanwire::core {

namespace {

const Error closed_error{Status::CLOSED, "the engine is closed"};

}  // namespace

Subscription::~Subscription() {
    if (!has_reason_) return;
    std::lock_guard lock(monitor().mutex);
    monitor().reasons.erase(this);
}

void Subscription::open() {
    Monitor& door = monitor();
    std::lock_guard lock(door.queue_mutex);
    if (door.queue_closed) throw Failure(closed_error);
    queue();
    door.wake();
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
    Monitor& door = monitor();
    std::lock_guard lock(door.queue_mutex);
    if (given_up()) return Status::UNSUBSCRIBED;
    if (door.queue_closed) return Status::CLOSED;
    if (!give_up()) return Status::UNSUBSCRIBED;
    door.subscriptions.fetch_sub(1);
    queue();
    door.wake();
    return Status::OK;
}

void Subscription::queue() noexcept {
    if ((asked_.fetch_or(queued, std::memory_order_acq_rel) & queued) != 0) return;
    Monitor& door = monitor();
    retain();
    next_queued_ = nullptr;
    (door.queued_first ? door.queued_last->next_queued_ : door.queued_first) = this;
    door.queued_last = this;
}

void Subscription::wait_active(Deadline deadline) {
    Monitor& watched = monitor();
    std::unique_lock lock(watched.mutex);
    // What was seen last: by the time it is told the state may be another, but it has been this one. It fails under the
    // mutex, and so does the reason change: the two belong together.
    SubscriptionState seen = SubscriptionState::pending;
    const auto decided = [&] {
        seen = state();
        if (seen == SubscriptionState::active || seen == SubscriptionState::ended || given_up()) return true;
        return seen == SubscriptionState::failed && static_cast<Status>(why_) != Status::OK;
    };
    if (!watched.wait(lock, deadline, decided)) {
        std::string text = "Redis has not confirmed the subscription yet";
        if (watched.connection != Monitor::Connection::up && watched.connection_error)
            text += ": " + watched.connection_error.text;
        throw Failure(Status::TIMEOUT, text);
    }
    // Given up, it ends without a reason.
    const bool ended_so = seen == SubscriptionState::ended && static_cast<Status>(why_) == Status::OK;
    if (given_up() || ended_so) throw Failure(Status::UNSUBSCRIBED, "the subscription has been unsubscribed");
    if (seen == SubscriptionState::active) return;
    const Reason reason = why_locked();
    lock.unlock();
    const StatusRow* const row = find_status(static_cast<int>(reason.status));
    throw Failure(reason.status, std::string(reason.text ? reason.text->payload() : row ? row->text : ""));
}

void Subscription::change(SubscriptionState state, const Reason& why) noexcept {
    // Only this thread writes the reason. One that is no longer true goes with the state that it was of.
    if (why.status == Status::OK && static_cast<Status>(why_) == Status::OK && !has_reason_) {
        state_.store(state);
    } else {
        std::lock_guard lock(monitor().mutex);
        why_ = static_cast<std::uint8_t>(why.status);
        try {
            if (state == SubscriptionState::failed && why.text) {
                monitor().reasons[this] = why.text;
                has_reason_ = true;
            } else if (has_reason_) {
                monitor().reasons.erase(this);
                has_reason_ = false;
            }
        } catch (const std::bad_alloc&) {  // then the status alone says it
        }
        state_.store(state);
    }
    monitor().notify();
}

Reason Subscription::why() const noexcept {
    std::lock_guard lock(monitor().mutex);
    return why_locked();
}

Reason Subscription::why_locked() const noexcept {
    const Monitor& watched = monitor();
    Reason reason;
    reason.status = static_cast<Status>(why_);
    const auto found = watched.reasons.find(this);
    if (found != watched.reasons.end()) reason.text = found->second;
    return reason;
}

}  // namespace fanwire::core
