// Compares what was published with what arrived. Pure: it knows nothing of fanwire, and what it is told is all it goes
// by.
//
// A stream is what one publisher publishes to one channel: messages numbered from 0. The Ledger holds the fate of each,
// as reported to its publisher. A Witness holds what one subscription saw, in its order. In the end each message that
// Redis executed must have been seen by each witness of its channel, once and in order, or an event must stand where it
// is missing:
//  - ACTIVE and GAP(unknown) excuse what was numbered before they were drained, and nothing that came later: whatever
//  was
//    published after a subscriber saw that it is confirmed has to arrive;
//  - GAP(n) excuses n messages between its neighbours; the counts between two unknown gaps must add up;
//  - a message whose outcome is unknown may be missing anywhere, or come late, as its connection may be read after the
//    one that took its place; but it is never seen twice;
//  - one that was reported as never sent must not be seen at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace fanwire::chaos {

using StreamId = std::uint16_t;
using Number = std::uint32_t;

enum class Violation {
    silent_loss,    // missing, and nothing stands in its place
    duplicate,      // seen twice
    reordered,      // seen after a later one
    never_sent,     // seen, though reported as not sent
    wrong_count,    // counted gaps do not add up
    wrong_event,    // an event where it cannot stand, or a message of a foreign channel, or broken bytes
    outcomes,       // a publish without an outcome, or with two
    not_recovered,  // faults off, and still no confirmed subscription or no message
    count
};
const char* name_of(Violation violation);

class Violations {
 public:
    void add(Violation violation, const std::string& text);
    std::uint64_t count(Violation violation) const;
    std::uint64_t total() const;
    std::vector<std::string> texts() const;  // of the first ones

 private:
    mutable std::mutex mutex_;
    std::uint64_t counts_[static_cast<std::size_t>(Violation::count)] = {};
    std::vector<std::string> texts_;
};

enum class Fate : std::uint8_t {
    pending,  // accepted, or about to be
    sent,     // Redis answered
    unknown,  // it may have been executed
    unsent    // it was not
};

class Ledger {
 public:
    Ledger(std::size_t streams, Violations& violations);

    // The number of the stream's next message, taken before it is published.
    Number take(StreamId stream);
    void settle(StreamId stream, Number number, Fate fate);
    void arrived(StreamId stream, Number number);

    // What take() would give now, of each stream.
    std::vector<Number> positions() const;
    struct Sum {
        std::uint64_t sent = 0, unknown = 0;
    };
    // Of the numbers from `first` to before `end`.
    Sum sum(StreamId stream, Number first, Number end) const;
    std::uint64_t pending() const;
    // In the end: everything has an outcome, and nothing arrived that was not sent.
    void judge() const;

    std::size_t streams() const { return streams_.size(); }

 private:
    struct Stream {
        mutable std::mutex mutex;
        std::vector<std::uint8_t> fates;  // a Fate, and whether it has arrived
        std::uint64_t pending = 0;
    };
    std::vector<std::unique_ptr<Stream>> streams_;
    Violations& violations_;
};

class Witness {
 public:
    // `strict`: its inbox never overflows, so each change of state is seen.
    Witness(std::string name, std::vector<StreamId> streams, bool strict, Ledger& ledger, Violations& violations);

    void message(StreamId stream, Number number);
    void active();
    void lost();
    void resumed();
    void failed();
    void gap_unknown();
    void gap_counted(std::uint64_t count);
    void ended();

    bool has_ended() const { return state_ == State::ended; }
    // How far the stream has been seen: 0 when nothing was.
    Number seen_to(StreamId stream) const;
    // In the end, when the ledger is complete. `closed`: the last message of each stream has been seen.
    void judge(bool closed) const;

 private:
    enum class State { pending, active, lost, failed, gapped, ended };
    static constexpr std::uint64_t unknown = UINT64_MAX;

    struct Gap {
        std::uint64_t count;            // or unknown
        std::vector<Number> positions;  // of an unknown one: what it cannot excuse begins here
    };
    struct Missing {
        StreamId stream;
        Number first, end;
        std::uint32_t gaps_begin, gaps_end;  // the gaps that stand between its neighbours
    };
    struct Progress {
        Number next = 0;
        std::uint32_t gaps = 0;  // seen when the last message came
        bool mine = false;
    };

    void state_is(State now, std::initializer_list<State> from, const char* event);
    void unknown_gap();
    std::string at(StreamId stream, Number number) const;

    const std::string name_;
    const bool strict_;
    Ledger& ledger_;
    Violations& violations_;
    State state_ = State::pending;
    std::vector<Gap> gaps_;
    std::vector<Missing> missing_;
    std::map<StreamId, Progress> progress_;
    std::set<std::pair<StreamId, Number>> late_;  // seen after a later one
};

}  // namespace fanwire::chaos
