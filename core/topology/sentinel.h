// Which server is the master of a Sentinel group, by what its sentinels say. Pure: answers, signs and time come in; the
// sentinels to be connected to, the questions that are due and the decision come out.
//
// Facts that the rules follow (https://redis.io/docs/latest/develop/reference/sentinel-clients/, and measured):
//  - One sentinel may be wrong: cut off from the others, or just back. All are asked. An answer with a higher config
//    epoch is the newer one, since only a majority of sentinels makes a new epoch; among answers of one epoch, or where
//    epochs are not to be had, the one that most sentinels give.
//  - During a failover the leader knows the new master first, and says so in GET-MASTER-ADDR-BY-NAME before it emits
//    +switch-master. So every sign of a failover, from any sentinel, is a reason to ask all of them again.
//  - ROLE is not enough: a master that returns calls itself one for about ten seconds until it is demoted.
//  - After SENTINEL RESET, in TILT mode or while they restart, sentinels know less than we do. What they do not know
//  any
//    more is no reason to forget it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/server_address.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

class SentinelTopology {
 public:
    using Id = std::uint32_t;  // of a sentinel; never used again

    static constexpr TimeMs first_wait = 200;      // after the first answer, longest that others are waited for
    static constexpr TimeMs ask_interval = 10000;  // of a sentinel that tells us of failovers
    static constexpr TimeMs poll_interval = 1000;  // of one that does not; SUBSCRIBE may be forbidden to us
    static constexpr TimeMs doubt_interval = 250;  // while something is wrong with the master
    static constexpr TimeMs forget_after = 60000;  // a sentinel that we were told of and that never answers
    static constexpr std::size_t sentinels_max = 64;

    struct Sentinel {
        Id id;
        ServerAddress address;
    };

    // What one sentinel has answered.
    struct Answer {
        enum class Kind : std::uint8_t {
            master,   // `address`
            unknown,  // it watches no master of that name
            refused,  // `error`: it answered, but not that
        };
        Kind kind = Kind::refused;
        ServerAddress address;
        std::optional<std::uint64_t> epoch;
        Error error;
    };
    // From the replies to SENTINEL GET-MASTER-ADDR-BY-NAME and SENTINEL MASTER; null where there is none. `asked`:
    // whom, for texts.
    static Answer read_answer(const std::string& asked, const Reply* address);
    static std::optional<std::uint64_t> read_epoch(const Reply* master);
    // SENTINEL SENTINELS: the others; empty if it says nothing that makes sense.
    static std::vector<ServerAddress> read_sentinels(const Reply& reply);

    // Channels whose messages are signs.
    static const std::vector<std::string_view>& signs();

    // `name`: the group's, which sentinels call the master's. `seeds`: at least one.
    SentinelTopology(std::string name, const std::vector<ServerAddress>& seeds);

    // Those to be connected to, now.
    const std::vector<Sentinel>& sentinels() const { return sentinels_; }
    // Whose turn it is to be asked; answered() or failed() follows. nullopt: nobody's.
    std::optional<Id> next_to_ask(TimeMs now);
    TimeMs deadline() const;

    void connected(Id id, TimeMs now);
    // Whether it will report signs.
    void listening(Id id, bool yes, TimeMs now);
    void answered(Id id, Answer answer, TimeMs now);
    // It could not be reached, or did not answer.
    void failed(Id id, const Error& why, TimeMs now);
    // What it calls itself (SENTINEL MYID), and the others that it knows of.
    void identified(Id id, std::string run_id, TimeMs now);
    void introduced(const std::vector<ServerAddress>& others, TimeMs now);
    // A message on one of the channels of signs.
    void sign(std::string_view channel, std::string_view payload, TimeMs now);
    // The master is not what it should be: lost, not to be reached, a replica; it is well (again).
    void doubt(TimeMs now);
    void trust() { doubted_ = false; }
    void tick(TimeMs now);

    // The master; nullptr until there is a decision.
    const ServerAddress* master() const { return master_ ? &*master_ : nullptr; }
    // While there is no master: why not, when every sentinel has answered or failed since this was last asked.
    std::optional<Error> round_failed();

 private:
    struct State {
        Id id;
        bool seed, connected = false, listening = false;
        bool asked = false;  // and no answer yet
        bool again = false;  // a sign came meanwhile
        bool heard = false;  // answered or failed in this round
        std::optional<Answer> answer;
        Error error;  // why not, the last time
        TimeMs due = never;
        TimeMs seen = 0;  // when it was last introduced, or answered
        std::string run_id;
    };
    State* find(Id id);
    bool add(const ServerAddress& address, bool seed, TimeMs now);
    void remove(std::size_t index);
    void ask_all(TimeMs now);
    void ask(State& state, TimeMs when);
    bool has_voice(std::size_t index) const;
    void decide(TimeMs now);

    const std::string name_;
    std::vector<Sentinel> sentinels_;
    std::vector<State> states_;  // in the same order
    Id next_id_ = 1;
    std::optional<ServerAddress> master_;
    std::optional<std::uint64_t> epoch_;  // of the decision
    bool doubted_ = false;
    TimeMs decide_at_ = never;  // with what there is; before the first decision
};

}  // namespace fanwire::core
