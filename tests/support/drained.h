// What an inbox's drain gives, as events in a vector.
#pragma once

#include <utility>
#include <vector>

#include "core/fanout/inbox.h"

namespace fanwire::core {

struct Drained {
    std::vector<Event> events;
    std::vector<Subscription*> owners;

    explicit Drained(Inbox& inbox, std::size_t capacity = SIZE_MAX) { inbox.drain(batch_, capacity, *this); }

    void message(Subscription& subscription, Message* message) {
        Event event = Event::of(EventKind::message);
        event.user_data = subscription.user_data();
        event.message = MessageRef::adopt(message);
        this->event(&subscription, std::move(event));
    }
    void event(Subscription* subscription, Event&& event) {
        events.push_back(std::move(event));
        owners.push_back(subscription);
    }

 private:
    Inbox::Batch batch_;  // keeps those that have ended
};

}  // namespace fanwire::core
