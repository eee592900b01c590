// For the overflow policy conflate: remembers at which position of a queue the newest message of each subscription and
// channel stands, and how many messages were replaced at each position.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "core/base/keyed_hash.h"
#include "core/fanout/subscription.h"

namespace fanwire::core {

class Conflation {
 public:
    // `seed`: as for KeyedHash.
    explicit Conflation(std::uint64_t seed) : latest_(0, Hash{KeyedHash(seed)}) {}

    // A message was put at the back. Without memory for this record nothing will replace the message.
    void added(const Subscription& subscription, const Message& message, std::uint64_t position) noexcept;
    // The position of the newest message of its subscription and channel. Returns 0 when none is known.
    std::uint64_t find(const Subscription& subscription, const Message& message) const;
    // `message` now stands at that position, which find() has returned. Throws std::bad_alloc, and then has changed
    // nothing.
    void replaced(const Subscription& subscription, const Message& message, std::uint64_t position);
    // The message leaves the queue.
    void removed(const Subscription& subscription, const Message& message, std::uint64_t position);

    // How many positions there are at which messages were replaced: a GAP stands before each.
    std::size_t replaced_positions() const { return replaced_.size(); }
    // Returns how many were replaced there. take_replaced() forgets that, once the GAP is taken.
    std::uint64_t replaced_at(std::uint64_t position) const;
    std::uint64_t take_replaced(std::uint64_t position);

    // From here on nothing that is queued may be replaced.
    void forget_latest() { latest_.clear(); }
    void clear() {
        latest_.clear();
        replaced_.clear();
    }

 private:
    // The name of the channel is a view into the message that is queued.
    struct Key {
        const Subscription* subscription;
        std::string_view channel;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        KeyedHash of_bytes;
        std::size_t operator()(const Key& key) const {
            return static_cast<std::size_t>(of_bytes(key.channel, reinterpret_cast<std::uintptr_t>(key.subscription)));
        }
    };

    std::unordered_map<Key, std::uint64_t, Hash> latest_;
    std::unordered_map<std::uint64_t, std::uint64_t> replaced_;
};

}  // namespace fanwire::core
