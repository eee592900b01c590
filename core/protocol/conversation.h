// What is said on a Link once it is ready, and so what the link is for: Publishing, Subscribing or Querying. The link
// knows how a connection begins, stays alive and ends; its conversation knows the commands and their answers.
//
// Everything here is called by the link, on one thread; time comes in as an argument. A conversation writes into
// Link::words(), or returns bytes of its own from output(). While the link is not ready nothing of it is written or
// read.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

class Link;

class Conversation {
 public:
    virtual ~Conversation() = default;

    // The link was started, for the first time or after its last attempt had failed.
    virtual void on_start() {}
    virtual void on_ready(TimeMs) {}
    // The link was ready and is no longer.
    virtual void on_down(const Error& why, TimeMs now) = 0;
    // The last attempt has failed: there will be no connection until the link is started again.
    virtual void on_exhausted(const Error&) {}
    // The link is ready, and the login has other credentials than it has said (Link::session()).
    virtual void on_credentials(TimeMs) {}

    // Bytes to write, valid until the next call; empty when there is nothing. Only of a link that is ready.
    virtual std::string_view output(TimeMs now) = 0;
    virtual void wrote(std::size_t size, TimeMs now) = 0;
    virtual void send_ping(TimeMs now) = 0;

    virtual void on_reply(const Reply& reply, TimeMs now) = 0;
    // Takes replies that it can read without the reader from the front of what a ready link received. Returns how many
    // bytes it has used. It may keep part of a reply; what it leaves is for the reader, and before that scan_left().
    virtual std::size_t scan(std::string_view, TimeMs) { return 0; }
    // Whether scan() takes a reply that begins like this.
    virtual bool can_scan(std::string_view) const { return false; }
    // What scan() has kept and cannot read after all.
    virtual std::string scan_left() { return {}; }
    // Part of a reply came in, and nothing was complete.
    virtual void on_partial(TimeMs) {}
    // See Link::room(). Throws std::bad_alloc.
    virtual std::span<char> room() { return {}; }

    // Returns the command that the server has to answer next, for the text that says it has not.
    virtual std::string_view unanswered() const { return "PING"; }
    // Whether the server may hold that answer back although it is well, as Redis does with publishes while writes are
    // paused: FAILOVER, CLUSTER FAILOVER, CLIENT PAUSE WRITE, the end of a slot's migration.
    virtual bool may_be_held_back() const { return false; }
    // Also of a link that is not ready.
    virtual void tick(TimeMs) {}
    virtual TimeMs deadline() const { return never; }

 protected:
    Link& link() const { return *link_; }

 private:
    friend class Link;
    Link* link_ = nullptr;  // set by the link's constructor
};

}  // namespace fanwire::core
