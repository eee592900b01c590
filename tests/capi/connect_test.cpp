// Servers that are not there, are not Redis, or say nothing.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

namespace capi_test {
namespace {

// A free port of 127.0.0.1, and what answers there: nothing at all, or a thread that sends `answer` to whoever says
// something (nothing if empty) and keeps the connection until the other side ends it.
class Server {
 public:
    enum class Listen { no, yes };

    explicit Server(Listen listening, std::string answer = "") : answer_(std::move(answer)) {
        socket_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        EXPECT_EQ(0, bind(socket_, reinterpret_cast<sockaddr*>(&address), size));
        EXPECT_EQ(0, getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size));
        port_ = ntohs(address.sin_port);
        if (listening == Listen::no) return;  // bound and not listening: connections are refused, nobody takes the port
        EXPECT_EQ(0, listen(socket_, 16));
        EXPECT_EQ(0, pipe(stop_));
        thread_ = std::thread([this] { run(); });
    }
    ~Server() {
        if (thread_.joinable()) {
            EXPECT_EQ(1, write(stop_[1], "x", 1));
            thread_.join();
            close(stop_[0]);
            close(stop_[1]);
        }
        close(socket_);
    }

    std::string url() const { return "redis://127.0.0.1:" + std::to_string(port_); }
    std::string port() const { return std::to_string(port_); }

 private:
    void run() {
        std::vector<pollfd> waiting{{stop_[0], POLLIN, 0}, {socket_, POLLIN, 0}};
        while (poll(waiting.data(), waiting.size(), -1) > 0 && waiting[0].revents == 0) {
            if (waiting[1].revents != 0) {
                const int accepted = accept(socket_, nullptr, nullptr);
                if (accepted >= 0) waiting.push_back({accepted, POLLIN, 0});
            }
            for (std::size_t i = waiting.size(); i-- > 2;) {
                if (waiting[i].revents == 0) continue;
                char bytes[4096];
                if (recv(waiting[i].fd, bytes, sizeof bytes, 0) <= 0) {
                    close(waiting[i].fd);
                    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
                } else if (!answer_.empty()) {
                    send(waiting[i].fd, answer_.data(), answer_.size(), MSG_NOSIGNAL);
                }
            }
        }
        for (std::size_t i = 2; i < waiting.size(); ++i) close(waiting[i].fd);
    }

    const std::string answer_;
    int socket_ = -1;
    int stop_[2] = {-1, -1};
    std::uint16_t port_ = 0;
    std::thread thread_;
};

// An engine that tries to connect, with its events.
struct Attempt {
    Inbox inbox;
    Engine engine;
    std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();

    explicit Attempt(const std::string& url, const Options::Settings& settings = {}) {
        Options options(settings);
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url.c_str()));
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, inbox, nullptr));
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    }

    std::chrono::milliseconds took() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
    }

    // The attempt fails like this, in the call and in the engine's events; the engine tries again, and closes at once.
    void expect_failure(int status, const std::string& text) {
        EXPECT_STATUS(status, fanwire_engine_wait_connected(engine, deadline_ms));
        const std::string detail = fanwire_last_error();
        EXPECT_NE(std::string::npos, detail.find(text)) << detail;
        const Seen error = inbox.next(FANWIRE_EVENT_ERROR);
        EXPECT_STREQ(fanwire_status_name(status), fanwire_status_name(error.status));
        EXPECT_NE("", error.text);
        EXPECT_EQ(1, error.will_reconnect);
        const Seen again = inbox.next(FANWIRE_EVENT_RECONNECTING);
        EXPECT_EQ(1u, again.count);
        EXPECT_GT(again.delay_ms, 0u);
        EXPECT_GE(stats_of(engine).connect_errors, 1u);
        EXPECT_EQ(0u, stats_of(engine).connected);
        expect_prompt_close();
    }

    void expect_prompt_close() {
        const auto before = std::chrono::steady_clock::now();
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
        EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
    }
};

TEST(Connect, NoServer) {
    Server server(Server::Listen::no);
    Attempt attempt(server.url());
    attempt.expect_failure(FANWIRE_CONNECT_FAILED, server.port());
    EXPECT_LT(attempt.took(), std::chrono::seconds(10)) << "a refused connection needs no timeout";
}

TEST(Connect, NoSuchUnixSocket) {
    Attempt attempt("unix:///nonexistent/redis.sock");
    attempt.expect_failure(FANWIRE_CONNECT_FAILED, "/nonexistent/redis.sock");
}

TEST(Connect, NoSuchHost) {
    Attempt attempt("redis://no-such-host.invalid");
    attempt.expect_failure(FANWIRE_RESOLVE_FAILED, "no-such-host.invalid");
}

TEST(Connect, AServerThatSpeaksHttp) {
    Server server(Server::Listen::yes, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    Attempt attempt(server.url());
    attempt.expect_failure(FANWIRE_PROTOCOL_ERROR, "Redis");
}

TEST(Connect, AServerThatSaysNothing) {
    Server server(Server::Listen::yes);
    Attempt attempt(server.url(), {{"connect_timeout_ms", "200"}});
    attempt.expect_failure(FANWIRE_CONNECT_TIMEOUT, "200");
    EXPECT_GE(attempt.took(), std::chrono::milliseconds(190));
    EXPECT_LT(attempt.took(), std::chrono::seconds(10));
}

TEST(Connect, WaitTimesOutBeforeTheAttempt) {
    Server server(Server::Listen::yes);
    Attempt attempt(server.url(), {{"connect_timeout_ms", "60000"}});
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_wait_connected(attempt.engine, 50));
    EXPECT_LT(attempt.took(), std::chrono::seconds(10));
    attempt.expect_prompt_close();
}

TEST(Connect, CloseDuringTheAttemptIsPrompt) {
    Server silent(Server::Listen::yes), refusing(Server::Listen::no), http(Server::Listen::yes, "HTTP/1.1 400\r\n\r\n");
    for (const std::string& url : {silent.url(), refusing.url(), http.url(),
                                   std::string("redis://no-such-host.invalid"), std::string("redis://192.0.2.1")}) {
        Attempt attempt(url, {{"connect_timeout_ms", "60000"}, {"reconnect_delay_ms", "1"}});
        attempt.expect_prompt_close();
        EXPECT_STATUS(FANWIRE_CLOSED, fanwire_engine_wait_connected(attempt.engine, deadline_ms));
    }
}

// A child that was forked meanwhile has copies of all descriptors: the server learns all the same that we have left.
TEST(Connect, AChildKeepsNoConnectionOpen) {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(0, bind(listening, reinterpret_cast<sockaddr*>(&address), size));
    ASSERT_EQ(0, getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size));
    ASSERT_EQ(0, listen(listening, 16));
    Attempt attempt("redis://127.0.0.1:" + std::to_string(ntohs(address.sin_port)), {{"connect_timeout_ms", "60000"}});
    const int links[] = {accept(listening, nullptr, nullptr), accept(listening, nullptr, nullptr)};
    int stop[2];
    ASSERT_EQ(0, pipe(stop));
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        close(stop[1]);
        _exit(read(stop[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(stop[0]);
    attempt.expect_prompt_close();
    for (const int link : links) {
        const timeval patience{static_cast<time_t>(deadline_ms / 1000), 0};
        setsockopt(link, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        char bytes[4096];
        ssize_t n;
        while ((n = recv(link, bytes, sizeof bytes, 0)) > 0) {
        }
        EXPECT_EQ(0, n) << "the connection is still open";
        close(link);
    }
    close(stop[1]);
    int status = 1;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    close(listening);
}

TEST(Connect, AttemptsMayBeLimited) {
    Server server(Server::Listen::no);
    Attempt attempt(server.url(), {{"max_reconnect_attempts", "2"}, {"reconnect_delay_ms", "1"}});
    std::vector<int> kinds;
    Seen event;
    do {
        event = attempt.inbox.next();
        ASSERT_NE(0, event.kind);
        kinds.push_back(event.kind);
    } while (event.kind != FANWIRE_EVENT_ERROR || event.will_reconnect != 0);
    EXPECT_STREQ("CONNECT_FAILED", fanwire_status_name(event.status));
    EXPECT_LE(kinds.size(), 6u);
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_engine_wait_connected(attempt.engine, deadline_ms));
    event = attempt.inbox.next();
    EXPECT_EQ(FANWIRE_EVENT_GAVE_UP, event.kind);
    EXPECT_EQ(FANWIRE_CONNECT_FAILED, event.status);
    EXPECT_EQ(2u, event.count);
    EXPECT_NE("", event.text);
}

int state_of(const fanwire_engine* engine) {
    int state = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_state_get(engine, &state));
    return state;
}

TEST(Connect, GivenUpItRefusesAndKeepsWhatIsWanted) {
    Server server(Server::Listen::no);
    Attempt attempt(server.url(), {{"max_reconnect_attempts", "2"}, {"reconnect_delay_ms", "1"}});
    Inbox inbox;
    Subscription sub;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(sub.out(), attempt.engine, "a", 1, inbox, nullptr));
    EXPECT_EQ(FANWIRE_EVENT_FAILED, inbox.next().kind);
    EXPECT_EQ(FANWIRE_ENGINE_GAVE_UP, state_of(attempt.engine));
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED, publish(attempt.engine, "a", "b"));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "gave up connecting after 2 failed attempts: "))
        << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_subscription_wait_active(sub, deadline_ms));
    Subscription late;
    ASSERT_STATUS(FANWIRE_OK, fanwire_subscribe(late.out(), attempt.engine, "b", 1, inbox, nullptr));
    EXPECT_EQ(FANWIRE_EVENT_FAILED, inbox.next().kind);
    fanwire_health health;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_health(attempt.engine, &health, sizeof health));
    EXPECT_NE(nullptr, std::strstr(health.text, "gave up connecting")) << health.text;

    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_reconnect(attempt.engine));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_reconnect(attempt.engine))
        << "no more than once, or it has given up again";
    EXPECT_EQ(FANWIRE_EVENT_FAILED, inbox.next().kind) << "there is still no server";
    EXPECT_EQ(FANWIRE_EVENT_FAILED, inbox.next().kind);
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_engine_wait_connected(attempt.engine, deadline_ms));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(attempt.engine, deadline_ms));
    EXPECT_EQ(FANWIRE_ENGINE_CLOSED, state_of(attempt.engine));
    EXPECT_STATUS(FANWIRE_CLOSED, fanwire_engine_reconnect(attempt.engine));
    int kind = inbox.next().kind;
    while (kind == FANWIRE_EVENT_FAILED) kind = inbox.next().kind;
    EXPECT_EQ(FANWIRE_EVENT_ENDED, kind);
    EXPECT_EQ(FANWIRE_EVENT_ENDED, inbox.next().kind);
}

TEST(Connect, OfflinePublishesFailOrWait) {
    Server server(Server::Listen::no);
    Attempt failing(server.url(), {{"offline", "fail"}});
    EXPECT_STATUS(FANWIRE_CONNECT_FAILED, fanwire_engine_wait_connected(failing.engine, deadline_ms));
    EXPECT_STATUS(FANWIRE_NOT_CONNECTED, publish(failing.engine, "a", "b"));

    Attempt queueing(server.url(), {{"offline_count", "2"}, {"publish_timeout_ms", "50"}});
    Inbox outcomes;
    ASSERT_STATUS(FANWIRE_OK, publish_async(queueing.engine, "a", "b", outcomes));
    EXPECT_EQ(FANWIRE_TIMEOUT, outcomes.next(FANWIRE_EVENT_PUBLISHED).status) << "never sent within 50 ms";

    Attempt patient(server.url(), {{"publish_timeout_ms", "3600000"}});
    fanwire_publish_args own{};
    own.channel = "a";
    own.channel_size = 1;
    own.timeout_ms = 50;
    own.inbox = outcomes;
    ASSERT_STATUS(FANWIRE_OK, publish_async(patient.engine, "a", "b", outcomes));
    ASSERT_STATUS(FANWIRE_OK, fanwire_publish_with(patient.engine, &own, sizeof own));
    EXPECT_EQ(FANWIRE_TIMEOUT, outcomes.next(FANWIRE_EVENT_PUBLISHED).status)
        << "its own timeout, and the other one waits";
    EXPECT_EQ(0u, outcomes.drain().size());
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_close(patient.engine, 0));
    EXPECT_EQ(FANWIRE_CLOSED, outcomes.next(FANWIRE_EVENT_PUBLISHED).status);

    Attempt bounded(server.url(), {{"offline_count", "2"}, {"publish_timeout_ms", "60000"}});
    ASSERT_STATUS(FANWIRE_OK, publish_async(bounded.engine, "a", "1", outcomes));
    ASSERT_STATUS(FANWIRE_OK, publish_async(bounded.engine, "a", "2", outcomes));
    EXPECT_STATUS(FANWIRE_QUEUE_FULL, publish_async(bounded.engine, "a", "3", outcomes));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "offline_count")) << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_publish_wait(queueing.engine, "a", 1, "b", 1, 0, nullptr));
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_close(bounded.engine, 0));
    EXPECT_NE(nullptr, std::strchr(fanwire_last_error(), '2')) << fanwire_last_error();
    EXPECT_EQ(2u, outcomes.drain().size()) << "each has its outcome when close returns";
}

TEST(Connect, OfflinePublishesAreBoundedInBytes) {
    Server server(Server::Listen::no);
    Attempt bounded(server.url(), {{"offline_bytes", "100000"}, {"publish_timeout_ms", "60000"}});
    Inbox outcomes;
    const std::string message(30000, 'x');
    for (int i = 0; i < 3; ++i) ASSERT_STATUS(FANWIRE_OK, publish_async(bounded.engine, "a", message, outcomes));
    EXPECT_STATUS(FANWIRE_QUEUE_FULL, publish_async(bounded.engine, "a", message, outcomes));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "offline_bytes (100000)")) << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_OK, publish_async(bounded.engine, "a", "a small one", outcomes)) << "there is room for it";
    EXPECT_STATUS(FANWIRE_TIMEOUT, fanwire_engine_close(bounded.engine, 0));
    EXPECT_EQ(4u, outcomes.drain().size()) << "none for what was refused";
}

}  // namespace
}  // namespace capi_test
