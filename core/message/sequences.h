// What the sequences of envelopes say: which messages are missing, which have come twice.
//
// A publisher counts its messages on each channel from 1. The first that is heard of it says nothing about those before
// it; from then on each number is known: next, or behind a hole of an exact size, or there already. A message that was
// counted as missing and comes after all (a move from one server to another overlaps) is known as such among the last
// 64; an older one is taken as there already, so that what was said to be missing stays missing.
//
// Memory is bounded: of `max` pairs of publisher and channel the one that was silent for longest is forgotten, and is
// heard for the first time when it speaks again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/base/keyed_hash.h"
#include "core/message/envelope.h"

namespace fanwire::core {

class Sequences {
 public:
    enum class Kind : std::uint8_t {
        uncounted,  // the publisher does not count
        first,      // nothing was known of it on this channel
        next,
        gap,        // `missing` messages before this one have not come
        late,       // was counted as missing
        duplicate,  // not to be delivered again
    };
    struct Heard {
        Kind kind;
        std::uint64_t missing = 0;
    };

    // `seed`: of the hash of publishers, who choose their ids. At least one pair is remembered.
    Sequences(std::size_t max, std::uint64_t seed);

    // `channel`: a number of the caller's, used for one channel and one time of listening to it: whoever stops
    // takes another one afterwards. What was said under the old one is forgotten in its turn. Throws std::bad_alloc,
    // and then nothing has changed.
    Heard hear(std::uint64_t channel, const Envelope& envelope);

    std::size_t size() const { return index_.size(); }
    // How many pairs were forgotten for want of room.
    std::uint64_t forgotten() const { return forgotten_; }

 private:
    struct Key {
        Envelope::Id publisher;
        std::uint64_t channel;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        KeyedHash hash;
        std::size_t operator()(const Key& key) const;
    };
    using Place = std::uint32_t;
    // They make a ring with pairs_[0]: older than that is whoever has spoken last, newer whoever was silent for
    // longest.
    struct Pair {
        Key key{};
        std::uint64_t last = 0;
        std::uint64_t before = 0;  // bit i: last - 1 - i has come, or was before the first
        Place newer = 0, older = 0;
    };

    static Heard hear(Pair& pair, std::uint64_t sequence);
    void take_out(Place place);
    void put_first(Place place);

    std::size_t max_;
    std::unordered_map<Key, Place, Hash> index_;
    std::vector<Pair> pairs_{1};  // the first is the ring's beginning
    std::uint64_t forgotten_ = 0;
};

}  // namespace fanwire::core
