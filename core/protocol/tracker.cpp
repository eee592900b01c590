#include "core/protocol/tracker.h"

#include <algorithm>
#include <new>
#include <utility>

#include "core/base/text.h"
#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

namespace {

std::string_view word_for(bool subscribe, TargetKind kind) {
    if (kind == TargetKind::channel) return subscribe ? "SUBSCRIBE" : "UNSUBSCRIBE";
    return subscribe ? "PSUBSCRIBE" : "PUNSUBSCRIBE";
}

}  // namespace

void SubscriptionTracker::want(Topic& topic, TimeMs) noexcept {
    topic.wanted = true;
    if (!live_) await(topic);
    if (topic.phase == Phase::subscribed) {
        move(topic, subscribed_);
        listener_.confirmed(topic);
    } else if (topic.phase == Phase::none && (!topic.linked() || topic.timed)) {
        move(topic, queue_);
    }
}

void SubscriptionTracker::unwant(Topic& topic, TimeMs now) noexcept {
    if (!topic.linked() || !topic.wanted) return;
    topic.wanted = false;
    answered(topic);
    if (topic.phase == Phase::subscribed)
        linger(topic, now);
    else if (topic.phase == Phase::none)
        forget(topic);
}

// Every topic in the queue needs a command: it is wanted but not subscribed, or subscribed but not wanted.
bool SubscriptionTracker::next_command(std::string& out) {
    if (!live_ || queue_.empty()) return false;
    const Topic& first = queue_.front();
    Command command{first.wanted ? Verb::subscribe : Verb::unsubscribe, first.kind()};
    std::size_t bytes = 0;
    for (const Topic* topic = &first; topic; topic = queue_.after(*topic)) {
        const bool fits = topic->wanted == first.wanted && topic->kind() == first.kind() && !topic->alone;
        if (topic != &first && (!fits || command.names == batch_names_max || bytes >= batch_bytes_max)) break;
        ++command.names;
        bytes += topic->view().size();
        if (topic->alone) break;
    }

    commands_.push_back(command);
    append_count(out, '*', command.names + std::size_t{1});
    append_bulk(out, word_for(command.verb == Verb::subscribe, command.kind));
    for (std::uint32_t i = 0; i < command.names; ++i) {
        Topic& topic = queue_.front();
        queue_.prefetch();
        append_bulk(out, topic.view());
        move(topic, under_way_);
        topic.phase = topic.wanted ? Phase::subscribing : Phase::unsubscribing;
    }
    return true;
}

void SubscriptionTracker::pinged() {
    commands_.push_back({Verb::ping, TargetKind::channel});
}

std::string_view SubscriptionTracker::unanswered() const {
    if (commands_.empty() || commands_.front().verb == Verb::ping) return "PING";
    return word_for(commands_.front().verb == Verb::subscribe, commands_.front().kind);
}

bool SubscriptionTracker::ponged() {
    if (commands_.empty() || commands_.front().verb != Verb::ping) return false;
    commands_.pop_front();
    return true;
}

bool SubscriptionTracker::acknowledged(bool subscribed, TargetKind kind, std::string_view name, TimeMs now) {
    if (commands_.empty()) return false;
    Command& command = commands_.front();
    if (command.verb != (subscribed ? Verb::subscribe : Verb::unsubscribe) || command.kind != kind) return false;
    Topic& topic = under_way_.front();
    if (topic.view() != name) return false;
    if (++command.acknowledged == command.names) commands_.pop_front();
    under_way_.prefetch();

    topic.phase = subscribed ? Phase::subscribed : Phase::none;
    topic.alone = false;
    answered(topic);
    topic.refusals = 0;
    if (subscribed && topic.wanted) {
        move(topic, subscribed_);
        listener_.confirmed(topic);
    } else if (subscribed) {
        linger(topic, now);
    } else if (topic.wanted) {
        move(topic, queue_);
    } else {
        forget(topic);
    }
    return true;
}

bool SubscriptionTracker::refused(std::string_view error, TimeMs now) {
    if (commands_.empty() || commands_.front().acknowledged != 0) return false;
    const Command command = commands_.front();
    commands_.pop_front();
    if (command.verb == Verb::ping) return true;  // PING is not allowed, but that was an answer to it

    const bool subscribe = command.verb == Verb::subscribe;
    for (std::uint32_t i = 0; i < command.names; ++i) {
        Topic& topic = under_way_.front();
        topic.phase = subscribe ? Phase::none : Phase::subscribed;
        if (!subscribe && topic.wanted) {
            move(topic, subscribed_);
            listener_.confirmed(topic);  // it is still subscribed, and wanted again
        } else if (subscribe && !topic.wanted) {
            forget(topic);
        } else if (command.names > 1) {  // one of the names was refused: asking for each by itself shows which
            topic.alone = true;
            move(topic, queue_);
        } else {
            answered(topic);
            retry_later(topic, now);
            if (subscribe) {
                const std::string what = std::string(word_for(true, command.kind)) + " " + quote(topic.view());
                listener_.refused(topic, error_of_reply(what, error));
            }
        }
    }
    return true;
}

void SubscriptionTracker::begin() {
    live_ = true;
}

// While it is not live everything that is wanted stands in the queue already.
void SubscriptionTracker::end(const Error& why) noexcept {
    if (!std::exchange(live_, false)) return;
    commands_.clear();
    TopicList wanted;
    TopicBatch lost([&](std::span<Topic* const> topics) { listener_.lost(topics, why); });
    const auto reset = [&](TopicList& list) {
        for (Topic *topic = list.first(), *next = nullptr; topic; topic = next) {
            next = list.after(*topic);
            topic->phase = Phase::none;
            topic->alone = topic->timed = false;
            if (!topic->wanted) {
                forget(*topic);
                continue;
            }
            await(*topic);
            lost.add(*topic);
        }
        wanted.append(list);
    };
    for (TopicList* list : {&subscribed_, &under_way_, &queue_}) reset(*list);
    for (TopicList& list : waiting_) reset(list);
    timed_ = 0;
    queue_.append(wanted);
}

void SubscriptionTracker::await(Topic& topic) noexcept {
    awaited_ += topic.awaited ? 0 : 1;
    topic.awaited = true;
}

void SubscriptionTracker::answered(Topic& topic) noexcept {
    awaited_ -= topic.awaited ? 1 : 0;
    topic.awaited = false;
}

void SubscriptionTracker::tick(TimeMs now) {
    now_ = now;
    if (timed_ == 0) return;
    for (TopicList& list : waiting_)
        while (!list.empty() && due(list.front()) <= now) move(list.front(), queue_);
}

TimeMs SubscriptionTracker::deadline() const {
    TimeMs first = never;
    if (timed_ == 0) return first;
    for (const TopicList& list : waiting_)
        if (!list.empty()) first = std::min(first, due(list.front()));
    return first;
}

void SubscriptionTracker::linger(Topic& topic, TimeMs now) noexcept {
    if (linger_ == 0)
        move(topic, queue_);
    else
        wait(topic, 0, now, linger_);
}

void SubscriptionTracker::retry_later(Topic& topic, TimeMs now) noexcept {
    TimeMs delay = retry_first;
    std::size_t doubled = 0;
    for (; doubled < topic.refusals && delay < retry_max_; ++doubled) delay *= 2;
    if (topic.refusals < delays - 2) ++topic.refusals;
    wait(topic, 1 + doubled, now, std::min(delay, std::max(retry_max_, retry_first)));
}

void SubscriptionTracker::wait(Topic& topic, std::size_t delay_index, TimeMs now, TimeMs delay) noexcept {
    now_ = now;
    move(topic, waiting_[delay_index]);
    topic.timed = true;
    topic.due = static_cast<std::uint32_t>(now + delay);
    ++timed_;
}

// Topic::due keeps the low 32 bits of a time; the full time is the one nearest to `now_`.
TimeMs SubscriptionTracker::due(const Topic& topic) const {
    return now_ + static_cast<std::int32_t>(topic.due - static_cast<std::uint32_t>(now_));
}

void SubscriptionTracker::move(Topic& topic, TopicList& to) noexcept {
    if (topic.linked())
        topic.unlink();
    else
        ++size_;
    timed_ -= topic.timed ? 1 : 0;
    topic.timed = false;
    to.append(topic);
}

void SubscriptionTracker::forget(Topic& topic) noexcept {
    topic.unlink();
    --size_;
    timed_ -= topic.timed ? 1 : 0;
    topic.timed = topic.alone = false;
    topic.refusals = 0;
    topics_.forget_if_unused(topic);
}

}  // namespace fanwire::core
