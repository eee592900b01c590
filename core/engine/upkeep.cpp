#include "core/engine/upkeep.h"

#include "core/base/door.h"

namespace fanwire::core {

void Upkeep::look() {
    while (queue_.front()) look_at_front();
}

// If it throws, the subscription stays at the front.
void Upkeep::look_at_front() {
    Subscription& front = *queue_.front();
    if (!front.added && !front.abandoned()) add(front);
    FANWIRE_DOOR("added");
    // From here on it may be queued again; that it was abandoned before is seen below.
    const SubscriptionRef subscription = queue_.pop();
    if (subscription->abandoned()) end(*subscription, Error::of(Status::UNSUBSCRIBED, {"unsubscribed"}));
}

void Upkeep::add(Subscription& subscription) {
    Topic* const first = fanout_.add(SubscriptionRef::share(&subscription));
    if (!first) return;
    try {
        backend_.subscribe(*first);
    } catch (...) {
        fanout_.take_back(subscription);
        throw;
    }
    if (exhausted_) fanout_.failed(*first, exhausted_);  // until it is revived
}

void Upkeep::end(Subscription& subscription, const Error& why) noexcept {
    if (subscription.state() == SubscriptionState::ended) return;
    if (!subscription.added) return fanout_.refuse(subscription, why);
    if (const TopicRef last = fanout_.remove(subscription, why)) {
        backend_.unsubscribe(*last);
        topics_.forget_if_unused(*last);
    }
}

void Upkeep::abandon_retired() noexcept {
    fanout_.for_each([&](Subscription& subscription) {
        if (subscription.inbox()->retired()) queue_.abandon_retired(subscription);
    });
}

void Upkeep::end_all(const Error& why) noexcept {
    while (queue_.front()) end(*queue_.pop(), why);
}

}  // namespace fanwire::core
