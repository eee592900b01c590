#include "core/fanout/fanout.h"

#include <new>

namespace fanwire::core {

Fanout::~Fanout() = default;

Fanout::Topic* Fanout::find(TargetKind kind, std::string_view target) {
    Topics& all = topics(kind);
    const auto found = all.find(target);
    return found == all.end() ? nullptr : found->second.get();
}

NameRef Fanout::add(SubscriptionRef subscription) {
    Topic* topic = find(subscription->kind(), subscription->target().name->view());
    const bool first = topic == nullptr;
    if (first) {
        auto made = std::make_unique<Topic>();
        made->name = subscription->target().name;
        made->subscriptions.push_back(subscription);
        topic = made.get();
        topics(subscription->kind()).emplace(topic->name->view(), std::move(made));
        metrics_.subscriptions_desired.add();
    } else {
        topic->subscriptions.push_back(subscription);
    }
    metrics_.subscriptions.add();
    subscription->place = topic->subscriptions.size() - 1;
    subscription->added = true;
    if (topic->confirmed)
        become_active(*subscription);
    else if (topic->refused)
        fail(*subscription, topic->refused);
    return first ? topic->name : nullptr;
}

void Fanout::take_back(Subscription& subscription) noexcept {
    const NameRef name = subscription.target().name;  // the map's key is a view of it
    topics(subscription.kind()).erase(name->view());
    subscription.added = false;
    metrics_.subscriptions.sub();
    metrics_.subscriptions_desired.sub();
}

void Fanout::refuse(Subscription& subscription, const Error& why) noexcept {
    subscription.change(SubscriptionState::ended, why);
    push(subscription, Event::of(EventKind::ended, why));
}

NameRef Fanout::remove(Subscription& subscription, const Error& why) noexcept {
    if (subscription.state() == SubscriptionState::ended) return nullptr;
    SubscriptionRef keep = SubscriptionRef::share(&subscription);
    NameRef name = subscription.target().name;
    Topic* topic = find(subscription.kind(), name->view());
    if (!topic) return nullptr;

    auto& all = topic->subscriptions;
    const std::size_t place = subscription.place;
    if (place + 1 != all.size()) {
        all[place] = std::move(all.back());
        all[place]->place = place;
    }
    all.pop_back();
    end(subscription, why);
    if (!all.empty()) return nullptr;

    set_confirmed(*topic, false);
    set_refused(*topic, {});
    metrics_.subscriptions_desired.sub();
    name = topic->name;  // the map's key is a view of this very name: keep it until the entry is gone
    topics(subscription.kind()).erase(name->view());
    return name;
}

void Fanout::remove_all(const Error& why) noexcept {
    for (Topics* all : {&channels_, &patterns_}) {
        for (auto& [name, topic] : *all)
            for (const SubscriptionRef& subscription : topic->subscriptions) end(*subscription, why);
        all->clear();
    }
    metrics_.subscriptions_desired.set(0);
    metrics_.subscriptions_confirmed.set(0);
    metrics_.subscriptions_refused.set(0);
}

void Fanout::end(Subscription& subscription, const Error& why) {
    subscription.change(SubscriptionState::ended, why);
    metrics_.subscriptions.sub();
    push(subscription, Event::of(EventKind::ended, why));
}

MessageRef Fanout::make_message(const Topic& topic, TargetKind kind, std::string_view channel, std::string_view payload,
                                std::uint64_t received_us, MessageRef& shared) const {
    ScopedName from, by;
    if (kind == TargetKind::channel) {
        from = topic.subscriptions.front()->target();
    } else {
        from = {Name::make(channel), channel_prefix_size_};
        by = topic.subscriptions.front()->target();
    }
    if (shared) return Message::make_sharing(std::move(from), std::move(by), shared);
    return shared = Message::make(std::move(from), std::move(by), payload, received_us);
}

void Fanout::message(TargetKind kind, std::string_view target, std::string_view channel, std::string_view payload,
                     std::uint64_t received_us, MessageRef& shared) noexcept {
    Topic* topic = find(kind, target);
    // Given up a moment ago; or wanted again while Redis still has to unsubscribe it: the stream begins with ACTIVE.
    if (!topic || !topic->confirmed) return;
    Event event = Event::of(EventKind::message);
    try {
        event.message = make_message(*topic, kind, channel, payload, received_us, shared);
    } catch (const std::bad_alloc&) {
        for (const SubscriptionRef& subscription : topic->subscriptions)
            if (subscription->inbox()->push_missing(*subscription)) wake_later(subscription->inbox());
        return;
    }
    for (const SubscriptionRef& subscription : topic->subscriptions) push(*subscription, event);
}

void Fanout::active(TargetKind kind, std::string_view target) noexcept {
    Topic* topic = find(kind, target);
    if (!topic || topic->confirmed) return;
    set_confirmed(*topic, true);
    set_refused(*topic, {});
    for (const SubscriptionRef& subscription : topic->subscriptions) become_active(*subscription);
}

void Fanout::become_active(Subscription& subscription) {
    subscription.change(SubscriptionState::active);
    if (subscription.was_active) {
        Event gap = Event::of(EventKind::gap);
        gap.reason = gap_reason_;
        gap.count = count_unknown;
        metrics_.gaps.add();
        push(subscription, std::move(gap));
        push(subscription, Event::of(EventKind::resumed));
    } else {
        subscription.was_active = true;
        push(subscription, Event::of(EventKind::active));
    }
}

void Fanout::failed(TargetKind kind, std::string_view target, const Error& why) noexcept {
    if (Topic* topic = find(kind, target)) become_failed(*topic, why);
}

void Fanout::failed_all(const Error& why) noexcept {
    for (Topics* all : {&channels_, &patterns_})
        for (auto& [name, topic] : *all) become_failed(*topic, why);
}

void Fanout::become_failed(Topic& topic, const Error& why) {
    set_confirmed(topic, false);
    set_refused(topic, why);
    for (const SubscriptionRef& subscription : topic.subscriptions) fail(*subscription, why);
}

void Fanout::fail(Subscription& subscription, const Error& why) {
    subscription.change(SubscriptionState::failed, why);
    push(subscription, Event::of(EventKind::failed, why));
}

void Fanout::lost(const Error& why) noexcept {
    for (Topics* all : {&channels_, &patterns_}) {
        for (auto& [name, topic] : *all) {
            set_refused(*topic, {});
            if (!topic->confirmed) continue;
            set_confirmed(*topic, false);
            const Event event = Event::of(EventKind::lost, why);
            for (const SubscriptionRef& subscription : topic->subscriptions) {
                subscription->change(SubscriptionState::lost, why);
                push(*subscription, event);
            }
        }
    }
}

void Fanout::set_confirmed(Topic& topic, bool confirmed) {
    if (topic.confirmed == confirmed) return;
    topic.confirmed = confirmed;
    if (confirmed)
        metrics_.subscriptions_confirmed.add();
    else
        metrics_.subscriptions_confirmed.sub();
}

void Fanout::set_refused(Topic& topic, const Error& why) noexcept {
    if (static_cast<bool>(topic.refused) != static_cast<bool>(why)) {
        if (why)
            metrics_.subscriptions_refused.add();
        else
            metrics_.subscriptions_refused.sub();
    }
    topic.refused = why;
}

void Fanout::push(Subscription& subscription, Event event) noexcept {
    event.user_data = subscription.user_data();
    if (subscription.inbox()->push(subscription, std::move(event))) wake_later(subscription.inbox());
}

void Fanout::settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                    const Error& error) noexcept {
    if (sink->settle(publishes, error)) wake_later(sink);
}

void Fanout::tell(const std::shared_ptr<Inbox>& inbox, Event event) noexcept {
    if (inbox && inbox->push(std::move(event))) wake_later(inbox);
}

void Fanout::wake_later(const std::shared_ptr<OutcomeSink>& sink) noexcept {
    try {
        to_wake_.push_back(sink);
    } catch (const std::bad_alloc&) {
        sink->signal();
    }
}

void Fanout::commit() {
    for (const std::shared_ptr<OutcomeSink>& sink : to_wake_) sink->signal();
    to_wake_.clear();
}

}  // namespace fanwire::core
