// What a link says that asks: commands that change nothing and whose replies somebody waits for, such as SENTINEL and
// CLUSTER queries, ROLE and INFO. They are asked in order, again on the next connection when one breaks, and until
// their deadline.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "core/protocol/conversation.h"

namespace fanwire::core {

class Querying final : public Conversation {
 public:
    struct Limits {
        std::size_t count = 64, bytes = 64 * 1024;  // of queries without an answer, and of their commands
    };
    // The reply, which may be an error, valid during the call; null: there is none, and `why` says so. Called once,
    // from within the link's calls or ours. It may ask; it must throw nothing.
    using Answer = std::function<void(const Reply* reply, const Error& why)>;

    Querying() : limits_(Limits{}) {}
    explicit Querying(Limits limits) : limits_(limits) {}

    // `name`: the command's, for texts. Returns Error(), or why the query was not accepted (QUEUE_FULL, or
    // NOT_CONNECTED when no connection will come): then `answer` is not called. Nothing is changed if it throws
    // std::bad_alloc.
    Error ask(std::string name, std::string command, TimeMs deadline, Answer answer);
    // At the end: nothing is waited for any more.
    void fail_all(const Error& why);
    std::size_t size() const { return open_.size(); }

    std::string_view output(TimeMs now) override;
    void wrote(std::size_t size, TimeMs) override;
    void tick(TimeMs now) override;
    TimeMs deadline() const override;

 private:
    struct Query {
        std::string name, command;
        TimeMs deadline = never;
        Answer answer;  // none: a PING, or a query that is late and whose reply is still to come
        bool ping = false;
    };

    void on_start() override { exhausted_ = {}; }
    void on_ready(TimeMs) override { down_ = {}; }
    void on_down(const Error& why, TimeMs) override;
    void on_exhausted(const Error& why) override;
    void send_ping(TimeMs) override;
    void on_reply(const Reply& reply, TimeMs now) override;
    std::string_view unanswered() const override { return open_.empty() ? std::string_view("PING") : open_[0].name; }

    const Limits limits_;
    std::deque<Query> open_;  // those that were sent first
    std::size_t sent_ = 0, bytes_ = 0;
    Error down_;       // why there is no connection, if that is known
    Error exhausted_;  // why none will come, if so
};

}  // namespace fanwire::core
