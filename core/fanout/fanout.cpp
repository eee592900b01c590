#include "core/fanout/fanout.h"

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include "core/message/frame.h"

namespace fanwire::core {

// Staged messages still go to the inboxes, which may be drained after the engine is gone. Subscriptions that are left
// are released.
Fanout::~Fanout() {
    commit();
    topics_.for_each([](Topic& topic) {
        for (Subscription* const subscription : topic.subscriptions()) subscription->release();
        topic.clear();
    });
}

Topic* Fanout::add(SubscriptionRef subscription) {
    Topic& topic = topics_.intern(subscription->topic());
    const bool first = topic.subscriptions().empty();
    topic.append(*subscription);  // the first needs no memory: no topic is left behind
    subscription->set_topic(TopicRef::share(&topic));
    subscription->topic_index = static_cast<std::uint32_t>(topic.subscriptions().size() - 1);
    subscription->added = true;
    Subscription& added = *subscription.detach();  // the topic's reference
    metrics_.subscriptions.add();
    if (first) metrics_.subscriptions_desired.add();
    if (topic.confirmed)
        become_active(added, topic.lost_for);
    else if (topic.refused)
        fail(added, topic.subscriptions().front()->why());
    return first ? &topic : nullptr;
}

void Fanout::take_back(Subscription& subscription) noexcept {
    Topic& topic = *subscription.topic();
    topic.remove(subscription.topic_index);
    topics_.forget_if_unused(topic);
    subscription.added = false;
    metrics_.subscriptions.sub();
    metrics_.subscriptions_desired.sub();
    subscription.release();
}

void Fanout::refuse(Subscription& subscription, const Error& why) noexcept {
    const Reason reason(why);
    subscription.change(SubscriptionState::ended, reason);
    push(subscription, Event::of(EventKind::ended, reason));
}

TopicRef Fanout::remove(Subscription& subscription, const Error& why) noexcept {
    if (subscription.state() == SubscriptionState::ended) return nullptr;
    const TopicRef topic = subscription.topic();
    if (Subscription* const moved = topic->remove(subscription.topic_index))
        moved->topic_index = subscription.topic_index;
    end(subscription, Reason(why));
    subscription.release();
    if (!topic->subscriptions().empty()) return nullptr;

    set_confirmed(*topic, false);
    set_refused(*topic, false);
    metrics_.subscriptions_desired.sub();
    return topic;
}

void Fanout::remove_all(const Error& why) noexcept {
    const Reason reason(why);
    topics_.for_each([&](Topic& topic) {
        topic.confirmed = topic.refused = false;
        for (Subscription* const subscription : topic.subscriptions()) {
            end(*subscription, reason);
            subscription->release();
        }
        topic.clear();
    });
    topics_.forget_unused();
    metrics_.subscriptions_desired.set(0);
    metrics_.subscriptions_confirmed.set(0);
    metrics_.subscriptions_refused.set(0);
}

void Fanout::end(Subscription& subscription, const Reason& why) {
    subscription.change(SubscriptionState::ended, why);
    metrics_.subscriptions.sub();
    push(subscription, Event::of(EventKind::ended, why));
}

inline MessageRef Fanout::make_message(const Topic& topic, std::string_view channel, std::string_view payload,
                                       std::uint64_t received_us, const MessageRef* shared) const {
    MessageNames names{topic.user_view(), {}};
    if (topic.kind() == TargetKind::pattern)
        names = {channel.substr(std::min<std::size_t>(channel.size(), channel_prefix_size_)), names.channel, true};
    if (shared && *shared) return make_sharing(names, *shared, channel, payload, received_us);
    if (frame::begins(payload)) return without_head(Message::make(names, payload, received_us, pool_.get()), channel);
    return Message::make(names, payload, received_us, pool_.get());
}

MessageRef Fanout::make_sharing(const MessageNames& names, const MessageRef& owner, std::string_view channel,
                                std::string_view payload, std::uint64_t received_us) const {
    MessageRef message = Message::make_sharing(names, owner, payload, received_us, pool_.get());
    // An earlier message of the same payload has had its head taken off.
    const bool known = payload.data() == owner->payload().data();
    if (known && owner->is_request()) message->take_off_head(0, true);
    return known || !frame::begins(payload) ? message : without_head(std::move(message), channel);
}

// For a payload that begins like a frame: takes the head off. What is no frame of a kind that comes on channels stays
// as it is.
MessageRef Fanout::without_head(MessageRef message, std::string_view channel) noexcept {
    const std::string_view payload = message->payload();
    const std::optional<frame::Head> head = frame::head_of(payload);
    if (!head || head->kind == frame::Kind::reply) return message;
    const bool is_request = head->kind == frame::Kind::request;
    if (is_request && frame::address_of(payload.substr(0, head->size)).prefix_size > channel.size()) return message;
    message->take_off_head(head->size, is_request);
    return message;
}

void Fanout::message(Topic& topic, std::string_view channel, std::string_view payload, std::uint64_t received_us,
                     MessageRef* shared) noexcept {
    // The topic has just been abandoned, or is wanted again while Redis still has to unsubscribe it. A stream begins
    // with ACTIVE, so this message is in none.
    if (!topic.confirmed) return;
    const std::span<Subscription* const> subscriptions = topic.subscriptions();
    Message* message;
    try {
        message = make_message(topic, channel, payload, received_us, shared).detach();
    } catch (const std::bad_alloc&) {
        for (Subscription* const subscription : subscriptions) {
            staging_.flush(subscription->outlet());
            if (subscription->inbox()->push_missing(*subscription)) staging_.wake_later(subscription->inbox());
        }
        return;
    }
    if (shared && !*shared) *shared = MessageRef::share(message);
    if (subscriptions.size() > 1) message->retain(static_cast<std::uint32_t>(subscriptions.size() - 1));
    // Subscriptions lie anywhere in memory, so the next ones are prefetched.
    constexpr std::size_t ahead = 32;
    const std::size_t fetched = subscriptions.size() > ahead ? subscriptions.size() - ahead : 0;
    for (std::size_t i = 0; i < fetched; ++i) {
        subscriptions[i + ahead]->prefetch();
        staging_.add(*subscriptions[i], message);
    }
    for (std::size_t i = fetched; i < subscriptions.size(); ++i) staging_.add(*subscriptions[i], message);
}

void Fanout::active(Topic& topic, GapReason reason) noexcept {
    if (topic.confirmed || topic.subscriptions().empty()) return;
    // Of a break whose cause was not known. What was lost for a better one, with another server perhaps, keeps that.
    if (reason != GapReason::none && topic.lost_for == GapReason::reconnect) topic.lost_for = reason;
    set_confirmed(topic, true);
    set_refused(topic, false);
    for (Subscription* const subscription : topic.subscriptions()) become_active(*subscription, topic.lost_for);
}

void Fanout::become_active(Subscription& subscription, GapReason reason) {
    subscription.change(SubscriptionState::active);
    if (subscription.was_active) {
        Event gap = Event::of(EventKind::gap);
        gap.reason = reason;
        gap.count = count_unknown;
        metrics_.gaps.add();
        push(subscription, std::move(gap));
        push(subscription, Event::of(EventKind::resumed));
    } else {
        subscription.was_active = true;
        push(subscription, Event::of(EventKind::active));
    }
}

void Fanout::failed(Topic& topic, const Error& why) noexcept {
    become_failed(topic, Reason(why));
}

void Fanout::failed_all(const Error& why) noexcept {
    const Reason reason(why);
    topics_.for_each([&](Topic& topic) { become_failed(topic, reason); });
}

void Fanout::wanted_again() noexcept {
    topics_.for_each([&](Topic& topic) {
        set_refused(topic, false);
        for (Subscription* const subscription : topic.subscriptions())
            if (subscription->state() == SubscriptionState::failed)
                subscription->change(subscription->was_active ? SubscriptionState::lost : SubscriptionState::pending);
    });
}

void Fanout::become_failed(Topic& topic, const Reason& why) {
    if (topic.subscriptions().empty()) return;
    if (topic.confirmed) topic.lost_for = GapReason::reconnect;
    set_confirmed(topic, false);
    set_refused(topic, true);
    for (Subscription* const subscription : topic.subscriptions()) fail(*subscription, why);
}

void Fanout::fail(Subscription& subscription, const Reason& why) {
    subscription.change(SubscriptionState::failed, why);
    push(subscription, Event::of(EventKind::failed, why));
}

void Fanout::lost(std::span<Topic* const> topics, const Error& why, GapReason reason) noexcept {
    const Event event = Event::of(EventKind::lost, why);
    // There may be a million of them: an inbox is locked once for many.
    std::array<Subscription*, 256> told;
    std::size_t count = 0;
    const auto tell_them = [&] {
        if (count > 0) push({told.data(), std::exchange(count, 0)}, event);
    };
    for (Topic* const topic : topics) {
        set_refused(*topic, false);
        if (!topic->confirmed) continue;
        set_confirmed(*topic, false);
        topic->lost_for = reason;
        for (Subscription* const subscription : topic->subscriptions()) {
            subscription->change(SubscriptionState::lost);
            if (count == told.size() || (count > 0 && told[0]->inbox() != subscription->inbox())) tell_them();
            told[count++] = subscription;
        }
    }
    tell_them();
}

void Fanout::set_confirmed(Topic& topic, bool confirmed) {
    if (topic.confirmed == confirmed) return;
    topic.confirmed = confirmed;
    if (confirmed)
        metrics_.subscriptions_confirmed.add();
    else
        metrics_.subscriptions_confirmed.sub();
}

void Fanout::set_refused(Topic& topic, bool refused) {
    if (topic.refused == refused) return;
    topic.refused = refused;
    if (refused)
        metrics_.subscriptions_refused.add();
    else
        metrics_.subscriptions_refused.sub();
}

// The subscriptions all use one inbox.
void Fanout::push(std::span<Subscription* const> subscriptions, const Event& event) noexcept {
    const std::shared_ptr<Inbox>& inbox = subscriptions[0]->inbox();
    staging_.flush(*inbox);
    if (inbox->push(subscriptions, event)) staging_.wake_later(inbox);
}

void Fanout::push(Subscription& subscription, Event event) noexcept {
    event.user_data = subscription.user_data();
    staging_.flush(subscription.outlet());
    if (subscription.inbox()->push(subscription, std::move(event))) staging_.wake_later(subscription.inbox());
}

void Fanout::settle(const std::shared_ptr<OutcomeSink>& sink, std::span<const Settled> publishes,
                    const Error& error) noexcept {
    staging_.flush(*sink);
    if (sink->settle(publishes, error)) staging_.wake_later(sink);
}

void Fanout::queue_event(const std::shared_ptr<Inbox>& inbox, Event event) noexcept {
    if (!inbox) return;
    staging_.flush(*inbox);
    if (inbox->push(std::move(event))) staging_.wake_later(inbox);
}

bool Fanout::queue_reply(const std::shared_ptr<Inbox>& inbox, Event event) noexcept {
    bool kept;
    staging_.flush(*inbox);
    if (inbox->push_reply(std::move(event), kept)) staging_.wake_later(inbox);
    return kept;
}

}  // namespace fanwire::core
