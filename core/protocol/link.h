// The life of one connection to Redis without the connection: bytes and time in, bytes and wishes out. What is said on
// it once it is ready is its Conversation's.
//
//   idle -> opening -> greeting -> ready -> waiting (backoff) -> opening -> ...
//
// Whoever drives it (backend/, or a test) carries out request(), calls opened() / received() / closed() as things
// happen and tick() at deadline(), and writes output() to the connection, reporting it by wrote().
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/protocol/backoff.h"
#include "core/protocol/conversation.h"
#include "core/protocol/handshake.h"
#include "core/protocol/heartbeat.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

struct LinkConfig {
    // Bytes of a reply: while greeting, and then.
    static constexpr std::size_t greeting_max = ReplyReader::line_max;
    std::size_t reply_max = ReplyReader::string_max + ReplyReader::line_max;
    HandshakeConfig handshake;
    TimeMs connect_timeout = 2000;
    Backoff::Policy reconnect;
    std::int64_t reconnect_attempts_max = 0;  // 0: endless
    TimeMs heartbeat_interval = 1000;
    TimeMs heartbeat_timeout = 4000;
    TimeMs pause_max = 0;  // longest that an answer may be held back (Conversation::may_be_held_back)
};

class Link {
 public:
    // The shortest wait that needed() leaves, unless the first delay is longer.
    static constexpr TimeMs needed_after = 1000;

    enum class State { idle, opening, greeting, ready, waiting, stopped };
    enum class Request { none, open, close };

    // What a link reports to its owner, from within the calls below.
    class Listener {
     public:
        virtual ~Listener() = default;
        virtual void link_ready() = 0;
        // It was ready and is no longer.
        virtual void link_lost(const Error& why) = 0;
        // An attempt to become ready failed; without `will_retry` it was the last. The last one may have become ready,
        // and then lost, before it could do anything.
        virtual void link_failed(const Error& why, bool will_retry) = 0;
        // Attempt number `attempt` in a row follows in `delay` ms.
        virtual void link_retry(std::uint32_t attempt, TimeMs delay) = 0;
        // Credentials set on a ready link were accepted; were refused, and it goes on as it was.
        virtual void link_login_accepted() {}
        virtual void link_login_refused(const Error&) {}
        // Whether the server is known to answer, on another link: then one that is silent is held back.
        virtual bool server_answers(TimeMs) { return false; }
    };

    // `login`: of all links of the node. It, `conversation` and `listener` outlive the link. A conversation is that of
    // one link.
    Link(LinkConfig config, Random random, Login& login, Conversation& conversation, Listener& listener);
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    State state() const { return state_; }
    // Whether the present connection has done what the link is for.
    bool has_worked() const { return state_ == State::ready && worked_; }

    // Connects for the first time, or again after it has given up: nothing of what failed before counts any more.
    void start(TimeMs now);
    // An attempt that waits is made at once.
    void retry(TimeMs now);
    // Somebody needs the link: a long wait ends at once, but no sooner than the shortest one after the last failure.
    void needed(TimeMs now);
    // Ends as after the last attempt. The connection may be closed without further ado.
    void give_up(const Error& why, TimeMs now);
    // Something shows that the server is back: an attempt that waits is made at once. Does nothing from then on until
    // this link has worked, so that two links that come and go do not drive each other round without a delay.
    void hurry(TimeMs now);
    // The server is another one from now on: a connection to the old one ends because of `why`, and one to the new one
    // is made at once. A link that was not started, or has given up, stays so.
    void move(const Error& why, TimeMs now);
    // For good. The connection may be closed without further ado.
    void stop();
    // Attempts that failed since it last worked.
    std::int64_t failed_attempts() const { return failed_attempts_; }

    // What the driver shall do with the connection; answers each wish once.
    Request request();
    void opened(TimeMs now);
    void received(std::string_view bytes, TimeMs now);
    // Where what is received next is best put, from the beginning on: given to received() there, it need not be copied.
    // Empty: anywhere. Throws std::bad_alloc.
    std::span<char> room() { return state_ == State::ready ? conversation_.room() : std::span<char>(); }
    // The connection broke, could not be made, or was closed on request.
    void closed(Error why, TimeMs now);
    // The connection is given up for another one in the same attempt, because of `why`: opened() follows, or closed().
    // Returns `why` with what was not answered.
    Error reopening(Error why);
    // What was written is still on its way to the server, and moving.
    void moving(TimeMs now) { heartbeat_.moving(now); }
    // Whether all that was written has arrived there.
    void delivered(bool all) { delivered_ = all; }
    // When something last came in.
    TimeMs heard_at() const { return heartbeat_.last_received(); }
    // The login has other credentials. A link that waits for its next attempt makes it at once; what a ready one does
    // is up to its conversation. May throw std::bad_alloc, and may then be called again.
    void credentials_set(TimeMs now);
    void tick(TimeMs now);
    TimeMs deadline() const;

    // Bytes to write, valid until the next call; empty when there is nothing.
    std::string_view output(TimeMs now) { return state_ == State::ready ? conversation_.output(now) : words_left(); }
    void wrote(std::size_t size, TimeMs now) {
        if (state_ == State::ready)
            conversation_.wrote(size, now);
        else
            wrote_words(size);
    }

    // Breaks a ready link for a reason of ours and makes it anew at once.
    void renew(Error why, TimeMs now);

    // ---- For the conversation ----

    // Commands that are written in front of whatever else the conversation has to write; how much of them is left to
    // write, and what of that was.
    std::string& words() { return words_; }
    std::string_view words_left() const { return std::string_view(words_).substr(words_sent_); }
    void wrote_words(std::size_t size);

    // Something was sent that the server must answer; everything it had to answer is answered.
    void expecting(TimeMs now) { heartbeat_.expecting(now); }
    void expecting_nothing(TimeMs now) { heartbeat_.received(now); }

    // The server has done what the link is for: only then the connection is a good one, and the delays begin again. One
    // that greets well and ends before that is a failed attempt.
    void worked() {
        if (worked_) return;
        worked_ = true;
        hurried_ = false;
        backoff_.reset();
        failed_attempts_ = 0;
    }
    // The server has said something that it must not say: the link is closed.
    void protocol_error(std::string text, TimeMs now);

    Login::Session& session() { return session_; }
    void login_accepted() { listener_.link_login_accepted(); }
    void login_refused(const Error& why) { listener_.link_login_refused(why); }
    const ServerStats& server_stats() const { return handshake_.stats(); }
    // Whether the other end closed the connection that on_down() is about.
    bool closed_by_peer() const { return closed_by_peer_; }

 private:
    std::size_t read(std::string_view piece, TimeMs now);
    bool take_replies(TimeMs now);
    void open(TimeMs now);
    void tick_link(TimeMs now);
    bool is_held_back(TimeMs now);
    void fail(Error why, TimeMs now, bool retry_at_once = false);

    LinkConfig config_;
    Conversation& conversation_;
    Listener& listener_;
    Heartbeat heartbeat_;
    Backoff backoff_;
    Login::Session session_;
    Handshake handshake_;
    ReplyReader reader_;
    std::string words_;
    std::size_t words_sent_ = 0;
    State state_ = State::idle;
    Request request_ = Request::none;
    TimeMs deadline_ = never;  // of opening and greeting together, or the end of waiting
    TimeMs waits_since_ = 0;   // if it waits
    bool first_bytes_ = true;
    bool worked_ = false;   // the present connection
    bool hurried_ = false;  // since it last worked
    bool closed_by_peer_ = false;
    bool delivered_ = true;
    TimeMs held_back_since_ = never;
    std::int64_t failed_attempts_ = 0;  // in a row
};

}  // namespace fanwire::core
