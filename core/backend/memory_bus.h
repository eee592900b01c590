// Named memory buses: what the engines of one process share when they open memory:// with the same name. Each of them
// is a member: the bus knows its channels and patterns, and has a mailbox for what the others publish there, which the
// member empties on its own IO thread.
//
// One mutex orders everything: a publish finds the members, puts itself into their mailboxes and takes what waits in
// the publisher's own, all at once. So all engines of a bus see its messages in one order, as with one Redis, and a
// subscription receives what is published after it was confirmed and nothing older.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/keyed_hash.h"
#include "core/message/message.h"
#include "core/message/pattern_index.h"

namespace fanwire::core {

class MemoryBus {
 public:
    // A message on its way to a member. `storage` holds the channel, then the payload.
    struct Letter {
        MessageRef storage;
        std::size_t channel_size = 0;
        std::string_view channel() const { return storage->payload().substr(0, channel_size); }
        std::string_view payload() const { return storage->payload().substr(channel_size); }
    };
    using Letters = std::vector<Letter>;

    // A mailbox that holds this much takes no more, and publishes to it wait.
    static constexpr std::size_t letters_max = 64 * 1024, bytes_max = std::size_t{16} << 20;

    // One engine's place on a bus. Everything but the constructor: its IO thread.
    class Member {
     public:
        // On the bus of that name, which is made if there is none. `wake`: called from other engines' IO threads when
        // something has come into an empty mailbox, or when there is room again for a publish that found none. Throws
        // std::bad_alloc.
        Member(std::string_view name, std::function<void()> wake);
        ~Member() { leave(); }
        Member(const Member&) = delete;
        Member& operator=(const Member&) = delete;
        // For good: no wake follows. The bus is freed with its last member.
        void leave() noexcept;

        // From now on the topic's messages come. `earlier` becomes what waits from before. Throws std::bad_alloc, and
        // then has changed nothing.
        void add(Topic& topic, Letters& earlier);
        void remove(Topic& topic) noexcept;

        // Puts a message into the mailboxes of all others whose it is. `receivers`: their channels and patterns of that
        // name; `earlier`: what waits for us from before. False: one of the mailboxes is full, nobody has it, and wake
        // follows when it may be tried again. Throws std::bad_alloc, and then has changed nothing.
        bool post(std::string_view channel, std::string_view payload, std::uint64_t& receivers, Letters& earlier);
        // What waits; `letters`, which must be empty, leaves its memory for the next ones.
        void take(Letters& letters) noexcept;
        // The others' subscriptions of the channel, as Redis counts them for NUMSUB: patterns are not.
        std::uint64_t count(std::string_view channel) const;

     private:
        friend class MemoryBus;
        void take_locked(Letters& letters) noexcept;

        const std::function<void()> wake_;
        MemoryBus* bus_;
        // Under the bus's mutex:
        PatternIndex patterns_;
        Letters mailbox_;
        std::size_t bytes_ = 0;        // in it
        bool wants_room_ = false;      // it has found a mailbox full
        std::uint64_t addressed_ = 0;  // the number of the publish that last came here
    };

 private:
    // All buses of this process: the only state that is global. It needs no destructor, so that engines may outlive
    // exit().
    struct Registry {
        std::mutex mutex;
        MemoryBus* first = nullptr;
        int process = 0;  // whose it is; 0: nobody's yet
    };
    static Registry& registry();
    static MemoryBus& join(std::string_view name);
    static void part(MemoryBus& bus) noexcept;

    struct Hash : KeyedHash {
        using is_transparent = void;
        using KeyedHash::KeyedHash;
    };
    using Channels = std::unordered_map<std::string, std::vector<Member*>, Hash, std::equal_to<>>;

    MemoryBus(Registry& registry, std::string_view name) : registry_(registry), name_(name) {}
    const std::vector<Member*>* members_of(std::string_view channel) const;
    void gave_room() noexcept;

    Registry& registry_;
    const std::string name_;
    // Under the registry's mutex:
    MemoryBus* next_ = nullptr;
    std::size_t members_count_ = 0;

    mutable std::mutex mutex_;
    std::vector<Member*> members_;
    Channels channels_{0, Hash(random_seed())};
    std::vector<Member*> addressees_;  // of the publish at hand, whose number is:
    std::uint64_t publish_ = 0;
    bool somebody_waits_ = false;  // for room
};

}  // namespace fanwire::core
