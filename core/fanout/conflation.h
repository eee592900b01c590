// For the overflow policy conflate: where the newest message of each subscription and channel stands in a queue, and
// how many messages were replaced where. Places are sequence numbers.
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

    // A message was put at the back. Without memory for it nothing will take its place.
    void added(const Subscription& subscription, const Message& message, std::uint64_t place) noexcept;
    // The place of the newest message of its subscription and channel; 0: none is known.
    std::uint64_t find(const Subscription& subscription, const Message& message) const;
    // `message` is now in the place, which find() has given. Throws std::bad_alloc, and then has changed nothing.
    void replaced(const Subscription& subscription, const Message& message, std::uint64_t place);
    // The message leaves the queue.
    void removed(const Subscription& subscription, const Message& message, std::uint64_t place);

    // Places in which messages were replaced: there is a GAP before each.
    std::size_t replaced_places() const { return replaced_.size(); }
    // How many were replaced there; and that the GAP is said.
    std::uint64_t replaced_at(std::uint64_t place) const;
    std::uint64_t take_replaced(std::uint64_t place);

    // From here on nothing that is queued may be replaced.
    void forget_latest() { latest_.clear(); }
    void clear() {
        latest_.clear();
        replaced_.clear();
    }

 private:
    // The channel's bytes are those of the message in the queue.
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
