// Questions for PUBSUB NUMSUB on a link: asked in order when there is one, again on the next when it breaks, since
// asking changes nothing, and until their deadline. Pure: commands go out by a function, answers and time come in.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string_view>

#include "core/backend/numsub.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

class Numsubs {
 public:
    // `send`: one command to the link that is ready. May throw std::bad_alloc.
    using Send = std::function<void(std::string_view command)>;
    explicit Numsubs(Send send) : send_(std::move(send)) {}

    // Takes the question, unless it throws std::bad_alloc, and then has changed nothing.
    void add(std::unique_ptr<Numsub>& question);
    // Throws std::bad_alloc: the link should be given up then.
    void link_ready();
    void link_down(const Error& why) noexcept;
    // Redis's answer to the oldest one that was sent and has none.
    void answered(const Reply& reply);
    void tick(TimeMs now);
    // Not later than the first one's.
    TimeMs deadline() const { return open_.empty() ? never : deadline_; }
    // No link will come, until one does: all questions fail.
    void give_up(const Error& why);
    void revive() noexcept { given_up_ = {}; }
    void fail_all(const Error& why);
    std::size_t size() const { return open_.size(); }

 private:
    void send(const Numsub& question);

    const Send send_;
    std::deque<std::unique_ptr<Numsub>> open_;  // sent ones first; null: it is late, and its answer is still to come
    std::size_t sent_ = 0;
    bool ready_ = false;
    TimeMs deadline_ = never;
    Error link_error_;  // why there is no link, if that is known
    Error given_up_;    // why none will come, if so
};

}  // namespace fanwire::core
