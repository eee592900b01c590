// How RedisBackend and its node wire their two links: the real class and real sockets, against a server that does what
// the test says, in this thread. What the links themselves do is tested with them.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/backend/redis.h"
#include "core/message/message_pool.h"
#include "core/net/loop_network.h"
#include "core/protocol/command.h"
#include "tests/support/topics.h"

namespace fanwire::core {
namespace {

constexpr TimeMs patience = 20000;

using Strings = std::vector<std::string>;

// A Redis at a unix socket, as far as it is needed here. The links are told apart by what they ask.
class Server {
 public:
    struct Peer {
        explicit Peer(int descriptor) : fd(descriptor) {}
        const int fd;
        ReplyReader reader;
        std::string out;
        std::set<std::string> subscribed;
        bool gone = false;
    };
    // Answers a command in its own way, by bytes or by leaving (gone); nullopt: in the usual one.
    std::function<std::optional<std::string>(Peer& peer, const Strings& command)> special;
    bool open = true;  // it takes connections
    Strings commands;  // all but those of greetings

    Server()
        : path_("/tmp/fanwire-backend-test-" + std::to_string(getpid())),
          fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        unlink(path_.c_str());
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(fd_, 16), 0);
    }
    ~Server() {
        drop([](const Peer&) { return true; });
        ::close(fd_);
        unlink(path_.c_str());
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    const std::string& path() const { return path_; }
    void drop(const std::function<bool(const Peer&)>& which) {
        for (const auto& peer : peers_) peer->gone = peer->gone || which(*peer);
        remove();
    }
    void drop_all() {
        drop([](const Peer&) { return true; });
    }
    void send(const std::string& channel, const std::string& bytes) {
        for (const auto& peer : peers_)
            if (peer->subscribed.contains(channel)) peer->out += bytes;
    }
    std::size_t count(const std::string& word) const {
        return static_cast<std::size_t>(
            std::count_if(commands.begin(), commands.end(), [&](const std::string& c) { return c.starts_with(word); }));
    }
    void step() {
        for (int fd; (fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
            open ? void(peers_.push_back(std::make_unique<Peer>(fd))) : void(::close(fd));
        for (const auto& peer : peers_) {
            char bytes[4096];
            for (ssize_t n; (n = recv(peer->fd, bytes, sizeof bytes, 0)) > 0;) {
                peer->reader.feed({bytes, static_cast<std::size_t>(n)});
                while (!peer->gone && peer->reader.next() == ReplyReader::Result::reply) run(*peer);
            }
            if (!peer->out.empty() && !peer->gone) {
                const ssize_t n = ::send(peer->fd, peer->out.data(), peer->out.size(), MSG_NOSIGNAL);
                if (n > 0) peer->out.erase(0, static_cast<std::size_t>(n));
            }
        }
        remove();
    }

 private:
    void run(Peer& peer) {
        const Reply& reply = peer.reader.reply();
        Strings command;
        for (std::size_t i = 0; i < reply.size(); ++i) command.emplace_back(reply[i].text());
        const std::string& word = command[0];
        if (word != "CLIENT" && word != "INFO" && word != "PING") {
            std::string line = word;
            for (std::size_t i = 1; i < command.size(); ++i) line += " " + command[i];
            commands.push_back(line);
        }
        if (special) {
            if (const auto answer = special(peer, command)) return void(peer.out += *answer);
            if (peer.gone) return;
        }
        if (word == "PING") {
            peer.out += peer.subscribed.empty() ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
        } else if (word == "INFO") {
            peer.out += "$0\r\n\r\n";
        } else if (word == "PUBLISH") {
            peer.out += ":0\r\n";
        } else if (word == "PUBSUB") {
            append_count(peer.out, '*', 2);
            append_bulk(peer.out, command[2]);
            append_count(peer.out, ':', 5);
        } else if (word == "SUBSCRIBE" || word == "PSUBSCRIBE") {
            for (std::size_t i = 1; i < command.size(); ++i) {
                peer.subscribed.insert(command[i]);
                peer.out += "*3\r\n";
                append_bulk(peer.out, word == "SUBSCRIBE" ? "subscribe" : "psubscribe");
                append_bulk(peer.out, command[i]);
                append_count(peer.out, ':', peer.subscribed.size());
            }
        } else {
            peer.out += "+OK\r\n";
        }
    }
    void remove() {
        std::erase_if(peers_, [](const auto& peer) { return peer->gone && (::close(peer->fd), true); });
    }

    std::string path_;
    int fd_;
    std::vector<std::unique_ptr<Peer>> peers_;
};

struct RedisBackendTest : testing::Test, BackendSink {
    void start(std::vector<std::pair<const char*, const char*>> more = {}) {
        Options options;
        options.set("unix_path", server.path());
        options.set("reconnect_delay_ms", "1");
        options.set("max_reconnect_delay_ms", "2");
        options.set("namespace", "");
        for (const auto& [name, value] : more) options.set(name, value);
        backend.emplace(
            options.resolve([](const char*) { return std::optional<std::string>(); }), network, [] { return 0.5; }, 7,
            topics, *pool, *this);
        backend->start();
    }
    void TearDown() override {
        if (backend) backend->stop({Status::CLOSED, "closed"});
    }

    // Whether it comes to be, in good time; the server works meanwhile.
    bool until(const std::function<bool()>& done) {
        const TimeMs deadline = now_ms() + patience;
        bool is_done = false;
        std::function<void(TimeMs)> again;
        Loop::Timer timer(loop, [&] {
            server.step();
            is_done = done();
            if (is_done || now_ms() > deadline)
                loop.stop();
            else
                again(now_ms() + 1);
        });
        again = [&](TimeMs at) { timer.at(at); };
        timer.at(now_ms());
        loop.run();
        EXPECT_TRUE(is_done) << testing::PrintToString(log);
        return is_done;
    }
    std::size_t times(const std::string& what) const {
        return static_cast<std::size_t>(std::count(log.begin(), log.end(), what));
    }
    bool until_logged(const std::string& what, std::size_t count = 1) {
        return until([&] { return times(what) >= count; });
    }
    // Where in the log it stands first; its size: nowhere.
    std::size_t place(const std::string& what) const {
        return static_cast<std::size_t>(std::find(log.begin(), log.end(), what) - log.begin());
    }
    Topic& subscribe(const std::string& name, TargetKind kind = TargetKind::channel) {
        Topic& topic = topic_of(topics, kind, name);
        backend->subscribe(topic);
        backend->flush();
        return topic;
    }
    void publish(const std::string& channel, const std::string& payload) {
        PublishBatch batch;
        batch.deadline = now_ms() + patience;
        batch.add(publish_command, "", channel, payload);
        backend->publish(batch);
        backend->flush();
    }
    void ask(const std::string& name) {
        auto question = std::make_unique<Numsub>(Strings{name});
        question->deadline = now_ms() + patience;
        question->done = [this, name, counts = question->counts](const Error& why) {
            log.push_back("numsub " + name + " " + (why ? status_name(why.status) : std::to_string(counts[0])));
        };
        backend->ask(question);
        backend->flush();
    }
    static std::string message(const std::string& channel, const std::string& payload) {
        std::string bytes;
        append_command(bytes, {"message", channel, payload});
        return bytes;
    }

    Server server;
    Strings log;

 private:
    void on_message(Topic* topic, std::string_view channel, std::string_view payload, MessageRef*) override {
        log.push_back("message " + std::string(topic ? topic->view() : "?") + " " + std::string(channel) + " " +
                      std::string(payload));
    }
    void on_reply(std::string_view payload) override { log.push_back("reply " + std::string(payload)); }
    void on_confirmed(Topic& topic, GapReason reason) override {
        log.push_back("confirmed " + std::string(topic.view()));
        if (reason != GapReason::none) log.push_back("for reason " + std::to_string(static_cast<int>(reason)));
    }
    void on_refused(Topic& topic, const Error&) override { log.push_back("refused " + std::string(topic.view())); }
    void on_lost(std::span<Topic* const> lost, const Error&, GapReason) override {
        for (const Topic* const topic : lost)
            if (topics.find(topic->kind(), topic->view()) == topic) log.push_back("lost " + std::string(topic->view()));
    }
    void on_settled(const SettledRun& run) override {
        for (std::size_t i = 0; i < run.publishes.size(); ++i)
            log.push_back(std::string("settled ") + status_name(run.error.status));
    }
    void on_unqueued(std::size_t, std::size_t) override {}
    void on_event(const BackendEvent& event) override {
        if (event.kind == BackendEvent::Kind::links)
            links = {event.publish, event.subscribe};
        else if (event.kind != BackendEvent::Kind::probe_reset)
            log.push_back(line_of(event));
    }
    void on_heard(NodeNumber) override {}
    void on_bytes(std::size_t, std::size_t) override {}
    void on_turn_end() override {}

    static std::string line_of(const BackendEvent& event) {
        using Kind = BackendEvent::Kind;
        switch (event.kind) {
            case Kind::connected:
                return "connected";
            case Kind::disconnected:
                return "disconnected";
            case Kind::connect_failed:
                return event.will_retry ? "failed" : "failed for good";
            case Kind::reconnecting:
                return "attempt " + std::to_string(event.attempt);
            case Kind::gave_up:
                return "gave up " + std::to_string(event.attempt);
            case Kind::revived:
                return "revived";
            case Kind::publishable:
                return "publishable";
            case Kind::unpublishable:
                return "not publishable";
            case Kind::reply_channel_confirmed:
                return "reply channel";
            case Kind::reply_channel_refused:
                return "reply channel refused";
            case Kind::reply_channel_lost:
                return "reply channel lost";
            case Kind::output_buffer:
                return "output buffer";
            case Kind::login_refused:
                return "login refused";
            case Kind::probe_sent:
                return "probe";
            case Kind::probe_returned:
                return "probe returned";
            case Kind::probe_failed:
                return "probe failed";
            case Kind::probe_refused:
                return "probe refused";
            case Kind::links:
            case Kind::probe_reset:
                break;
        }
        return "?";
    }

 public:
    std::pair<bool, bool> links;
    Loop loop{[] {}};
    LoopNetwork network{loop};
    Topics topics{1};
    MessagePool::Owner pool = MessagePool::make();
    std::optional<RedisBackend> backend;
};

TEST_F(RedisBackendTest, IsConnectedWhenBothLinksAre) {
    std::size_t greetings = 0;
    server.special = [&](Server::Peer&, const Strings& command) -> std::optional<std::string> {
        if (command[0] == "PING" && ++greetings == 2) return "";  // one of them has no answer yet
        return std::nullopt;
    };
    start();
    ASSERT_TRUE(until([&] { return greetings == 2 && links.first != links.second; }));
    EXPECT_EQ(times("connected"), 0u);
    server.special = nullptr;
    server.drop([](const Server::Peer&) { return true; });
    ASSERT_TRUE(until_logged("connected"));
    EXPECT_EQ(links, std::pair(true, true));
    server.drop_all();
    ASSERT_TRUE(until_logged("connected", 2));
    EXPECT_EQ(times("disconnected"), 1u) << "of the pair, once";
}

// Both links fail, and it is one attempt.
TEST_F(RedisBackendTest, AFailedAttemptIsToldOnce) {
    server.open = false;
    start({{"max_reconnect_attempts", "4"}});
    ASSERT_TRUE(until_logged("gave up 4"));
    EXPECT_EQ(times("failed"), 3u);
    EXPECT_EQ(times("failed for good"), 1u);
    for (const char* attempt : {"attempt 2", "attempt 3", "attempt 4"}) EXPECT_LE(times(attempt), 1u) << attempt;
    EXPECT_EQ(log.back(), "gave up 4");
}

// The publish link gives up while the subscriptions are there: they are lost first.
TEST_F(RedisBackendTest, WhatGivesUpHasLostItsSubscriptions) {
    start({{"max_reconnect_attempts", "3"}});
    ASSERT_TRUE(until_logged("connected"));
    subscribe("c");
    ASSERT_TRUE(until_logged("confirmed c"));
    server.special = [](Server::Peer& peer, const Strings& command) -> std::optional<std::string> {
        peer.gone = command[0] == "PUBSUB";
        return std::nullopt;
    };
    ask("c");
    ASSERT_TRUE(until_logged("gave up 3"));
    EXPECT_EQ(times("lost c"), 1u);
    EXPECT_LT(place("lost c"), place("failed for good"));
    EXPECT_EQ(times("numsub c NOT_CONNECTED"), 1u);
    EXPECT_EQ(links, std::pair(false, false));
}

// The subscribe link gives up while the publish link waits for answers: those are not waited for on the next one.
TEST_F(RedisBackendTest, WhatWasAskedOnALinkThatGivesUpIsForgotten) {
    start({{"max_reconnect_attempts", "3"},
           {"probe_interval_ms", "1"},
           {"heartbeat_timeout_ms", "400"},
           {"heartbeat_interval_ms", "200"}});
    server.special = [](Server::Peer&, const Strings& command) -> std::optional<std::string> {
        if (command[0] == "PUBLISH") return "";  // the probe's answer is still to come
        return std::nullopt;
    };
    ASSERT_TRUE(until_logged("probe"));
    server.special = [](Server::Peer& peer, const Strings& command) -> std::optional<std::string> {
        if (command[0] == "PUBLISH") return "";
        peer.gone = command[0] == "SUBSCRIBE";
        return std::nullopt;
    };
    server.drop([](const Server::Peer& peer) { return !peer.subscribed.empty(); });
    ASSERT_TRUE(until([&] { return times("failed for good") == 1; }));
    server.special = nullptr;
    log.clear();
    server.commands.clear();
    backend->reconnect();
    ask("c");  // before there is a link
    EXPECT_EQ(log, Strings{"revived"});
    ASSERT_TRUE(until_logged("numsub c 5"));
    ASSERT_TRUE(until_logged("probe failed")) << "nobody receives it, and Redis says so";
    ask("d");
    ASSERT_TRUE(until_logged("numsub d 5"));
}

// New credentials are tried on the publish link, which loses nothing by them.
TEST_F(RedisBackendTest, TheSubscribeLinkIsNotRiskedForCredentials) {
    start({{"username", "old"}, {"password", "old"}});
    subscribe("c");
    ASSERT_TRUE(until_logged("confirmed c"));
    ASSERT_TRUE(until_logged("connected"));
    server.special = [](Server::Peer&, const Strings& command) -> std::optional<std::string> {
        if (command[0] == "AUTH" && command[1] == "wrong") return "-WRONGPASS invalid username-password pair\r\n";
        return std::nullopt;
    };
    backend->set_credentials("wrong", "wrong");
    backend->flush();
    ASSERT_TRUE(until_logged("login refused"));
    EXPECT_EQ(times("lost c"), 0u);
    EXPECT_EQ(links, std::pair(true, true));
    backend->set_credentials("right", "right");
    backend->flush();
    ASSERT_TRUE(until_logged("confirmed c", 2)) << "another user's rights: it is subscribed again";
    EXPECT_EQ(times("lost c"), 1u);
    EXPECT_EQ(server.count("AUTH right"), 2u);
}

// What is queued in a break is sent when our own subscriptions are confirmed.
TEST_F(RedisBackendTest, TheQueueWaitsForTheSubscriptions) {
    start({{"drain_wait_ms", "60000"}});
    subscribe("c");
    ASSERT_TRUE(until_logged("confirmed c"));
    ASSERT_TRUE(until_logged("connected"));
    Server::Peer* asked = nullptr;
    server.special = [&](Server::Peer& peer, const Strings& command) -> std::optional<std::string> {
        if (command[0] != "SUBSCRIBE") return std::nullopt;
        asked = &peer;
        return "";  // not yet
    };
    server.drop_all();
    ASSERT_TRUE(until_logged("lost c"));
    publish("c", "x");
    ask("d");
    ASSERT_TRUE(until([&] { return asked != nullptr; }));
    ASSERT_TRUE(until_logged("numsub d 5")) << "what the link asks for itself does not wait";
    EXPECT_EQ(server.count("PUBLISH"), 0u);
    asked->out += "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    ASSERT_TRUE(until_logged("settled OK"));
}

TEST_F(RedisBackendTest, WhatIsItsOwnIsNobodysMessage) {
    start({{"probe_interval_ms", "60000"}});
    const std::string replies = "__fanwire:reply:" + std::string(32, 'a'),
                      others = "__fanwire:reply:" + std::string(32, 'b');
    backend->listen(Topic::make(TargetKind::channel, replies, 0));
    subscribe("*", TargetKind::pattern);
    subscribe("c");
    ASSERT_TRUE(
        until([&] { return times("reply channel") == 1 && times("confirmed *") == 1 && times("confirmed c") == 1; }));
    ASSERT_TRUE(until([&] { return server.count("PUBLISH __fanwire:probe:") == 1; }));
    const std::string probe = server.commands.back().substr(8, 32);
    std::string bytes;
    for (const std::string& channel : {replies, others, probe, std::string("c")})
        append_command(bytes, {"pmessage", "*", channel, "by pattern"});
    server.send("c", message(replies, "answer") + bytes + message(probe, "1") + message("c", "last"));
    ASSERT_TRUE(until_logged("message c c last"));
    EXPECT_EQ(times("reply answer"), 1u);
    EXPECT_EQ(times("probe returned"), 1u);
    EXPECT_EQ(times("message * c by pattern"), 1u);
    EXPECT_EQ(
        std::count_if(log.begin(), log.end(), [](const std::string& line) { return line.starts_with("message "); }), 2);
}

// What is delivered in front of a probe proves that the link delivers: the probe may take as long as that goes on.
TEST_F(RedisBackendTest, AProbeBehindABacklogDoesNotBreakTheLink) {
    constexpr TimeMs timeout = 300;
    std::string probe;
    server.special = [&](Server::Peer&, const Strings& command) -> std::optional<std::string> {
        if (command[0] != "PUBLISH") return std::nullopt;
        if (!command[1].starts_with("__fanwire:probe:")) return std::nullopt;
        probe = message(command[1], command[2]);
        return ":1\r\n";
    };
    start({{"probe_interval_ms", "60000"}, {"heartbeat_timeout_ms", "300"}, {"heartbeat_interval_ms", "100"}});
    subscribe("c");
    // On a machine that stands still for too long a backlog is none: then the link has broken for another reason.
    for (int attempt = 0; attempt < 20; ++attempt) {
        ASSERT_TRUE(until([&] { return !probe.empty(); }));
        const std::size_t failed = times("probe failed");
        TimeMs last = now_ms(), longest = 0;
        const TimeMs begin = last;
        ASSERT_TRUE(until([&] {
            const TimeMs now = now_ms();
            longest = std::max(longest, now - std::exchange(last, now));
            server.send("c", message("c", "of the backlog"));
            return now - begin > 3 * timeout || times("probe failed") > failed;
        }));
        if (times("probe failed") == failed) {
            server.send("c", probe);
            ASSERT_TRUE(until_logged("probe returned"));
            return;
        }
        ASSERT_GE(longest, timeout / 2) << "messages came all the time";
        probe.clear();
    }
    GTEST_SKIP() << "the machine is too slow";
}

TEST_F(RedisBackendTest, ARefusedReplyChannelIsNoRefusedSubscription) {
    const std::string replies = "__fanwire:reply:" + std::string(32, 'a');
    server.special = [&](Server::Peer&, const Strings& command) -> std::optional<std::string> {
        if (command[0] == "SUBSCRIBE" && command[1] == replies) return "-NOPERM no\r\n";
        return std::nullopt;
    };
    start();
    backend->listen(Topic::make(TargetKind::channel, replies, 0));
    ASSERT_TRUE(until_logged("reply channel refused"));
    subscribe("c");
    ASSERT_TRUE(until_logged("confirmed c"));
    server.special = nullptr;
    server.drop_all();
    ASSERT_TRUE(until_logged("reply channel")) << "it is still wanted";
    EXPECT_EQ(
        std::count_if(log.begin(), log.end(), [](const std::string& line) { return line.starts_with("refused "); }), 0);
}

}  // namespace
}  // namespace fanwire::core
