#include "core/message/topic.h"

#include <algorithm>
#include <bit>
#include <new>

namespace fanwire::core {

// What a wanted name costs in addition to its bytes (see "Memory" in core/DESIGN.md).
static_assert(sizeof(void*) != 8 || sizeof(Topic) == 48);

TopicRef Topic::make(TargetKind kind, std::string_view wire_name, std::size_t prefix_size) {
    void* memory = ::operator new(sizeof(Topic) + wire_name.size() + 1);
    Topic* topic =
        new (memory) Topic(kind, static_cast<std::uint32_t>(prefix_size), static_cast<std::uint32_t>(wire_name.size()));
    char* const name = reinterpret_cast<char*>(topic + 1);
    if (!wire_name.empty()) std::memcpy(name, wire_name.data(), wire_name.size());
    name[wire_name.size()] = '\0';
    return TopicRef::adopt(topic);
}

void Topic::release() {
    if (!refs_.release()) return;
    this->~Topic();
    ::operator delete(this);
}

Topic::~Topic() {
    clear();
}

void Topic::clear() noexcept {
    if (count_ > 1) ::operator delete(many_);
    count_ = 0;
    one_ = nullptr;
}

// Room for `capacity` subscriptions, more than one and enough for those there are; false: there is no memory.
bool Topic::resize(std::uint32_t capacity) noexcept {
    void* memory = ::operator new(sizeof(Many) + capacity * sizeof(Subscription*), std::nothrow);
    if (!memory) return false;
    Many* many = new (memory) Many{capacity, 0};
    const auto all = subscriptions();
    std::copy(all.begin(), all.end(), many->all());
    if (count_ > 1) ::operator delete(many_);
    many_ = many;
    return true;
}

void Topic::append(Subscription& subscription) {
    if (count_ == 0) {
        one_ = &subscription;
    } else {
        if ((count_ == 1 || count_ == many_->capacity) && !resize(count_ * 2)) throw std::bad_alloc();
        many_->all()[count_] = &subscription;
    }
    ++count_;
}

Subscription* Topic::remove(std::size_t place) noexcept {
    if (count_ == 1) {
        clear();
        return nullptr;
    }
    Subscription** const all = many_->all();
    --count_;
    Subscription* const moved = place == count_ ? nullptr : all[place] = all[count_];
    if (count_ == 1) {
        Subscription* const left = all[0];
        ::operator delete(many_);
        one_ = left;
    } else if (count_ <= many_->capacity / 4) {
        resize(many_->capacity / 2);  // without memory for the smaller one the larger one stays
    }
    return moved;
}

// ---- the table -----------------------------------------------------------------------------------------------------

std::uint32_t Topics::hash_of(TargetKind kind, std::string_view name) const {
    const std::uint64_t hash = keyed_hash_(name, kind == TargetKind::pattern ? 1u : 0u);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

Topics::~Topics() {
    for_each([](Topic& topic) { topic.release(); });
}

Topic* Topics::find(std::uint32_t hash, TargetKind kind, std::string_view name) const noexcept {
    if (size_ == 0) return nullptr;
    const std::size_t mask = capacity_ - 1;
    for (std::size_t i = hash & mask; slots_[i]; i = (i + 1) & mask) {
        if ((slots_[i] & tag_mask) != tag_of(hash)) continue;
        Topic* const topic = topic_of(slots_[i]);
        if (topic->hash_ == hash && topic->kind() == kind && topic->view() == name) return topic;
    }
    return nullptr;
}

Topic& Topics::intern(const TopicRef& fresh) {
    const std::uint32_t hash = hash_of(fresh->kind(), fresh->view());
    if (Topic* const known = find(hash, fresh->kind(), fresh->view())) return *known;
    if ((size_ + 1) * 4 > capacity_ * 3 && !resize(std::max<std::size_t>(16, capacity_ * 2))) throw std::bad_alloc();
    fresh->hash_ = hash;
    fresh->listed_ = true;
    fresh->retain();
    place(slot_of(*fresh));
    ++size_;
    return *fresh;
}

void Topics::place(Slot slot) {
    std::size_t i = topic_of(slot)->hash_ & (capacity_ - 1);
    while (slots_[i]) i = (i + 1) & (capacity_ - 1);
    slots_[i] = slot;
}

bool Topics::resize(std::size_t capacity) noexcept {
    std::unique_ptr<Slot[]> slots(new (std::nothrow) Slot[capacity]());
    if (!slots) return false;
    std::swap(slots, slots_);
    const std::size_t before = std::exchange(capacity_, capacity);
    for (std::size_t i = 0; i < before; ++i) {  // each hash is a place in memory that no cache holds: look ahead
        if (i + ahead < before) prefetch_slot(slots[i + ahead]);
        if (slots[i]) place(slots[i]);
    }
    return true;
}

void Topics::forget_if_unused(Topic& topic) noexcept {
    if (topic.in_use() || !topic.listed_) return;
    std::size_t at = topic.hash_ & (capacity_ - 1);
    while (topic_of(slots_[at]) != &topic) at = (at + 1) & (capacity_ - 1);
    take_out(at);
    give_back();
}

void Topics::forget_unused() noexcept {
    for (std::size_t i = 0; i < capacity_; ++i) {
        if (i + ahead < capacity_) prefetch_slot(slots_[i + ahead]);
        while (slots_[i] && !topic_of(slots_[i])->in_use()) take_out(i);
    }
    give_back();
}

void Topics::take_out(std::size_t hole) noexcept {
    const std::size_t mask = capacity_ - 1;
    Topic& topic = *topic_of(slots_[hole]);
    // What follows moves up, unless it would come to stand before the place where it belongs.
    for (std::size_t i = (hole + 1) & mask; slots_[i]; i = (i + 1) & mask) {
        const std::size_t home = topic_of(slots_[i])->hash_ & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue;
        slots_[hole] = slots_[i];
        hole = i;
    }
    slots_[hole] = 0;
    --size_;
    topic.listed_ = false;
    topic.release();
}

// The memory of a table that has become too large; without memory for a smaller one it stays.
void Topics::give_back() noexcept {
    if (size_ == 0) {
        slots_.reset();
        capacity_ = 0;
    } else if (capacity_ > 16 && size_ * 8 < capacity_) {
        resize(std::bit_ceil(size_ * 2));
    }
}

}  // namespace fanwire::core
