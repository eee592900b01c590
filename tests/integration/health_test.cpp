// Health against real faults, the end-to-end probe, and GAPs that know of a killed output buffer.
#include <atomic>
#include <thread>

#include "tests/integration/support.h"

namespace integration_test {
namespace {

fanwire_health health_of(const Engine& engine) {
    fanwire_health health{};
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_health(engine, &health, sizeof health));
    return health;
}

const Options::Settings quick = {{"reconnect_delay_ms", "10"},
                                 {"max_reconnect_delay_ms", "50"},
                                 {"heartbeat_interval_ms", "50"},
                                 {"heartbeat_timeout_ms", "300"},
                                 {"probe_interval_ms", "20"}};

TEST(HealthOnRedis, FollowsTheServer) {
    RedisServer server;
    Engine engine = open_on(server.url(), quick);
    ASSERT_TRUE(until([&] { return health_of(engine).verdict == FANWIRE_HEALTH_OK; })) << health_of(engine).text;
    const fanwire_health well = health_of(engine);
    EXPECT_NE(well.probe_age_ms, FANWIRE_COUNT_UNKNOWN);
    EXPECT_GT(well.probe_us, 0u);
    EXPECT_NE(well.silence_ms, FANWIRE_COUNT_UNKNOWN);

    server.kill();
    ASSERT_TRUE(until([&] { return health_of(engine).verdict == FANWIRE_HEALTH_DOWN; }));
    EXPECT_TRUE(until([&] { return health_of(engine).status == FANWIRE_CONNECT_FAILED; })) << health_of(engine).text;
    server.start();
    EXPECT_TRUE(until([&] { return health_of(engine).verdict == FANWIRE_HEALTH_OK; })) << health_of(engine).text;
}

TEST(HealthOnRedis, ProbesAreSeenByNobody) {
    RedisServer server;
    Options::Settings settings = quick;
    settings.emplace_back("namespace", "");
    Engine engine = open_on(server.url(), settings), other = open_on(server.url(), settings);
    Inbox inbox;
    Subscription all = psubscribe(engine, "*", inbox);
    const std::uint64_t before = stats_of(other).probes;
    ASSERT_TRUE(until([&] { return stats_of(other).probes > before + 5 && stats_of(engine).probes > 5; }));
    EXPECT_EQ(publish(other, "chat", "the first"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "the first");
    EXPECT_EQ(stats_of(other).published, 1u);
    EXPECT_EQ(stats_of(other).probe_failures, 0u);
}

TEST(HealthOnRedis, AProbeThatIsForbiddenSaysSo) {
    RedisServer server;
    RawClient admin(server.port());
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "on", ">secret", "resetchannels", "&ws:*", "+@all"}), "OK");
    Options::Settings settings = quick;
    settings.emplace_back("username", "app");
    settings.emplace_back("password", "secret");
    Engine engine = open_on(server.url(), settings);
    ASSERT_TRUE(until([&] { return health_of(engine).status == FANWIRE_NO_PERMISSION; })) << health_of(engine).text;
    EXPECT_EQ(health_of(engine).verdict, FANWIRE_HEALTH_DEGRADED);
    EXPECT_EQ(stats_of(engine).disconnects, 0u);
    ASSERT_EQ(admin.call({"ACL", "SETUSER", "app", "&__fanwire:probe:*"}), "OK");
    EXPECT_TRUE(until([&] { return health_of(engine).verdict == FANWIRE_HEALTH_OK; })) << health_of(engine).text;
}

// A server that accepts SUBSCRIBE, answers PING and PUBLISH, and delivers nothing: what a proxy in front of a demoted
// master looks like. It can also close its subscribers as Redis 7.2 does when their output buffers are too large, and
// counts them in INFO stats.
class Mute {
 public:
    Mute() : listener_(socket(AF_INET, SOCK_STREAM, 0)), port_(fanwire::test::free_port()) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port_));
        const int on = 1;
        setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 16) != 0)
            throw std::runtime_error("no listener");
        thread_ = std::thread([this] { run(); });
    }
    ~Mute() {
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    void kill_subscribers() { kill_.store(true); }
    // The next PUBLISH is not answered: its connection is closed.
    void end_at_publish() { end_.store(true); }

 private:
    struct Client {
        int fd;
        std::string in;
        bool subscribed = false;
    };
    void run() {
        std::vector<Client> clients;
        while (true) {
            std::vector<pollfd> fds = {{listener_, POLLIN, 0}};
            for (const Client& client : clients) fds.push_back({client.fd, POLLIN, 0});
            poll(fds.data(), fds.size(), 1);
            if (kill_.exchange(false)) {
                for (Client& client : clients) {
                    if (!client.subscribed) continue;
                    ++killed_;
                    shutdown(client.fd, SHUT_RDWR);
                }
                continue;
            }
            if (fds[0].revents & (POLLHUP | POLLERR)) break;
            for (std::size_t i = clients.size(); i-- > 0;)
                if (fds[i + 1].revents && !serve(clients[i])) {
                    close(clients[i].fd);
                    clients.erase(clients.begin() + static_cast<std::ptrdiff_t>(i));
                }
            if (fds[0].revents & POLLIN) {
                const int fd = accept(listener_, nullptr, nullptr);
                if (fd >= 0) clients.push_back({fd, {}});
            }
        }
        for (const Client& client : clients) close(client.fd);
    }
    // Answers every complete command.
    bool serve(Client& client) {
        char bytes[4096];
        const ssize_t n = recv(client.fd, bytes, sizeof bytes, 0);
        if (n <= 0) return false;
        client.in.append(bytes, static_cast<std::size_t>(n));
        while (true) {
            std::vector<std::string> words;
            std::size_t at = client.in.find("\r\n");
            if (at == std::string::npos) return true;
            const int count = std::stoi(client.in.substr(1));
            at += 2;
            for (int i = 0; i < count; ++i) {
                const std::size_t end = client.in.find("\r\n", at);
                if (end == std::string::npos) return true;
                const auto size = static_cast<std::size_t>(std::stoi(client.in.substr(at + 1)));
                if (client.in.size() < end + 2 + size + 2) return true;
                words.push_back(client.in.substr(end + 2, size));
                at = end + 2 + size + 2;
            }
            client.in.erase(0, at);
            std::string out = "+OK\r\n";
            if (words[0] == "PING") out = client.subscribed ? "*2\r\n$4\r\npong\r\n$0\r\n\r\n" : "+PONG\r\n";
            if (words[0] == "PUBLISH" && end_.exchange(false)) return false;
            if (words[0] == "PUBLISH") out = ":1\r\n";
            if (words[0] == "INFO") {
                const std::string info = "# Stats\r\ntotal_connections_received:" + std::to_string(++asked_) +
                                         "\r\nclient_output_buffer_limit_disconnections:" + std::to_string(killed_) +
                                         "\r\n";
                out = "$" + std::to_string(info.size()) + "\r\n" + info + "\r\n";
            }
            if (words[0] == "SUBSCRIBE") {
                client.subscribed = true;
                out.clear();
                for (std::size_t i = 1; i < words.size(); ++i)
                    out += "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(words[i].size()) + "\r\n" + words[i] +
                           "\r\n:" + std::to_string(i) + "\r\n";
            }
            if (send(client.fd, out.data(), out.size(), MSG_NOSIGNAL) < 0) return false;
        }
    }

    int listener_;
    int port_;
    std::atomic<bool> kill_{false}, end_{false};
    int asked_ = 0, killed_ = 0;
    std::thread thread_;
};

TEST(HealthOnRedis, TheProbeFindsALinkThatAnswersPingsButDeliversNothing) {
    Mute mute;
    Engine blind = open_on(mute.url(), {{"heartbeat_interval_ms", "50"}, {"heartbeat_timeout_ms", "300"}});
    Engine engine = open_on(mute.url(), quick);
    Inbox inbox;
    Subscription subscription = subscribe(engine, "chat", inbox);
    EXPECT_NE(health_of(engine).verdict, FANWIRE_HEALTH_OK);
    const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
    EXPECT_EQ(lost.status, FANWIRE_CONNECTION_LOST);
    EXPECT_NE(lost.text.find("did not come back"), std::string::npos) << lost.text;
    inbox.next(FANWIRE_EVENT_GAP);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_GE(stats_of(engine).probe_failures, 1u);
    EXPECT_NE(health_of(engine).verdict, FANWIRE_HEALTH_OK);
    // Without the probe nobody would know.
    EXPECT_EQ(health_of(blind).verdict, FANWIRE_HEALTH_OK);
    EXPECT_EQ(stats_of(blind).disconnects, 0u);
}

// A probe that had no answer when its link broke is not waited for on the next: those that follow fail as they should.
TEST(HealthOnRedis, AProbeWithoutAnAnswerIsForgottenWithItsLink) {
    Mute mute;
    mute.end_at_publish();
    Engine engine = open_on(mute.url(), quick);
    EXPECT_TRUE(until([&] { return stats_of(engine).disconnects >= 1; }));
    EXPECT_TRUE(until([&] { return stats_of(engine).probe_failures >= 1; }));
}

TEST(HealthOnRedis, AKilledOutputBufferIsTheReasonOfTheGap) {
    Mute server;
    Engine engine = open_on(server.url(), {{"reconnect_delay_ms", "10"}, {"max_reconnect_delay_ms", "50"}});
    Inbox inbox;
    Subscription subscription = subscribe(engine, "chat", inbox);
    server.kill_subscribers();
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_LOST).status, FANWIRE_CONNECTION_LOST);
    const Seen gap = inbox.next(FANWIRE_EVENT_GAP);
    EXPECT_EQ(gap.reason, FANWIRE_GAP_OUTPUT_BUFFER);
    EXPECT_EQ(gap.count, FANWIRE_COUNT_UNKNOWN);
    inbox.next(FANWIRE_EVENT_RESUMED);
    EXPECT_EQ(stats_of(engine).output_buffer_kills, 1u);
}

}  // namespace
}  // namespace integration_test
