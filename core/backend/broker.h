// A broker that is not ours: what carries messages in the place of Redis, given by the application.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/message/target.h"

namespace fanwire::core {

// What a broker reports, from any thread, until the engine is closed; afterwards reports are ignored. The engine's IO
// thread takes them in order. All may throw std::bad_alloc and, but for ready() and lost(), Failure QUEUE_FULL when
// count_max reports wait; then they have reported nothing.
class BrokerReports {
 public:
    // Of messages, in bytes: what may wait for the IO thread. What comes beyond is dropped, which is a GAP for each
    // subscription.
    static constexpr std::size_t waiting_max = 64 * 1024 * 1024;
    static constexpr std::size_t count_max = std::size_t{1} << 20;

    struct Report {
        enum class Kind : std::uint8_t { ready, lost, confirmed, refused, message, settled, counted };
        explicit Report(Kind k) : kind(k) {}
        Kind kind;
        TargetKind target = TargetKind::channel;
        std::string name;              // of the channel or pattern
        std::string channel, payload;  // of a message; `channel` is empty when it is the name
        Error error;
        std::uint64_t id = 0, receivers = 0;
        std::vector<std::uint64_t> counts;
    };

    // `wake`: has the engine's IO thread call take() soon; from any thread.
    explicit BrokerReports(std::function<void()> wake) : wake_(std::move(wake)) {}

    // Connected, for the first time or again: what is wanted is subscribed, and publishes are handed over.
    void ready() { add(Report(Report::Kind::ready)); }
    // The connection is lost, or an attempt to connect has failed. Nothing is subscribed any more.
    void lost(Error why);
    void confirmed(TargetKind kind, std::string_view name);
    void refused(TargetKind kind, std::string_view name, Error why);
    // False: it was dropped, since waiting_max bytes wait.
    bool message(TargetKind kind, std::string_view name, std::string_view channel, std::string_view payload);
    void settled(std::uint64_t id, Error error, std::uint64_t receivers);
    void counted(std::uint64_t id, Error error, std::span<const std::uint64_t> counts);

    // For the IO thread: all that waits, into `reports`, which is empty. Returns whether messages were dropped.
    bool take(std::vector<Report>& reports) noexcept;
    // Reports are ignored from now on; nobody is woken any more.
    void close() noexcept;

 private:
    void add(Report report);

    std::mutex mutex_;
    std::function<void()> wake_;  // null: closed
    std::vector<Report> reports_;
    std::size_t waiting_ = 0;  // bytes of messages
    bool dropped_ = false;
};

// What the engine asks of a broker, all on its IO thread: none of these may block or throw. Names are wire names: with
// the namespace.
class Broker {
 public:
    virtual ~Broker() = default;
    // The first call: connects, and reports ready() or lost(), and again whenever that changes.
    virtual void start(std::shared_ptr<BrokerReports> reports) = 0;
    // Reports confirmed() or refused(). Only while it is ready; after lost() it is asked for all again.
    virtual void subscribe(TargetKind kind, std::string_view name) = 0;
    virtual void unsubscribe(TargetKind kind, std::string_view name) = 0;
    // Reports settled() with the id, once. Only while it is ready.
    virtual void publish(std::uint64_t id, std::string_view channel, std::string_view payload) = 0;
    // Reports counted() with the id, once: how many subscribers each channel has. False: it cannot count.
    virtual bool numsub(std::uint64_t id, std::span<const std::string> channels) = 0;
    // Somebody needs it, or wants it to try at once: an attempt to connect that waits need not wait longer.
    virtual void reconnect() = 0;
    // The last call.
    virtual void close() = 0;
};

}  // namespace fanwire::core
