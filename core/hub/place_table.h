// From a hash to a place in an array, whose owner compares what stands there: 8 bytes for each slot, of which at most
// three quarters are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace fanwire::core {

class PlaceTable {
 public:
    using Place = std::uint32_t;
    static constexpr Place none = ~Place{0};

    std::size_t size() const { return size_; }

    // The place of this hash for which `is_it(place)` is true; none: there is none.
    template <class IsIt>
    Place find(std::uint64_t hash, IsIt&& is_it) const {
        const Slot* const slot = slot_of(hash, is_it);
        return slot ? slot->place : none;
    }

    // The next insert() does not fail. Throws std::bad_alloc.
    void make_room() {
        if ((size_ + 1) * 4 <= slots_.size() * 3) return;
        std::vector<Slot> larger(slots_.empty() ? 8 : slots_.size() * 2);
        larger.swap(slots_);
        for (const Slot& slot : larger)
            if (slot.place != none) put(slot);
    }
    // What is not in it yet.
    void insert(std::uint64_t hash, Place place) noexcept {
        put({static_cast<std::uint32_t>(hash), place});
        ++size_;
    }
    // What is in it, but has moved.
    void move(std::uint64_t hash, Place from, Place to) noexcept { slots_[position_of(hash, from)].place = to; }
    // What is in it.
    void erase(std::uint64_t hash, Place place) noexcept {
        std::size_t hole = position_of(hash, place);
        // What would no longer be found across the hole moves into it.
        for (std::size_t at = next(hole); slots_[at].place != none; at = next(at)) {
            const std::size_t home = slots_[at].hash & mask();
            if (((at - home) & mask()) < ((at - hole) & mask())) continue;
            slots_[hole] = slots_[at];
            hole = at;
        }
        slots_[hole] = {};
        --size_;
    }

 private:
    struct Slot {
        std::uint32_t hash = 0;
        Place place = none;
    };

    std::size_t mask() const { return slots_.size() - 1; }
    std::size_t next(std::size_t at) const { return (at + 1) & mask(); }

    template <class IsIt>
    const Slot* slot_of(std::uint64_t hash, IsIt&& is_it) const {
        if (size_ == 0) return nullptr;
        const auto part = static_cast<std::uint32_t>(hash);
        for (std::size_t at = part & mask(); slots_[at].place != none; at = next(at))
            if (slots_[at].hash == part && is_it(slots_[at].place)) return &slots_[at];
        return nullptr;
    }
    std::size_t position_of(std::uint64_t hash, Place place) const {
        std::size_t at = static_cast<std::uint32_t>(hash) & mask();
        while (slots_[at].place != place) at = next(at);
        return at;
    }
    void put(const Slot& slot) noexcept {
        std::size_t at = slot.hash & mask();
        while (slots_[at].place != none) at = next(at);
        slots_[at] = slot;
    }

    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

}  // namespace fanwire::core
