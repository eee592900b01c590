#include "core/backend/memory_bus.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/message/frame.h"

namespace fanwire::core {

// ---- all buses -----------------------------------------------------------------------------------------------------

// A child of fork() may not touch its parent's: the mutex may be held by a thread that is not there, and the buses are
// full of the parent's engines. It begins one of its own, and leaves the parent's as it is.
MemoryBus::Registry& MemoryBus::registry() {
    static constinit Registry first;
    static constinit std::atomic<int> first_process{0};
    static constinit std::atomic<Registry*> of_child{nullptr};

    const int here = getpid();
    int nobody = 0;
    if (first_process.compare_exchange_strong(nobody, here) || nobody == here) return first;
    Registry* present = of_child.load(std::memory_order_acquire);
    while (!present || present->process != here) {
        auto fresh = std::make_unique<Registry>();
        fresh->process = here;
        if (of_child.compare_exchange_strong(present, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
    }
    return *present;
}

MemoryBus& MemoryBus::join(std::string_view name) {
    Registry& all = registry();
    std::lock_guard lock(all.mutex);
    MemoryBus* bus = all.first;
    while (bus && bus->name_ != name) bus = bus->next_;
    if (!bus) {
        bus = new MemoryBus(all, name);
        bus->next_ = std::exchange(all.first, bus);
    }
    ++bus->members_count_;
    return *bus;
}

void MemoryBus::part(MemoryBus& bus) noexcept {
    {
        std::lock_guard lock(bus.registry_.mutex);
        if (--bus.members_count_ > 0) return;
        MemoryBus** at = &bus.registry_.first;
        while (*at != &bus) at = &(*at)->next_;
        *at = bus.next_;
    }
    delete &bus;
}

// ---- one bus -------------------------------------------------------------------------------------------------------

// Those that are subscribed to it; null: nobody is.
const std::vector<MemoryBus::Member*>* MemoryBus::members_of(std::string_view channel) const {
    const auto found = channels_.find(channel);
    return found == channels_.end() ? nullptr : &found->second;
}

// Publishes that have found a mailbox full are tried again.
void MemoryBus::gave_room() noexcept {
    if (!std::exchange(somebody_waits_, false)) return;
    for (Member* const member : members_)
        if (std::exchange(member->wants_room_, false)) member->wake_();
}

MemoryBus::Member::Member(std::string_view name, std::function<void()> wake)
    : wake_(std::move(wake)), bus_(&join(name)) {
    try {
        std::lock_guard lock(bus_->mutex_);
        bus_->addressees_.reserve(bus_->members_.size() + 1);
        bus_->members_.push_back(this);
    } catch (...) {
        part(*bus_);
        throw;
    }
}

void MemoryBus::Member::leave() noexcept {
    if (!bus_) return;
    {
        std::lock_guard lock(bus_->mutex_);
        std::erase(bus_->members_, this);
        for (auto entry = bus_->channels_.begin(); entry != bus_->channels_.end();) {
            std::erase(entry->second, this);
            entry = entry->second.empty() ? bus_->channels_.erase(entry) : std::next(entry);
        }
        patterns_.clear();
        Letters().swap(mailbox_);
        bytes_ = 0;
        bus_->gave_room();
    }
    part(*std::exchange(bus_, nullptr));
}

void MemoryBus::Member::add(Topic& topic, Letters& earlier) {
    std::lock_guard lock(bus_->mutex_);
    if (topic.kind() == TargetKind::pattern) {
        patterns_.add(topic);
    } else {
        const auto [entry, fresh] = bus_->channels_.try_emplace(std::string(topic.view()));
        try {
            entry->second.push_back(this);
        } catch (...) {
            if (fresh) bus_->channels_.erase(entry);
            throw;
        }
    }
    take_locked(earlier);
}

void MemoryBus::Member::remove(Topic& topic) noexcept {
    if (!bus_) return;
    std::lock_guard lock(bus_->mutex_);
    if (topic.kind() == TargetKind::pattern) return patterns_.remove(topic);
    const auto entry = bus_->channels_.find(topic.view());
    if (entry == bus_->channels_.end()) return;
    std::erase(entry->second, this);
    if (entry->second.empty()) bus_->channels_.erase(entry);
}

bool MemoryBus::Member::post(std::string_view channel, std::string_view payload, std::uint64_t& receivers,
                             Letters& earlier) {
    std::lock_guard lock(bus_->mutex_);
    receivers = 0;
    std::vector<Member*>& to = bus_->addressees_;  // has room for all members
    to.clear();
    ++bus_->publish_;
    bool room = true;
    const auto address = [&](Member* member) {
        ++receivers;
        if (std::exchange(member->addressed_, bus_->publish_) == bus_->publish_) return;
        to.push_back(member);
        room = room && member->mailbox_.size() < letters_max && member->bytes_ < bytes_max;
    };
    if (const std::vector<Member*>* const exact = bus_->members_of(channel))
        for (Member* const member : *exact)
            if (member != this) address(member);
    const bool hidden = frame::is_reply_channel(channel);  // from patterns
    for (Member* const member : bus_->members_)
        if (member != this && member->patterns_.size() > 0 && !hidden)
            member->patterns_.for_each_match(channel, [&](Topic&) { address(member); });
    if (!room) {
        wants_room_ = bus_->somebody_waits_ = true;
        return false;
    }
    if (!to.empty()) {
        const std::size_t size = channel.size() + payload.size();
        for (Member* const member : to)
            if (member->mailbox_.size() == member->mailbox_.capacity())
                member->mailbox_.reserve(std::max<std::size_t>(16, member->mailbox_.capacity() * 2));
        MessageRef storage = Message::make_space(size);
        std::memcpy(storage->space(), channel.data(), channel.size());
        if (!payload.empty()) std::memcpy(storage->space() + channel.size(), payload.data(), payload.size());
        for (Member* const member : to) {
            const bool was_empty = member->mailbox_.empty();
            member->mailbox_.push_back({storage, channel.size()});
            member->bytes_ += size;
            if (was_empty) member->wake_();
        }
    }
    take_locked(earlier);
    return true;
}

void MemoryBus::Member::take(Letters& letters) noexcept {
    if (!bus_) return;
    std::lock_guard lock(bus_->mutex_);
    take_locked(letters);
}

void MemoryBus::Member::take_locked(Letters& letters) noexcept {
    if (mailbox_.empty()) return;
    letters.swap(mailbox_);
    bytes_ = 0;
    bus_->gave_room();
}

std::uint64_t MemoryBus::Member::count(std::string_view channel) const {
    std::lock_guard lock(bus_->mutex_);
    std::uint64_t count = 0;
    if (const std::vector<Member*>* const exact = bus_->members_of(channel))
        for (const Member* const member : *exact) count += member == this ? 0 : 1;
    return count;
}

}  // namespace fanwire::core
