#include "core/protocol/tracker.h"

#include <algorithm>
#include <new>

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

void SubscriptionTracker::want(TargetKind kind, const NameRef& name, TimeMs) {
    auto [place, added] = entries(kind).try_emplace(name->view());
    Entry& entry = place->second;
    if (added) {
        entry.name = name;  // the key is a view of this name, which lives as long as the entry
        entry.kind = kind;
        entry.timer = timers_.end();
    }
    entry.wanted = true;
    clear_timer(entry);
    if (entry.phase == Phase::subscribed)
        listener_.confirmed(kind, entry.name);
    else if (entry.phase == Phase::none)
        enqueue(entry);
}

void SubscriptionTracker::unwant(TargetKind kind, std::string_view name, TimeMs now) noexcept {
    const auto place = entries(kind).find(name);
    if (place == entries(kind).end()) return;
    Entry& entry = place->second;
    entry.wanted = false;
    clear_timer(entry);
    if (entry.phase == Phase::subscribed)
        linger(entry, now);
    else
        forget_if_idle(entry);
}

bool SubscriptionTracker::needs(const Entry& entry, Verb& verb) const {
    if (has_timer(entry)) return false;
    if (entry.wanted && entry.phase == Phase::none) {
        verb = Verb::subscribe;
        return true;
    }
    if (!entry.wanted && entry.phase == Phase::subscribed) {
        verb = Verb::unsubscribe;
        return true;
    }
    return false;
}

bool SubscriptionTracker::next_command(std::string& out) {
    Command command{Verb::ping, TargetKind::channel, 0, {}};
    std::size_t bytes = 0;
    while (queue_first_ && command.entries.size() < batch_names_max && bytes < batch_bytes_max) {
        Entry& entry = *queue_first_;
        Verb verb;
        if (!needs(entry, verb)) {
            dequeue();
            forget_if_idle(entry);
            continue;
        }
        const bool first = command.entries.empty();
        if (!first && (verb != command.verb || entry.kind != command.kind || entry.alone)) break;
        dequeue();
        command.verb = verb;
        command.kind = entry.kind;
        command.entries.push_back(&entry);
        bytes += entry.name->view().size();
        entry.phase = verb == Verb::subscribe ? Phase::subscribing : Phase::unsubscribing;
        if (entry.alone) break;
    }
    if (command.entries.empty()) return false;

    append_count(out, '*', command.entries.size() + 1);
    append_bulk(out, word_for(command.verb == Verb::subscribe, command.kind));
    for (const Entry* entry : command.entries) append_bulk(out, entry->name->view());
    commands_.push_back(std::move(command));
    return true;
}

void SubscriptionTracker::pinged() { commands_.push_back({Verb::ping, TargetKind::channel, 0, {}}); }

bool SubscriptionTracker::ponged() {
    if (commands_.empty() || commands_.front().verb != Verb::ping) return false;
    commands_.pop_front();
    return true;
}

bool SubscriptionTracker::acknowledged(bool subscribed, TargetKind kind, std::string_view name, TimeMs now) {
    if (commands_.empty()) return false;
    Command& command = commands_.front();
    if (command.verb != (subscribed ? Verb::subscribe : Verb::unsubscribe) || command.kind != kind) return false;
    Entry& entry = *command.entries[command.acknowledged];
    if (entry.name->view() != name) return false;
    if (++command.acknowledged == command.entries.size()) commands_.pop_front();

    entry.phase = subscribed ? Phase::subscribed : Phase::none;
    entry.alone = false;
    entry.refusals = 0;
    if (subscribed && entry.wanted)
        listener_.confirmed(kind, entry.name);
    else if (subscribed)
        linger(entry, now);
    else if (entry.wanted)
        enqueue(entry);
    else
        forget_if_idle(entry);
    return true;
}

bool SubscriptionTracker::refused(std::string_view error, TimeMs now) {
    if (commands_.empty() || commands_.front().acknowledged != 0) return false;
    const Command command = std::move(commands_.front());
    commands_.pop_front();
    if (command.verb == Verb::ping) return true;  // not allowed to PING; but that was an answer

    const bool subscribe = command.verb == Verb::subscribe;
    for (Entry* entry : command.entries) {
        entry->phase = subscribe ? Phase::none : Phase::subscribed;
        if (!subscribe && entry->wanted) {
            listener_.confirmed(command.kind, entry->name);  // still subscribed, and that is wanted again
        } else if (command.entries.size() > 1) {  // one of them is to blame; ask for each by itself to learn which
            entry->alone = true;
            enqueue(*entry);
        } else if (subscribe && !entry->wanted) {
            forget_if_idle(*entry);
        } else {
            retry_later(*entry, now);
            if (subscribe) {
                const std::string what = std::string(word_for(true, command.kind)) + " " + quote(entry->name->view());
                listener_.refused(command.kind, entry->name, error_of_reply(what, error));
            }
        }
    }
    return true;
}

void SubscriptionTracker::begin() {
    live_ = true;
    for (Entries* all : {&channels_, &patterns_})
        for (auto& [name, entry] : *all) enqueue(entry);
}

void SubscriptionTracker::end() noexcept {
    live_ = false;
    commands_.clear();
    queue_first_ = queue_last_ = nullptr;
    timers_.clear();
    for (Entries* all : {&channels_, &patterns_}) {
        std::erase_if(*all, [](const auto& item) { return !item.second.wanted; });
        for (auto& [name, entry] : *all) {
            entry.phase = Phase::none;
            entry.queued = entry.alone = false;
            entry.timer = timers_.end();
        }
    }
}

void SubscriptionTracker::tick(TimeMs now) {
    while (!timers_.empty() && timers_.begin()->first <= now) {
        Entry& entry = *timers_.begin()->second;
        clear_timer(entry);
        enqueue(entry);
    }
}

bool SubscriptionTracker::settled() const {
    if (queue_first_ || !commands_.empty() || !timers_.empty()) return false;
    for (const Entries* all : {&channels_, &patterns_})
        for (const auto& [name, entry] : *all)
            if (!entry.wanted || entry.phase != Phase::subscribed) return false;
    return true;
}

void SubscriptionTracker::enqueue(Entry& entry) noexcept {
    if (entry.queued || !live_) return;
    entry.queued = true;
    entry.next_queued = nullptr;
    (queue_first_ ? queue_last_->next_queued : queue_first_) = &entry;
    queue_last_ = &entry;
}

void SubscriptionTracker::dequeue() noexcept {
    queue_first_->queued = false;
    queue_first_ = queue_first_->next_queued;
}

void SubscriptionTracker::linger(Entry& entry, TimeMs now) noexcept {
    try {
        if (linger_ != 0) return set_timer(entry, now + linger_);
    } catch (const std::bad_alloc&) {  // then it does not linger
    }
    enqueue(entry);
}

void SubscriptionTracker::retry_later(Entry& entry, TimeMs now) {
    TimeMs delay = retry_first;
    for (std::uint8_t i = 0; i < entry.refusals && delay < retry_max_; ++i) delay *= 2;
    if (entry.refusals < 32) ++entry.refusals;
    set_timer(entry, now + std::min(delay, std::max(retry_max_, retry_first)));
}

void SubscriptionTracker::set_timer(Entry& entry, TimeMs at) {
    clear_timer(entry);
    entry.timer = timers_.emplace(at, &entry);
}

void SubscriptionTracker::clear_timer(Entry& entry) {
    if (!has_timer(entry)) return;
    timers_.erase(entry.timer);
    entry.timer = timers_.end();
}

void SubscriptionTracker::forget_if_idle(Entry& entry) {
    if (entry.wanted || entry.queued || entry.phase != Phase::none || has_timer(entry)) return;
    const NameRef name = entry.name;  // the key is a view of it
    entries(entry.kind).erase(name->view());
}

}  // namespace fanwire::core
