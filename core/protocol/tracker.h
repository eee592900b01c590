// What we want to be subscribed to against what Redis has confirmed, as a pure state machine.
//
// Each channel or pattern has at most one command under way, so that storms of subscribe and unsubscribe cost a bounded
// number of commands and always end where the last call pointed:
//
//   none -> subscribing -> subscribed -> unsubscribing -> none
//
// Redis answers a command of n names with n acknowledgements in order, or with one error. The commands under way stand
// in a queue; an acknowledgement that does not fit its front is a fault of the stream. A new connection begins with
// begin(): nothing is under way, nothing confirmed, everything wanted is queued. An acknowledgement of the old connection
// cannot come any more, since its bytes are gone with it. Between end() and begin() only what is wanted is kept.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/message/name.h"
#include "core/message/target.h"

namespace fanwire::core {

class SubscriptionTracker {
   public:
    class Listener {
       public:
        virtual ~Listener() = default;
        virtual void confirmed(TargetKind kind, const NameRef& name) = 0;
        virtual void refused(TargetKind kind, const NameRef& name, const Error& why) = 0;
    };

    // A command has at most this many names and, unless one name alone is longer, about this many bytes of them.
    static constexpr std::size_t batch_names_max = 512;
    static constexpr std::size_t batch_bytes_max = 64 * 1024;
    // The delay before a refused subscription is tried again; doubles up to retry_max.
    static constexpr TimeMs retry_first = 1000;

    // An unwanted name is kept subscribed for `linger` ms, in case it is wanted again.
    SubscriptionTracker(TimeMs linger, TimeMs retry_max, Listener& listener)
        : linger_(linger), retry_max_(retry_max), listener_(listener) {}

    // Throws std::bad_alloc, and then has changed nothing.
    void want(TargetKind kind, const NameRef& name, TimeMs now);
    void unwant(TargetKind kind, std::string_view name, TimeMs now) noexcept;

    // The connection is ready; it is gone.
    void begin();
    void end() noexcept;

    // ---- between begin() and end(). Who of these throws std::bad_alloc leaves a state for end() only. ----

    // Appends the next command; false when there is nothing to say.
    bool next_command(std::string& out);
    // A PING has been appended by the caller.
    void pinged();
    bool under_way() const { return !commands_.empty(); }

    // What came back; false if it does not fit what is under way.
    [[nodiscard]] bool acknowledged(bool subscribed, TargetKind kind, std::string_view name, TimeMs now);
    [[nodiscard]] bool ponged();
    [[nodiscard]] bool refused(std::string_view error, TimeMs now);

    void tick(TimeMs now);
    TimeMs deadline() const { return timers_.empty() ? never : timers_.begin()->first; }

    std::size_t size() const { return channels_.size() + patterns_.size(); }
    // For tests: whether every wanted name is confirmed and nothing else is.
    bool settled() const;

   private:
    enum class Phase : std::uint8_t { none, subscribing, subscribed, unsubscribing };

    struct Entry;
    using Timers = std::multimap<TimeMs, Entry*>;
    struct Entry {
        NameRef name;
        TargetKind kind = TargetKind::channel;
        Phase phase = Phase::none;
        bool wanted = false;
        bool queued = false;  // stands in the queue
        bool alone = false;   // its last batch was refused: ask for it by itself
        std::uint8_t refusals = 0;
        Entry* next_queued = nullptr;
        Timers::iterator timer;  // of lingering or of the next try; timers_.end(): none
    };
    // Keys are views of the entries' own names.
    using Entries = std::unordered_map<std::string_view, Entry>;

    enum class Verb : std::uint8_t { subscribe, unsubscribe, ping };
    struct Command {
        Verb verb;
        TargetKind kind;
        std::size_t acknowledged = 0;
        std::vector<Entry*> entries;
    };

    Entries& entries(TargetKind kind) { return kind == TargetKind::channel ? channels_ : patterns_; }
    void enqueue(Entry& entry) noexcept;
    void dequeue() noexcept;
    void linger(Entry& entry, TimeMs now) noexcept;
    void set_timer(Entry& entry, TimeMs at);
    void clear_timer(Entry& entry);
    bool has_timer(const Entry& entry) const { return entry.timer != const_cast<Timers&>(timers_).end(); }
    // The command that `entry` needs now, if any.
    bool needs(const Entry& entry, Verb& verb) const;
    void forget_if_idle(Entry& entry);
    void retry_later(Entry& entry, TimeMs now);

    const TimeMs linger_, retry_max_;
    Listener& listener_;
    Entries channels_, patterns_;
    Entry *queue_first_ = nullptr, *queue_last_ = nullptr;  // entries whose state may need a command
    std::deque<Command> commands_;  // under way, oldest first
    Timers timers_;
    bool live_ = false;
};

}  // namespace fanwire::core
