// TLS to real Redis servers: what works, and what is said when it does not.
#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>

#include "tests/integration/support.h"

namespace integration_test {
namespace {

std::string file(const std::string& name) {
    return std::string(FANWIRE_CERTIFICATES) + "/" + name;
}

// A Redis that shows this certificate.
RedisServer server_with(const std::string& certificate = "server", std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"--tls-cert-file",          file(certificate + ".pem"), "--tls-key-file",
                                      file(certificate + ".key"), "--tls-ca-cert-file",       file("ca.pem")};
    words.insert(words.end(), more.begin(), more.end());
    if (more.empty()) words.insert(words.end(), {"--tls-auth-clients", "no"});
    return RedisServer::with_tls(std::move(words));
}

std::string url_of(const RedisServer& server, const std::string& host = "127.0.0.1") {
    return "rediss://" + host + ":" + std::to_string(server.tls_port());
}

Options::Settings trusting(Options::Settings more = {}) {
    more.push_back({"tls_ca_file", file("ca.pem")});
    return more;
}

// What the application is told of a connection that cannot be made.
Seen failure_of(const std::string& url, Options::Settings settings) {
    settings.push_back({"max_reconnect_attempts", "1"});
    Options options(settings);
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url.c_str()));
    Inbox events;
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, events, nullptr));
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    const Seen seen = events.next(FANWIRE_EVENT_ERROR);
    EXPECT_STATUS(seen.status, fanwire_engine_wait_connected(engine, deadline_ms));
    return seen;
}

void expect_text(const std::string& text, std::initializer_list<std::string> parts) {
    for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

void expect_roundtrip(const std::string& url, const Options::Settings& settings) {
    Inbox inbox;
    Engine engine = open_on(url, settings);
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(publish(engine, "chat", "hello"), 1u);
    EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload, "hello");
}

struct Tls : testing::Test {
    static void SetUpTestSuite() { server = new RedisServer(server_with()); }
    static void TearDownTestSuite() {
        delete server;
        server = nullptr;
    }
    static inline RedisServer* server = nullptr;
};

// ---- What works -------------------------------------------------------------------------------------------

TEST_F(Tls, EveryNameThatTheCertificateIsFor) {
    const std::string port = std::to_string(server->tls_port());
    for (const std::string& url : {"rediss://127.0.0.1:" + port, "rediss://localhost:" + port, "rediss://[::1]:" + port,
                                   "valkeys://127.0.0.1:" + port, "redis://127.0.0.1:" + port + "?tls=true",
                                   "rediss://127.0.0.1:" + port + "/2?tls_server_name=redis.test",
                                   "rediss://127.0.0.1:" + port + "?tls_server_name=localhost."}) {
        SCOPED_TRACE(url);
        expect_roundtrip(url, trusting());
    }
}

TEST_F(Tls, BothLinksAreEncrypted) {
    Inbox inbox;
    Engine engine = open_on(url_of(*server), trusting({{"client_name", "secret-agent"}}));
    Subscription sub = subscribe(engine, "chat", inbox);
    RawClient redis(server->port());
    const std::string clients = redis.call({"CLIENT", "LIST"});
    int links = 0;
    for (std::size_t at = 0, end; (end = clients.find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string line = clients.substr(at, end - at);
        if (line.find("name=secret-agent ") == std::string::npos) continue;
        ++links;
        // "laddr" is the server's end: the port that speaks nothing but TLS.
        expect_text(line, {"laddr=127.0.0.1:" + std::to_string(server->tls_port()) + " "});
    }
    EXPECT_EQ(links, 2);
}

TEST_F(Tls, LargeMessagesBothWays) {
    Inbox inbox;
    Engine engine = open_on(url_of(*server), trusting());
    Subscription sub = subscribe(engine, "big", inbox);
    // A record holds 16384 bytes of the stream, of which headers are a part.
    std::vector<std::size_t> sizes = {0, 1, 65536, 1000003, 16u * 1024 * 1024};
    for (std::size_t size = 16384 - 64; size <= 16384 + 64; ++size) sizes.push_back(size);
    for (const std::size_t size : sizes) {
        std::string payload(size, 'x');
        for (std::size_t i = 0; i < size; i += 97) payload[i] = static_cast<char>(i);
        publish(engine, "big", payload);
        ASSERT_TRUE(next_of(inbox, FANWIRE_EVENT_MESSAGE).payload == payload) << size;
    }
}

// Both directions at once. Not too many on their way, as Redis 7.0 breaks a TLS connection on which it has to write
// more while a write of its own is not done ("bad length", valkey issue #1135).
TEST_F(Tls, ManyMessagesInOrder) {
    constexpr int count = 100000;
    Inbox inbox{{"inbox_count", "1000000"}, {"inbox_bytes", "1GiB"}};
    Engine engine = open_on(url_of(*server), trusting({{"publish_buffer_bytes", "1GiB"}}));
    Subscription sub = subscribe(engine, "flow", inbox);
    std::thread publisher([&] {
        for (int i = 0; i < count; ++i) {
            const std::string payload = std::to_string(i) + std::string(static_cast<std::size_t>(i % 700), '.');
            ASSERT_STATUS(FANWIRE_OK, fanwire_publish(engine, "flow", 4, payload.data(), payload.size()));
            if (i % 100 == 99) publish(engine, "flow fence", "");
        }
    });
    int next = 0;
    for (Seen seen; next < count; ++next) {
        seen = inbox.next(FANWIRE_EVENT_MESSAGE);
        if (seen.payload != std::to_string(next) + std::string(static_cast<std::size_t>(next % 700), '.')) break;
    }
    publisher.join();
    EXPECT_EQ(next, count);
}

TEST_F(Tls, ReconnectsAfterACrash) {
    RedisServer own = server_with();
    Inbox inbox;
    Engine engine = open_on(url_of(own), trusting({{"max_reconnect_delay_ms", "200"}}));
    Subscription sub = subscribe(engine, "chat", inbox);
    for (int round = 0; round < 3; ++round) {
        own.kill();
        const Seen lost = inbox.next(FANWIRE_EVENT_LOST);
        EXPECT_EQ(lost.status, FANWIRE_CONNECTION_LOST) << lost.text;
        own.start();
        EXPECT_EQ(next_of(inbox, FANWIRE_EVENT_GAP).reason, FANWIRE_GAP_RECONNECT);
        inbox.next(FANWIRE_EVENT_RESUMED);
        ASSERT_TRUE(until([&] { return fanwire_engine_wait_connected(engine, 100) == FANWIRE_OK; }));
        EXPECT_EQ(publish(engine, "chat", "again"), 1u);
        EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "again");
    }
}

TEST_F(Tls, WithoutVerificationAnyCertificateDoes) {
    for (const char* certificate : {"self-signed", "expired", "wrong-name"}) {
        SCOPED_TRACE(certificate);
        RedisServer own = server_with(certificate);
        expect_roundtrip(url_of(own), {{"tls_verify", "false"}});
    }
}

TEST_F(Tls, WildcardsAndCommonNames) {
    RedisServer wildcard = server_with("wildcard");
    expect_roundtrip(url_of(wildcard), trusting({{"tls_server_name", "a.redis.test"}}));
    EXPECT_EQ(failure_of(url_of(wildcard), trusting({{"tls_server_name", "a.b.redis.test"}})).status,
              FANWIRE_TLS_WRONG_NAME);
    RedisServer common = server_with("common-name");
    expect_roundtrip(url_of(common, "localhost"), trusting());
    EXPECT_EQ(failure_of(url_of(common), trusting()).status, FANWIRE_TLS_WRONG_NAME);
    RedisServer address = server_with("common-name-ip");
    const Seen seen = failure_of(url_of(address), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_WRONG_NAME);
    expect_text(seen.text, {"127.0.0.1", "CN", "not looked at", "tls_verify=ca"});
    expect_roundtrip(url_of(address), trusting({{"tls_verify", "ca"}}));
    EXPECT_EQ(failure_of(url_of(address), {{"tls_ca_file", file("other-ca.pem")}, {"tls_verify", "ca"}}).status,
              FANWIRE_TLS_UNTRUSTED);
}

TEST_F(Tls, TheSystemsAuthoritiesAreTrustedByDefault) {
    setenv("SSL_CERT_FILE", file("ca.pem").c_str(), 1);
    expect_roundtrip(url_of(*server), {});
    setenv("SSL_CERT_FILE", file("other-ca.pem").c_str(), 1);
    const Seen seen = failure_of(url_of(*server), {});
    unsetenv("SSL_CERT_FILE");
    EXPECT_EQ(seen.status, FANWIRE_TLS_UNTRUSTED);
    expect_text(seen.text, {"the system", "tls_ca_file", "other-ca.pem"});
}

TEST_F(Tls, Tls12) {
    RedisServer own = server_with("server", {"--tls-protocols", "TLSv1.2", "--tls-auth-clients", "no"});
    expect_roundtrip(url_of(own), trusting());
    RedisServer strict = server_with("server", {"--tls-protocols", "TLSv1.2", "--tls-auth-clients", "yes"});
    expect_roundtrip(url_of(strict),
                     trusting({{"tls_cert_file", file("client.pem")}, {"tls_key_file", file("client.key")}}));
    const Seen seen = failure_of(url_of(strict), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_FAILED);
    expect_text(seen.text, {"tls_cert_file", "tls_key_file"});
}

// ---- What is said when it does not work -------------------------------------------------------------------

TEST_F(Tls, WrongAuthority) {
    const Seen seen = failure_of(url_of(*server), {{"tls_ca_file", file("other-ca.pem")}});
    EXPECT_EQ(seen.status, FANWIRE_TLS_UNTRUSTED);
    expect_text(seen.text, {"127.0.0.1:" + std::to_string(server->tls_port()), "CN=ca", "tls_ca_file", "other-ca.pem"});
    EXPECT_STREQ(fanwire_status_name(seen.status), "TLS_UNTRUSTED");
}

TEST_F(Tls, SelfSigned) {
    RedisServer own = server_with("self-signed");
    const Seen seen = failure_of(url_of(own), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_UNTRUSTED);
    expect_text(seen.text, {"CN=self", "self-signed"});
    expect_roundtrip(url_of(own), {{"tls_ca_file", file("self-signed.pem")}});
}

TEST_F(Tls, WrongName) {
    RedisServer own = server_with("wrong-name");
    for (const char* host : {"127.0.0.1", "localhost", "[::1]"}) {
        const Seen seen = failure_of(url_of(own, host), trusting());
        EXPECT_EQ(seen.status, FANWIRE_TLS_WRONG_NAME) << seen.text;
        expect_text(seen.text, {"\"elsewhere.test\"", "\"192.0.2.1\"", "tls_server_name"});
    }
    expect_roundtrip(url_of(own), trusting({{"tls_server_name", "elsewhere.test"}}));
    expect_roundtrip(url_of(own), trusting({{"tls_server_name", "192.0.2.1"}}));
    EXPECT_EQ(failure_of(url_of(*server), trusting({{"tls_server_name", "elsewhere.test"}})).status,
              FANWIRE_TLS_WRONG_NAME);
    EXPECT_EQ(failure_of(url_of(*server), trusting({{"tls_server_name", "10.0.0.1"}})).status, FANWIRE_TLS_WRONG_NAME);
}

TEST_F(Tls, ExpiredAndNotYetValid) {
    RedisServer expired = server_with("expired");
    Seen seen = failure_of(url_of(expired), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_EXPIRED);
    expect_text(seen.text, {"expired at 2020-02-01 00:00:00 UTC"});
    RedisServer future = server_with("future");
    seen = failure_of(url_of(future), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_EXPIRED);
    expect_text(seen.text, {"not valid before 2099-01-01 00:00:00 UTC"});
}

TEST_F(Tls, PlaintextServer) {
    const std::string port = std::to_string(server->port());
    Seen seen = failure_of("rediss://127.0.0.1:" + port, trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_NOT_SPOKEN);
    expect_text(seen.text, {"127.0.0.1:" + port, "PONG", "redis://"});
    RedisServer locked({"--requirepass", "hunter2"});
    seen = failure_of("rediss://:hunter2@127.0.0.1:" + std::to_string(locked.port()), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_NOT_SPOKEN);
    EXPECT_EQ(seen.text.find("hunter2"), std::string::npos);
}

TEST_F(Tls, PlaintextClient) {
    const Seen seen = failure_of("redis://127.0.0.1:" + std::to_string(server->tls_port()), {});
    EXPECT_TRUE(seen.status == FANWIRE_CONNECTION_LOST || seen.status == FANWIRE_PROTOCOL_ERROR) << seen.text;
    expect_text(seen.text, {"rediss://"});
}

// It is told from a server that speaks no TLS.
TEST_F(Tls, HangingServer) {
    RedisServer own = server_with();
    own.pause();
    const Seen seen = failure_of(url_of(own), trusting({{"connect_timeout_ms", "1200"}}));
    EXPECT_EQ(seen.status, FANWIRE_CONNECT_TIMEOUT);
    expect_text(seen.text, {"TLS handshake"});
    own.resume();
}

TEST_F(Tls, ClientCertificates) {
    RedisServer strict = server_with("server", {"--tls-auth-clients", "yes"});
    expect_roundtrip(url_of(strict),
                     trusting({{"tls_cert_file", file("client.pem")}, {"tls_key_file", file("client.key")}}));
    Seen seen = failure_of(url_of(strict), trusting());
    EXPECT_EQ(seen.status, FANWIRE_TLS_FAILED) << seen.text;
    expect_text(seen.text, {"tls_cert_file", "tls_key_file"});
    seen = failure_of(url_of(strict),
                      trusting({{"tls_cert_file", file("stranger.pem")}, {"tls_key_file", file("stranger.key")}}));
    EXPECT_EQ(seen.status, FANWIRE_TLS_FAILED) << seen.text;
    expect_text(seen.text, {"tls_cert_file", "unknown ca"});
}

// ---- Files ------------------------------------------------------------------------------------------------

TEST_F(Tls, FilesThatAreOfNoUseAreNamedAtOpen) {
    const std::string url = url_of(*server);
    auto refused = [&](const Options::Settings& settings, std::initializer_list<std::string> parts) {
        Options options(settings);
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url.c_str()));
        Engine engine;
        EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_engine_open(engine.out(), options));
        EXPECT_EQ(engine, nullptr);
        expect_text(fanwire_last_error(), parts);
    };
    refused({{"tls_ca_file", "/nowhere/ca.pem"}}, {"tls_ca_file", "/nowhere/ca.pem", "No such file"});
    refused({{"tls_ca_file", FANWIRE_CERTIFICATES}}, {"tls_ca_file", "directory"});
    refused({{"tls_ca_file", file("garbage.pem")}}, {"tls_ca_file", "garbage.pem", "PEM"});
    refused({{"tls_ca_file", file("server.key")}}, {"tls_ca_file", "server.key", "PEM"});
    auto with = [&](const char* certificate, const char* key) {
        return trusting({{"tls_cert_file", file(certificate)}, {"tls_key_file", file(key)}});
    };
    refused(with("missing.pem", "client.key"), {"tls_cert_file", "missing.pem", "No such file"});
    refused(with("garbage.pem", "client.key"), {"tls_cert_file", "garbage.pem", "PEM"});
    refused(with("client.pem", "missing.key"), {"tls_key_file", "missing.key", "No such file"});
    refused(with("client.pem", "garbage.pem"), {"tls_key_file", "garbage.pem", "PEM"});
    refused(with("client.pem", "server.key"), {"tls_key_file", "server.key", "tls_cert_file"});
    refused(with("client.pem", "rsa.key"), {"tls_key_file", "rsa.key", "tls_cert_file"});  // kept beside it by OpenSSL
    refused(trusting({{"tls_server_name", ".redis.test"}}), {"tls_server_name"});
    refused(with("client.pem", "encrypted.key"), {"tls_key_file", "encrypted.key", "is encrypted"});
    refused(trusting({{"tls_cert_file", file("client.pem")}}), {"tls_cert_file", "tls_key_file"});
    refused(trusting({{"tls_key_file", file("client.key")}}), {"tls_key_file", "tls_cert_file"});
}

TEST_F(Tls, AnAuthorityOfTheSameNameIsNotTheSame) {
    const Seen failed = failure_of(url_of(*server), {{"tls_ca_file", file("same-name-ca.pem")}});
    EXPECT_EQ(failed.status, FANWIRE_TLS_UNTRUSTED) << failed.text;
}

// ---- The process around it --------------------------------------------------------------------------------

// SSL_write() by OpenSSL's own BIO would raise SIGPIPE, which ends a program that does not ask for it.
TEST_F(Tls, ServersThatGoAwayRaiseNoSignal) {
    static std::atomic<int> raised{0};
    struct sigaction count {
    }, before{};
    count.sa_handler = [](int) { ++raised; };
    sigaction(SIGPIPE, &count, &before);
    {
        RedisServer own = server_with();
        Inbox inbox;
        Engine engine = open_on(url_of(own), trusting({{"max_reconnect_delay_ms", "100"}}));
        const std::string payload(100000, 'x');
        for (int round = 0; round < 5; ++round) {
            for (int i = 0; i < 100; ++i) fanwire_publish(engine, "x", 1, payload.data(), payload.size());
            own.kill();
            for (int i = 0; i < 10; ++i) fanwire_publish(engine, "x", 1, payload.data(), payload.size());
            own.start();
            ASSERT_TRUE(until([&] { return fanwire_engine_wait_connected(engine, 100) == FANWIRE_OK; }));
        }
    }
    sigaction(SIGPIPE, &before, nullptr);
    EXPECT_EQ(raised, 0);
}

[[noreturn]] void exit_with_live_engines(const std::string& url) {
    alarm(60);
    auto* inbox = new Inbox;
    static auto& all = *new std::vector<std::pair<Engine, Subscription>>;
    const std::string payload(1000, 'x');
    for (int i = 0; i < 4; ++i) {
        auto& [engine, sub] = all.emplace_back(open_on(url, trusting()), Subscription());
        fanwire_subscribe(sub.out(), engine, "x", 1, *inbox, nullptr);
        for (int n = 0; n < 5000; ++n) fanwire_publish(engine, "x", 1, payload.data(), payload.size());
    }
    std::exit(testing::Test::HasFailure() ? 1 : 7);
}

// OpenSSL must not be torn down under an engine at work.
TEST(TlsExit, WithLiveEngines) {
    RedisServer server = server_with();
    EXPECT_EXIT(exit_with_live_engines(url_of(server)), testing::ExitedWithCode(7), "");
}

// ... nor while handshakes fail one after the other, which is when it looks at everything that OpenSSL would free.
[[noreturn]] void exit_in_a_storm(const std::string& url) {
    alarm(60);
    static auto& all = *new std::vector<Engine>(4);
    for (Engine& engine : all) {
        Options options({{"url", url},
                         {"tls_ca_file", file("other-ca.pem")},
                         {"reconnect_delay_ms", "1"},
                         {"max_reconnect_delay_ms", "1"}});
        fanwire_engine_open(engine.out(), options);
    }
    until([&] { return stats_of(all.back()).connect_errors > 5; });
    std::exit(testing::Test::HasFailure() ? 1 : 7);
}

TEST(TlsExit, WhileHandshakesFail) {
    RedisServer server = server_with();
    for (int i = 0; i < 20; ++i) EXPECT_EXIT(exit_in_a_storm(url_of(server)), testing::ExitedWithCode(7), "") << i;
}

TEST_F(Tls, ManyConnectionsLeaveNothingBehind) {
    auto descriptors = [] {
        int count = 0;
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        for (int fd = 0; fd < static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 4096)); ++fd)
            if (fcntl(fd, F_GETFD) >= 0) ++count;
        return count;
    };
    expect_roundtrip(url_of(*server), trusting());
    const int before = descriptors();
    for (int i = 0; i < 20; ++i) {
        expect_roundtrip(url_of(*server), trusting());
        failure_of(url_of(*server), {{"tls_ca_file", file("other-ca.pem")}});
    }
    EXPECT_EQ(descriptors(), before);
}

}  // namespace
}  // namespace integration_test
