// Requests. A request is a message to a channel that carries the address of a private channel; replies come there, and
// each request ends once. Callers open and cancel requests from any thread, through the door that is here as well. All
// else is on the IO thread, and pure: time comes in, and what is to be published or reported goes out by functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/fanout/inbox.h"
#include "core/message/frame.h"
#include "core/message/outcome.h"

namespace fanwire::core {

class Requests;

// One request. It is the sink for the outcome of its own publish.
class Request : public OutcomeSink {
 public:
    Request(Requests& requests, std::uint64_t number, std::string channel, std::string framed, std::uint64_t expect,
            TimeMs deadline, std::shared_ptr<Inbox> inbox, void* user_data)
        : number_(number),
          expect_(expect),
          deadline_(deadline),
          inbox_(std::move(inbox)),
          user_data_(user_data),
          requests_(requests),
          channel_(std::move(channel)),
          framed_(std::move(framed)) {}

    // Whether its end has been reported. Thread: any.
    bool ended() const { return ended_.load(std::memory_order_acquire); }

    [[nodiscard]] bool settle(std::span<const Settled> publishes, const Error& error) noexcept override;
    void signal() noexcept override {}

 private:
    friend class Requests;

    const std::uint64_t number_, expect_;  // expect_ 0: as many replies as Redis counts receivers
    const TimeMs deadline_;
    const std::shared_ptr<Inbox> inbox_;
    void* const user_data_;
    Requests& requests_;  // gone with its engine, but not before the request has ended
    std::atomic<bool> ended_{false}, cancelled_{false};
    std::shared_ptr<Request> next_cancelled_;  // under the door's mutex

    // IO thread:
    const std::string channel_;  // without the namespace
    std::string framed_;         // until it is published
    std::uint64_t wanted_ = 0;   // replies, if that is known
    bool wanted_known_ = false;
    std::uint64_t came_ = 0, kept_ = 0;  // replies; of them those that the inbox had room for
    Error doubt_;                        // why it is not known what became of its publish, if so
};

class Requests {
 public:
    // What requests need of the engine. Called on the IO thread.
    struct Engine {
        // Subscribes the reply channel; confirmed() or refused() follow. May throw std::bad_alloc: then it is asked
        // again.
        std::function<void()> listen;
        // A connection is needed now.
        std::function<void()> need;
        // The publish is not sent after the deadline. Throws Failure or std::bad_alloc.
        std::function<void(const std::string& channel, const std::string& framed,
                           const std::shared_ptr<OutcomeSink>& sink, TimeMs deadline)>
            publish;
        std::function<void(const std::shared_ptr<Inbox>& inbox, Event event)> report;
        // Returns false when the inbox has no room.
        std::function<bool(const std::shared_ptr<Inbox>& inbox, Event event)> report_reply;
    };

    // `count_max`: limit for open requests. `bytes_max`: limit for payloads that are not published yet.
    Requests(const frame::Address::Id& id, std::size_t prefix_size, std::size_t count_max, std::size_t bytes_max,
             Engine engine);
    ~Requests();
    Requests(const Requests&) = delete;
    Requests& operator=(const Requests&) = delete;

    // ---- thread: any ----

    // Throws Failure CLOSED, LIMIT_REACHED, QUEUE_FULL, or std::bad_alloc, and then has changed nothing. turn() must
    // follow.
    std::shared_ptr<Request> open(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                  TimeMs deadline, std::shared_ptr<Inbox> inbox, void* user_data);
    // Returns false when it has ended or was cancelled before; otherwise turn() must follow.
    [[nodiscard]] bool cancel(const std::shared_ptr<Request>& request) noexcept;
    void shut() noexcept;

    // ---- IO thread ----

    // Whether a turn has something to look at.
    bool any() const { return any_.load(std::memory_order_acquire) || !taken_.empty(); }
    // Takes up what is new or was cancelled. Throws std::bad_alloc: what is left is for the next turn.
    void turn(TimeMs now);
    // What became of the subscription of the reply channel.
    void confirmed() noexcept;
    void refused(const Error& why) noexcept;
    void lost() noexcept;
    // There is no connection, and none will follow: requests that are not published end, and new ones end at once.
    void gave_up(const Error& why) noexcept;
    void revived() noexcept { gave_up_ = {}; }
    void reply(std::string_view payload) noexcept;
    void settled(Request& request, std::uint64_t receivers, const Error& error) noexcept;
    void tick(TimeMs now) noexcept;
    TimeMs deadline() const { return deadlines_.empty() ? never : deadlines_.begin()->first; }
    // Ends the requests whose inbox is gone.
    void end_retired() noexcept;
    void end_all(const Error& why) noexcept;
    std::size_t size() const { return open_.size(); }

 private:
    void adopt(const std::shared_ptr<Request>& request, TimeMs now);
    void publish(const std::shared_ptr<Request>& request) noexcept;
    void end(const std::shared_ptr<Request>& request, const Error& why) noexcept;
    void end_if_complete(const std::shared_ptr<Request>& request) noexcept;
    void end_waiting(const Error& why) noexcept;
    void forget_payload(Request& request) noexcept;
    std::shared_ptr<Request> find(std::uint64_t number) const noexcept;

    const frame::Address::Id id_;
    const std::uint16_t prefix_size_;
    const std::size_t count_max_, bytes_max_;
    const Engine engine_;

    std::mutex mutex_;
    std::deque<std::shared_ptr<Request>> opened_;
    std::shared_ptr<Request> cancelled_;
    bool closed_ = false;
    std::uint64_t last_number_ = 0;
    std::atomic<std::size_t> count_{0}, bytes_{0};
    std::atomic<bool> any_{
        false};  // something may have been opened or cancelled: most turns find nothing and need not lock

    std::deque<std::shared_ptr<Request>> taken_;  // of opened_
    std::unordered_map<std::uint64_t, std::shared_ptr<Request>> open_;
    std::set<std::pair<TimeMs, std::uint64_t>> deadlines_;  // of those that have one
    std::set<std::uint64_t> waiting_;                       // for the reply channel: not published yet
    bool listening_ = false, confirmed_ = false;
    Error refused_, gave_up_;  // why requests cannot be published now, if so
};

}  // namespace fanwire::core
