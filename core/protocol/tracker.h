// Brings what Redis has confirmed in line with what we want to be subscribed to. A pure state machine.
//
// Each channel or pattern has at most one command under way, so that storms of subscribe and unsubscribe cost a bounded
// number of commands and always end where the last call pointed:
//
//   none -> subscribing -> subscribed -> unsubscribing -> none
//
// The tracker allocates nothing for a name: the topics (message/topic.h) are linked into its lists, and which list a
// topic is in says what happens to it next. Redis answers a command of n names with n acknowledgements in order, or
// with one error. The commands under way are kept in a queue, and their names in a list of the same order; an
// acknowledgement that does not match the front of both is a protocol error. A new connection starts with begin():
// nothing is under way, nothing is confirmed, and everything wanted is queued. An acknowledgement from the old
// connection can no longer arrive, since its bytes are gone with it. Between end() and begin() the tracker only
// remembers what is wanted.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/message/target.h"
#include "core/message/topic.h"

namespace fanwire::core {

class SubscriptionTracker {
 public:
    class Listener {
     public:
        virtual ~Listener() = default;
        virtual void confirmed(Topic& topic) = 0;
        virtual void refused(Topic& topic, const Error& why) = 0;
        // The connection is gone, and with it every confirmation and refusal of these topics; some may have had
        // neither. One loss may take several calls. No topic may be added or forgotten meanwhile.
        virtual void lost(std::span<Topic* const> topics, const Error& why) noexcept = 0;
    };

    // The most names in one command, and about the most bytes of names unless a single one is longer.
    static constexpr std::size_t batch_names_max = 512;
    static constexpr std::size_t batch_bytes_max = 64 * 1024;
    // The delay before a refused subscription is tried again. It doubles with each refusal, up to retry_max.
    static constexpr TimeMs retry_first = 1000;

    // A name that is no longer wanted stays subscribed for `linger` ms, in case it is wanted again. Once the tracker is
    // done with a name, `topics` may forget it.
    SubscriptionTracker(TimeMs linger, TimeMs retry_max, Topics& topics, Listener& listener)
        : linger_(linger), retry_max_(retry_max), topics_(topics), listener_(listener) {}

    // The topic stays where it is as long as it is tracked.
    void want(Topic& topic, TimeMs now) noexcept;
    void unwant(Topic& topic, TimeMs now) noexcept;

    // The connection is ready.
    void begin();
    // The connection is gone, because of `why`.
    void end(const Error& why) noexcept;

    // ---- Between begin() and end(). If one of these throws std::bad_alloc, only end() may be called next. ----

    // Appends the next command. Returns false when none is needed.
    bool next_command(std::string& out);
    // The caller has sent a PING behind the commands so far.
    void pinged();
    bool under_way() const { return !commands_.empty(); }
    // Returns the name of the command that Redis has to answer next, or PING if there is none.
    std::string_view unanswered() const;

    // Redis has answered. Each returns false if the answer does not match what is under way.
    [[nodiscard]] bool acknowledged(bool subscribed, TargetKind kind, std::string_view name, TimeMs now);
    [[nodiscard]] bool ponged();
    [[nodiscard]] bool refused(std::string_view error, TimeMs now);

    void tick(TimeMs now);
    TimeMs deadline() const;

    // Returns how many names were wanted before the connection was ready and have been neither confirmed nor refused on
    // it yet.
    std::size_t awaited() const { return awaited_; }

    // Returns how many names are in the tracker's lists.
    std::size_t size() const { return size_; }
    // For tests: returns whether every wanted name is confirmed and no other name is.
    bool settled() const { return queue_.empty() && commands_.empty() && timed_ == 0; }

 private:
    using Phase = Topic::Phase;
    enum class Verb : std::uint8_t { subscribe, unsubscribe, ping };
    struct Command {
        Verb verb;
        TargetKind kind;
        std::uint32_t names = 0, acknowledged = 0;
    };
    // Topics that wait for a time are in one list for each delay, so that each list is in the order of its deadlines.
    static constexpr std::size_t delays = 34;

    void subscribed(Topic& topic) noexcept;
    void linger(Topic& topic, TimeMs now) noexcept;
    void retry_later(Topic& topic, TimeMs now) noexcept;
    void wait(Topic& topic, std::size_t delay_index, TimeMs now, TimeMs delay) noexcept;
    void forget(Topic& topic) noexcept;
    void move(Topic& topic, TopicList& to) noexcept;
    TimeMs due(const Topic& topic) const;
    void await(Topic& topic) noexcept;
    void answered(Topic& topic) noexcept;

    const TimeMs linger_, retry_max_;
    Topics& topics_;
    Listener& listener_;
    TopicList queue_;                        // need a command
    TopicList under_way_;                    // of commands_, oldest first, without the acknowledged ones
    TopicList subscribed_;                   // confirmed and wanted: they need nothing
    std::array<TopicList, delays> waiting_;  // [0]: lingering; the others: to be tried again
    std::deque<Command> commands_;           // under way, oldest first
    std::size_t size_ = 0, timed_ = 0, awaited_ = 0;
    TimeMs now_ = 0;  // the latest time seen; every Topic::due is near it
    bool live_ = false;
};

}  // namespace fanwire::core
