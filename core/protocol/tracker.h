// What we want to be subscribed to against what Redis has confirmed, as a pure state machine.
//
// Each channel or pattern has at most one command under way, so that storms of subscribe and unsubscribe cost a bounded
// number of commands and always end where the last call pointed:
//
//   none -> subscribing -> subscribed -> unsubscribing -> none
//
// The tracker has no memory of its own for a name: the topics (message/topic.h) stand in its lists, each in the one
// that says what comes next for it. Redis answers a command of n names with n acknowledgements in order, or with one
// error. The commands under way stand in a queue, and their names in a list of the same order; an acknowledgement that
// does not fit its front is a fault of the stream. A new connection begins with begin(): nothing is under way, nothing
// confirmed, everything wanted is queued. An acknowledgement of the old connection cannot come any more, since its
// bytes are gone with it. Between end() and begin() only what is wanted is kept.
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
        // The connection is gone, and with it what it has said of these. Several calls may follow each other. Topics of
        // which it has said nothing may be among them. No topic may come or go.
        virtual void lost(std::span<Topic* const> topics, const Error& why) noexcept = 0;
    };

    // A command has at most this many names and, unless one name alone is longer, about this many bytes of them.
    static constexpr std::size_t batch_names_max = 512;
    static constexpr std::size_t batch_bytes_max = 64 * 1024;
    // The delay before a refused subscription is tried again; doubles up to retry_max.
    static constexpr TimeMs retry_first = 1000;

    // An unwanted name is kept subscribed for `linger` ms, in case it is wanted again. A name that the tracker has
    // nothing more to do with is one that `topics` may forget.
    SubscriptionTracker(TimeMs linger, TimeMs retry_max, Topics& topics, Listener& listener)
        : linger_(linger), retry_max_(retry_max), topics_(topics), listener_(listener) {}

    // The topic stays where it is as long as it is tracked.
    void want(Topic& topic, TimeMs now) noexcept;
    void unwant(Topic& topic, TimeMs now) noexcept;

    // The connection is ready; it is gone, because of `why`.
    void begin();
    void end(const Error& why) noexcept;

    // ---- between begin() and end(). Who of these throws std::bad_alloc leaves a state for end() only. ----

    // Appends the next command; false when there is nothing to say.
    bool next_command(std::string& out);
    // A PING has been appended by the caller.
    void pinged();
    bool under_way() const { return !commands_.empty(); }
    // The word of the command that Redis has to answer next; PING if there is none.
    std::string_view unanswered() const;

    // What came back; false if it does not fit what is under way.
    [[nodiscard]] bool acknowledged(bool subscribed, TargetKind kind, std::string_view name, TimeMs now);
    [[nodiscard]] bool ponged();
    [[nodiscard]] bool refused(std::string_view error, TimeMs now);

    void tick(TimeMs now);
    TimeMs deadline() const;

    // Names that were wanted before the connection was ready, and that it has neither confirmed nor refused yet.
    std::size_t awaited() const { return awaited_; }

    // How many names it has to do with.
    std::size_t size() const { return size_; }
    // For tests: whether every wanted name is confirmed and nothing else is.
    bool settled() const { return queue_.empty() && commands_.empty() && timed_ == 0; }

 private:
    using Phase = Topic::Phase;
    enum class Verb : std::uint8_t { subscribe, unsubscribe, ping };
    struct Command {
        Verb verb;
        TargetKind kind;
        std::uint32_t names = 0, acknowledged = 0;
    };
    // Lists of topics that wait for a time, one for each delay: who began first is due first.
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
    TopicList under_way_;                    // of commands_, oldest first, without those that are acknowledged
    TopicList subscribed_;                   // confirmed and wanted: need nothing
    std::array<TopicList, delays> waiting_;  // the first: those that linger
    std::deque<Command> commands_;           // under way, oldest first
    std::size_t size_ = 0, timed_ = 0, awaited_ = 0;
    TimeMs now_ = 0;  // the latest seen, which the short times are near to
    bool live_ = false;
};

}  // namespace fanwire::core
