// A channel or pattern that is wanted: one record, one allocation, for all that is known of its name. And the table of
// these records. IO thread only, but for making a topic and for its name, which does not change.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/keyed_hash.h"
#include "core/base/ref.h"
#include "core/message/gap_reason.h"
#include "core/message/target.h"

namespace fanwire::core {

class Subscription;
class Topic;
using TopicRef = Ref<Topic>;

// A place in a list of topics. A topic stands in one at most.
class TopicLink {
 public:
    bool linked() const { return next_ != nullptr; }
    void unlink() {
        previous_->next_ = next_;
        next_->previous_ = previous_;
        next_ = previous_ = nullptr;
    }

 private:
    friend class TopicList;
    TopicLink *next_ = nullptr, *previous_ = nullptr;
};

class Topic : public TopicLink {
 public:
    // `prefix_size`: how many first bytes of the wire name are the namespace. Thread: any. Throws std::bad_alloc.
    static TopicRef make(TargetKind kind, std::string_view wire_name, std::size_t prefix_size);

    TargetKind kind() const { return pattern_ ? TargetKind::pattern : TargetKind::channel; }
    // The name on the wire. A NUL that is not counted follows it.
    std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size_}; }
    // Without the namespace.
    std::string_view user_view() const { return view().substr(prefix_size_); }

    // Its subscriptions, which it does not own, side by side.
    std::span<Subscription* const> subscriptions() const { return {count_ > 1 ? many_->all() : &one_, count_}; }
    // That, or the list, which will be wanted soon.
    void prefetch_subscription() const { __builtin_prefetch(one_); }
    // At the end. Throws std::bad_alloc, and then has changed nothing.
    void append(Subscription& subscription);
    // Puts the last one in the place of the one that goes; nullptr: it was the last.
    Subscription* remove(std::size_t place) noexcept;
    void clear() noexcept;

    bool in_use() const { return count_ > 0 || linked(); }

    // Thread: any.
    void retain() { refs_.retain(); }
    void release();

    enum class Phase : std::uint8_t { none, subscribing, subscribed, unsubscribing };

    // Of the tracker, as is the link (in no list: the tracker has nothing to do with it): when its time comes there
    // (the low half of a TimeMs).
    std::uint32_t due = 0;

 private:
    friend class Topics;
    struct Many {
        std::uint32_t capacity, unused;
        Subscription** all() { return reinterpret_cast<Subscription**>(this + 1); }
    };

    Topic(TargetKind kind, std::uint32_t prefix_size, std::uint32_t size)
        : pattern_(kind == TargetKind::pattern), prefix_size_(prefix_size & prefix_size_max), size_(size) {}
    ~Topic();
    bool resize(std::uint32_t capacity) noexcept;

    // Enough for a namespace of 256 bytes, all of them escaped, and its colon.
    static constexpr std::uint32_t prefix_size_max = 1023;

    const std::uint16_t pattern_ : 1;
    const std::uint16_t prefix_size_ : 10;

 public:
    // Of the fan-out: why it was lost, and so what the GAP is due to when it is confirmed again.
    GapReason lost_for : 5 = GapReason::reconnect;
    // Of the tracker: how often it was refused in a row; whether it was wanted before the connection was ready, and has
    // no answer on it yet.
    std::uint8_t refusals : 7 = 0;
    bool awaited : 1 = false;
    Phase phase : 2 = Phase::none;
    bool wanted : 1 = false;
    bool alone : 1 = false;  // its last batch was refused: ask for it by itself
    bool timed : 1 = false;  // its list is one of those that wait for a time
    // Of the fan-out: whether the backend has confirmed it; has refused it, until it is confirmed or the link is lost.
    bool confirmed : 1 = false;
    bool refused : 1 = false;

 private:
    bool listed_ : 1 = false;  // in the table
    std::uint32_t hash_ = 0;
    std::uint32_t count_ = 0;
    union {
        Subscription* one_ = nullptr;  // when count_ is 1
        Many* many_;                   // when it is more
    };
    RefCount refs_;
    const std::uint32_t size_;  // of the name, whose bytes follow
};

// A list of topics, threaded through them.
class TopicList {
 public:
    TopicList() { end_.next_ = end_.previous_ = &end_; }
    TopicList(const TopicList&) = delete;
    TopicList& operator=(const TopicList&) = delete;

    bool empty() const { return end_.next_ == &end_; }
    Topic& front() const { return *static_cast<Topic*>(end_.next_); }
    Topic* first() const { return empty() ? nullptr : &front(); }
    // The one behind it; nullptr: it is the last.
    Topic* after(const Topic& topic) const { return topic.next_ == &end_ ? nullptr : static_cast<Topic*>(topic.next_); }
    void append(Topic& topic) {
        topic.next_ = &end_;
        topic.previous_ = end_.previous_;
        end_.previous_ = end_.previous_->next_ = &topic;
    }
    // The first one is about to be taken away: fetches those that come next, which may be anywhere in memory, and their
    // subscriptions.
    void prefetch() const {
        if (empty() || end_.next_->next_ == &end_) return;
        const Topic& second = *static_cast<Topic*>(end_.next_->next_);
        __builtin_prefetch(second.next_);
        second.prefetch_subscription();
    }
    // All of the other list.
    void append(TopicList& other) {
        if (other.empty()) return;
        other.end_.next_->previous_ = end_.previous_;
        end_.previous_->next_ = other.end_.next_;
        other.end_.previous_->next_ = &end_;
        end_.previous_ = other.end_.previous_;
        other.end_.next_ = other.end_.previous_ = &other.end_;
    }

 private:
    TopicLink end_;  // in front of the first and behind the last
};

// Gathers topics and hands them on many at a time, which needs no memory. What is left is handed on at its end.
template <class Take>
class TopicBatch {
 public:
    // `take`: called with a std::span<Topic* const>. Throws nothing.
    explicit TopicBatch(Take take) : take_(std::move(take)) {}
    ~TopicBatch() { hand_on(); }
    TopicBatch(const TopicBatch&) = delete;
    TopicBatch& operator=(const TopicBatch&) = delete;

    void add(Topic& topic) noexcept {
        topic.prefetch_subscription();  // whoever takes it will look there
        topics_[count_++] = &topic;
        if (count_ == topics_.size()) hand_on();
    }

 private:
    void hand_on() noexcept {
        if (count_ > 0) take_(std::span<Topic* const>(topics_.data(), count_));
        count_ = 0;
    }

    Take take_;
    std::size_t count_ = 0;
    std::array<Topic*, 256> topics_;
};

// The topics by their names: open addressing over pointers that carry four bits of the hash, so that finding one looks
// into hardly any other. It owns a reference to each.
class Topics {
 public:
    // `seed`: what makes the hashes ones that nobody else can aim at.
    explicit Topics(std::uint64_t seed = 0) : keyed_hash_(seed) {}
    ~Topics();
    Topics(const Topics&) = delete;
    Topics& operator=(const Topics&) = delete;

    Topic* find(TargetKind kind, std::string_view wire_name) const noexcept {
        return size_ == 0 ? nullptr : find(hash_of(kind, wire_name), kind, wire_name);
    }
    // The same in steps, between which others are looked up too: what each needs is fetched meanwhile.
    std::uint32_t begin_find(TargetKind kind, std::string_view wire_name) const noexcept {
        const std::uint32_t hash = hash_of(kind, wire_name);
        if (size_ > 0) __builtin_prefetch(&slots_[hash & (capacity_ - 1)]);
        return hash;
    }
    void prefetch(std::uint32_t hash) const noexcept {
        if (size_ > 0) prefetch_slot(slots_[hash & (capacity_ - 1)]);
    }
    Topic* find(std::uint32_t hash, TargetKind kind, std::string_view wire_name) const noexcept;
    // The topic of the name of `fresh`, which is `fresh` itself if there was none. Throws std::bad_alloc, and then has
    // changed nothing.
    Topic& intern(const TopicRef& fresh);
    // Unless it has subscriptions or the tracker has to do with it.
    void forget_if_unused(Topic& topic) noexcept;

    std::size_t size() const { return size_; }
    // The function may neither add nor forget one.
    template <class Function>
    void for_each(Function&& function) const {
        for (std::size_t i = 0; i < capacity_; ++i) {
            if (i + 2 * ahead < capacity_) prefetch_slot(slots_[i + 2 * ahead]);
            if (i + ahead < capacity_ && slots_[i + ahead]) topic_of(slots_[i + ahead])->prefetch_subscription();
            if (slots_[i]) function(*topic_of(slots_[i]));
        }
    }
    // All that are not in use.
    void forget_unused() noexcept;

 private:
    using Slot = std::uintptr_t;
    static constexpr Slot tag_mask = 15;
    static constexpr std::size_t ahead = 8;
    static_assert(__STDCPP_DEFAULT_NEW_ALIGNMENT__ > tag_mask);

    static Topic* topic_of(Slot slot) { return reinterpret_cast<Topic*>(slot & ~tag_mask); }
    static void prefetch_slot(Slot slot) { __builtin_prefetch(topic_of(slot)); }
    static Slot tag_of(std::uint32_t hash) { return hash >> 28; }
    static Slot slot_of(const Topic& topic) { return reinterpret_cast<Slot>(&topic) | tag_of(topic.hash_); }

    std::uint32_t hash_of(TargetKind kind, std::string_view name) const;
    bool resize(std::size_t capacity) noexcept;
    void place(Slot slot);
    void take_out(std::size_t at) noexcept;
    void give_back() noexcept;

    const KeyedHash keyed_hash_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t capacity_ = 0;  // a power of two, or 0
    std::size_t size_ = 0;
};

}  // namespace fanwire::core
