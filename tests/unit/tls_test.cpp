// TLS without sockets: a session of ours against a server of OpenSSL's, joined by hand, bytes in any pieces.
#include "core/net/tls.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <functional>
#include <string>

#include "tests/unit/failures.h"

namespace fanwire::test {
namespace {

using namespace core;

std::string file(const std::string& name) {
    return std::string(FANWIRE_CERTIFICATES) + "/" + name;
}

std::shared_ptr<const TlsContext> context(TlsContext::Config config) {
    return std::make_shared<TlsContext>(std::move(config));
}

std::shared_ptr<const TlsContext> trusting() {
    return context({file("ca.pem"), "", "", TlsVerify::full});
}

// The other end, in memory.
class Server {
 public:
    explicit Server(
        const std::function<void(SSL_CTX*)>& configure = [](SSL_CTX*) {}, const std::string& certificate = "server")
        : context_(SSL_CTX_new(TLS_server_method())) {
        SSL_CTX_use_certificate_file(context_, file(certificate + ".pem").c_str(), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(context_, file(certificate + ".key").c_str(), SSL_FILETYPE_PEM);
        configure(context_);
        ssl_ = SSL_new(context_);
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_, in_, out_);
        SSL_set_accept_state(ssl_);
    }
    ~Server() {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    SSL* ssl() { return ssl_; }
    void take(std::string_view bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
    void accept() {
        if (!SSL_is_init_finished(ssl_)) SSL_do_handshake(ssl_);
        ERR_clear_error();
    }
    // What it has for the wire.
    std::string give() {
        std::string bytes(BIO_ctrl_pending(out_), '\0');
        if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
        return bytes;
    }
    void write(const std::string& bytes) {
        std::size_t done = 0;
        ASSERT_EQ(SSL_write_ex(ssl_, bytes.data(), bytes.size(), &done), 1);
    }
    std::string read() {
        std::string bytes(1 << 20, '\0');
        std::size_t done = 0;
        for (int n = 0; (n = SSL_read(ssl_, bytes.data() + done, static_cast<int>(bytes.size() - done))) > 0;)
            done += static_cast<std::size_t>(n);
        ERR_clear_error();
        bytes.resize(done);
        return bytes;
    }

 private:
    SSL_CTX* context_;
    SSL* ssl_ = nullptr;
    BIO *in_ = nullptr, *out_ = nullptr;
};

// Feeds bytes in pieces of this size and returns what the application gets, read in pieces of another.
std::string feed(TlsSession& session, const std::string& bytes, std::size_t piece, std::size_t read_piece = 4096) {
    std::string received, buffer(read_piece, '\0');
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::string part = bytes.substr(at, piece);
        session.feed(part);
        while (!session.hungry() && session.state() != TlsSession::State::failed) {
            if (session.state() == TlsSession::State::handshaking) {
                session.advance();
                continue;
            }
            const std::size_t n = session.read(buffer.data(), buffer.size());
            received.append(buffer, 0, n);
            if (session.state() == TlsSession::State::ended) return received;
        }
    }
    return received;
}

std::string take_output(TlsSession& session) {
    std::string bytes(session.output());
    session.sent(bytes.size());
    return bytes;
}

// Until neither has anything to say.
void join(TlsSession& session, Server& server, std::size_t piece = 1 << 20) {
    session.advance();
    for (int round = 0; round < 20; ++round) {
        server.take(take_output(session));
        server.accept();
        const std::string answer = server.give();
        if (answer.empty() && session.output().empty()) return;
        feed(session, answer, piece);
        if (session.state() == TlsSession::State::failed) return;
    }
}

TEST(Tls, BytesInAnyPieces) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        for (const std::size_t piece : {1u, 2u, 5u, 7u, 1000u, 16384u, 1u << 20}) {
            for (const std::size_t read_piece : {1u, 100u, 16384u, 65536u}) {
                if ((piece < 1000 && read_piece != 100) || (read_piece == 1 && piece != 1000)) continue;
                SCOPED_TRACE(testing::Message() << version << " " << piece << " " << read_piece);
                Server server([&](SSL_CTX* ctx) { SSL_CTX_set_max_proto_version(ctx, version); });
                TlsSession session(trusting(), "localhost");
                join(session, server, piece);
                ASSERT_EQ(session.state(), TlsSession::State::open) << session.error().text;

                std::string text;
                for (int i = 0; i < 20000; ++i) text += std::to_string(i);
                for (const std::size_t size : {1u, 16383u, 16384u, 16385u, 60000u}) server.write(text.substr(0, size));
                const std::string received = feed(session, server.give(), piece, read_piece);
                ASSERT_EQ(received.size(), 1u + 16383 + 16384 + 16385 + 60000);
                EXPECT_TRUE(received.ends_with(text.substr(0, 60000)));

                ASSERT_TRUE(session.write(text.substr(0, 70000)));
                ASSERT_TRUE(session.write("x"));
                while (!session.output().empty()) {
                    const std::size_t n = std::min(piece, session.output().size());
                    server.take(session.output().substr(0, n));
                    session.sent(n);
                }
                EXPECT_TRUE(server.read() == text.substr(0, 70000) + "x");
            }
        }
    }
}

TEST(Tls, NothingIsReadyThatIsNot) {
    Server server;
    TlsSession session(trusting(), "localhost");
    EXPECT_TRUE(session.hungry());
    EXPECT_FALSE(session.answered());
    EXPECT_TRUE(session.output().empty());
    char buffer[16];
    EXPECT_EQ(session.read(buffer, sizeof buffer), 0u);
    EXPECT_FALSE(session.write("too early"));
    EXPECT_TRUE(session.output().empty());
    join(session, server);
    EXPECT_TRUE(session.answered());
    EXPECT_EQ(session.read(buffer, sizeof buffer), 0u);
    EXPECT_TRUE(session.hungry());
    server.write("0123456789abcdefg");
    const std::string bytes = server.give();
    session.feed(bytes);
    EXPECT_EQ(session.read(buffer, sizeof buffer), 16u);
    EXPECT_FALSE(session.hungry()) << "there is one more byte";
    EXPECT_EQ(session.read(buffer, sizeof buffer), 1u);
    EXPECT_TRUE(session.hungry());
}

// A ticket that comes in several records keeps OpenSSL from writing until it is complete.
TEST(Tls, NothingIsLostWhileATicketComesInPieces) {
    Server server([](SSL_CTX* ctx) {
        SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
        SSL_CTX_set_max_send_fragment(ctx, 512);
        SSL_CTX_set_session_ticket_cb(
            ctx,
            [](SSL* ssl, void*) {
                const std::string data(3000, 'x');
                return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data.data(), data.size());
            },
            [](SSL*, SSL_SESSION*, const unsigned char*, std::size_t, SSL_TICKET_STATUS, void*) {
                return static_cast<SSL_TICKET_RETURN>(SSL_TICKET_RETURN_IGNORE);
            },
            nullptr);
    });
    TlsSession session(trusting(), "localhost");
    session.advance();
    server.take(take_output(session));
    server.accept();
    feed(session, server.give(), 1 << 20);
    ASSERT_EQ(session.state(), TlsSession::State::open) << session.error().text;
    server.take(take_output(session));
    server.accept();
    const std::string tickets = server.give();
    ASSERT_GT(tickets.size(), 1000u);
    const auto byte = [&](std::size_t at) -> std::size_t { return static_cast<unsigned char>(tickets[at]); };
    const std::size_t record = 5 + (byte(3) << 8 | byte(4));  // RFC 8446, section 5.1
    feed(session, tickets.substr(0, record), 1 << 20);
    EXPECT_FALSE(session.write("one"));
    EXPECT_EQ(session.state(), TlsSession::State::open);
    feed(session, tickets.substr(record), 1 << 20);
    EXPECT_TRUE(session.write("two"));
    server.take(take_output(session));
    EXPECT_EQ(server.read(), "two");

    // What is said behind the server's goodbye is not taken either.
    server.write("last");
    SSL_shutdown(server.ssl());
    EXPECT_EQ(feed(session, server.give(), 1 << 20), "last");
    EXPECT_FALSE(session.write("three"));
}

TEST(Tls, Goodbyes) {
    {
        Server server;
        TlsSession session(trusting(), "localhost");
        join(session, server);
        server.write("last words");
        SSL_shutdown(server.ssl());
        EXPECT_EQ(feed(session, server.give(), 3), "last words");
        EXPECT_EQ(session.state(), TlsSession::State::ended);
    }
    {
        Server server;
        TlsSession session(trusting(), "localhost");
        join(session, server);
        session.finish();
        server.take(take_output(session));
        server.read();
        EXPECT_EQ(SSL_get_shutdown(server.ssl()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
        session.finish();
        EXPECT_TRUE(session.output().empty()) << "once is enough";
    }
    TlsSession session(trusting(), "localhost");
    session.advance();
    take_output(session);
    session.finish();
    EXPECT_TRUE(session.output().empty()) << "there is nobody to say it to";
}

TEST(Tls, OldVersionsAreRefused) {
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
        Server server([&](SSL_CTX* ctx) {
            SSL_CTX_set_security_level(ctx, 0);
            SSL_CTX_set_min_proto_version(ctx, version);
            SSL_CTX_set_max_proto_version(ctx, version);
        });
        TlsSession session(trusting(), "localhost");
        join(session, server);
        EXPECT_EQ(name_of(session.error().status), "TLS_FAILED");
        EXPECT_NE(session.error().text.find("neither TLS 1.2 nor 1.3"), std::string::npos) << session.error().text;
    }
}

TEST(Tls, ServersThatSpeakSomethingElse) {
    for (const std::string answer : {"-ERR unknown command '\x16\x03\x01'\r\n", "HTTP/1.1 400 Bad Request\r\n", "+",
                                     "220 mail.example ESMTP\r\n", "\x16\x05"}) {
        TlsSession session(trusting(), "localhost");
        session.advance();
        feed(session, answer, 100);
        EXPECT_EQ(name_of(session.error().status), "TLS_NOT_SPOKEN") << answer;
        EXPECT_NE(session.error().text.find("it answered \""), std::string::npos);
        EXPECT_EQ(session.error().text.find('\n'), std::string::npos) << session.error().text;
    }
}

TEST(Tls, BrokenRecordsEndIt) {
    Server server;
    TlsSession session(trusting(), "localhost");
    join(session, server);
    server.write("something");
    std::string bytes = server.give();
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    EXPECT_EQ(feed(session, bytes, 1000), "");
    EXPECT_EQ(session.state(), TlsSession::State::failed);
    EXPECT_EQ(name_of(session.error().status), "TLS_FAILED") << session.error().text;
    EXPECT_FALSE(session.write("more"));
    char byte;
    EXPECT_EQ(session.read(&byte, 1), 0u);
}

// Each byte of the handshake, wrong: an error or none, but no crash and no success with another certificate.
TEST(Tls, DamagedHandshakes) {
    for (std::size_t at = 0;; at += at < 100 ? 1 : 7) {
        if (at == 2) continue;  // a record's minor version means nothing
        Server server;
        TlsSession session(trusting(), "localhost");
        session.advance();
        server.take(take_output(session));
        server.accept();
        std::string answer = server.give();
        if (at >= answer.size()) break;
        answer[at] = static_cast<char>(answer[at] ^ 0x41);
        feed(session, answer, 1 << 20);
        EXPECT_NE(session.state(), TlsSession::State::open) << at;
        if (session.state() == TlsSession::State::failed) {
            EXPECT_NE(session.error().text, "") << at;
        }
    }
}

TEST(Tls, WhatTheCertificateLacks) {
    const struct {
        const char *certificate, *name, *status, *mentions;
    } cases[] = {
        {"server", "other.test", "TLS_WRONG_NAME", "\"redis.test\""},
        {"server", "10.0.0.1", "TLS_WRONG_NAME", "\"127.0.0.1\""},
        {"server", "::2", "TLS_WRONG_NAME", "\"::1\""},
        {"expired", "localhost", "TLS_EXPIRED", "2020-02-01"},
        {"future", "localhost", "TLS_EXPIRED", "2099-01-01"},
        {"self-signed", "localhost", "TLS_UNTRUSTED", "CN=self"},
        {"stranger", "localhost", "TLS_UNTRUSTED", "CN=other-ca"},
        {"wildcard", "a.b.redis.test", "TLS_WRONG_NAME", "\"*.redis.test\""},
        {"wildcard", "redis.test", "TLS_WRONG_NAME", "\"*.redis.test\""},
        {"partial-wildcard", "foo.redis.test", "TLS_WRONG_NAME", "\"f*.redis.test\""},
        {"partial-wildcard", "f.redis.test", "TLS_WRONG_NAME", "\"f*.redis.test\""},
        {"common-name-ip", "127.0.0.1", "TLS_WRONG_NAME", "CN of its subject alone, which is not looked at"},
        {"common-name-ip", "127.0.0.1", "TLS_WRONG_NAME", "needs subjectAltName=IP:127.0.0.1"},
        {"common-name-ip", "127.0.0.1", "TLS_WRONG_NAME", "tls_verify=ca"},
        {"common-name-ip", "127.0.0.2", "TLS_WRONG_NAME", "is for \"CN=127.0.0.1\", not for \"127.0.0.2\""},
        {"common-name-other", "LocalHost", "TLS_WRONG_NAME", "needs subjectAltName=DNS:LocalHost"},
    };
    for (const auto& one : cases) {
        SCOPED_TRACE(testing::Message() << one.certificate << " " << one.name);
        Server server([](SSL_CTX*) {}, one.certificate);
        TlsSession session(trusting(), one.name);
        join(session, server);
        EXPECT_EQ(name_of(session.error().status), one.status) << session.error().text;
        EXPECT_NE(session.error().text.find(one.mentions), std::string::npos) << session.error().text;
        EXPECT_FALSE(session.output().empty()) << "an alert says so to the server";
    }
    for (const char* name :
         {"localhost", "LOCALHOST", "localhost.", "redis.test", "127.0.0.1", "::1", "0:0::0:1", "::1%lo"}) {
        Server server;
        TlsSession session(trusting(), name);
        join(session, server);
        EXPECT_EQ(session.state(), TlsSession::State::open) << name << " " << session.error().text;
    }
}

TEST(Tls, TheAuthorityAloneIsEnoughWhenAskedFor) {
    for (const char* certificate : {"wrong-name", "common-name-ip", "partial-wildcard", "wildcard", "server"}) {
        Server server([](SSL_CTX*) {}, certificate);
        TlsSession session(context({file("ca.pem"), "", "", TlsVerify::ca}), "localhost");
        join(session, server);
        EXPECT_EQ(session.state(), TlsSession::State::open) << certificate << " " << session.error().text;
    }
    for (const auto& [certificate, status] :
         {std::pair("self-signed", "TLS_UNTRUSTED"), std::pair("expired", "TLS_EXPIRED"),
          std::pair("stranger", "TLS_UNTRUSTED")}) {
        Server server([](SSL_CTX*) {}, certificate);
        TlsSession session(context({file("ca.pem"), "", "", TlsVerify::ca}), "localhost");
        join(session, server);
        EXPECT_EQ(name_of(session.error().status), status) << certificate;
    }
}

TEST(Tls, TheNameIsAskedForUnlessItIsAnAddress) {
    for (const auto& [name, asked] :
         {std::pair("localhost.", "localhost"), std::pair("127.0.0.1", ""), std::pair("::1", "")}) {
        Server server;
        TlsSession session(trusting(), name);
        join(session, server);
        const char* seen = SSL_get_servername(server.ssl(), TLSEXT_NAMETYPE_host_name);
        EXPECT_STREQ(seen ? seen : "", asked);
    }
}

TEST(Tls, EndsThatMeanSomething) {
    const Error lost{Status::CONNECTION_LOST, "closed"};
    TlsSession early(trusting(), "localhost");
    EXPECT_EQ(name_of(early.explain_end(lost).status), "TLS_FAILED");
    for (const bool asks : {false, true}) {
        Server server(
            [&](SSL_CTX* ctx) { SSL_CTX_set_verify(ctx, asks ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr); });
        TlsSession session(trusting(), "localhost");
        join(session, server);
        ASSERT_EQ(session.state(), TlsSession::State::open) << session.error().text;
        EXPECT_EQ(name_of(session.explain_end(lost).status), asks ? "TLS_FAILED" : "CONNECTION_LOST");
        server.write("hello");
        feed(session, server.give(), 100);
        EXPECT_EQ(name_of(session.explain_end(lost).status), "CONNECTION_LOST");
    }
}

TEST(Tls, FilesAndNamesAreChecked) {
    auto refused = [](TlsContext::Config config, std::initializer_list<const char*> mentions) {
        expect_failure(Status::INVALID_OPTION, mentions, [&] { TlsContext made(std::move(config)); });
    };
    refused({"/nowhere", "", "", TlsVerify::full}, {"tls_ca_file", "/nowhere", "No such file"});
    refused({file("garbage.pem"), "", "", TlsVerify::full}, {"tls_ca_file", "PEM"});
    refused({"/nowhere", "", "", TlsVerify::none}, {"tls_ca_file"});
    for (const std::string& name : {std::string(), std::string(".redis.test"), std::string("a\0b", 3)}) {
        expect_failure(Status::INVALID_OPTION, {"tls_server_name"}, [&] { trusting()->check_name(name); });
        expect_failure(Status::INVALID_OPTION, {"tls_server_name"}, [&] { TlsSession session(trusting(), name); });
    }
    context({file("ca.pem"), "", "", TlsVerify::ca})->check_name("");
    refused({"", file("client.pem"), file("server.key"), TlsVerify::full}, {"tls_key_file", "tls_cert_file"});
    refused({"", file("client.pem"), file("encrypted.key"), TlsVerify::full}, {"tls_key_file", "encrypted"});
    EXPECT_EQ(ERR_peek_error(), 0u) << "nothing is left behind on the caller's thread";
    ERR_put_error(ERR_LIB_USER, 0, 77, "", 0);
    refused({file("garbage.pem"), "", "", TlsVerify::full}, {"tls_ca_file"});
    EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 77) << "what was there stays";
    EXPECT_EQ(ERR_get_error(), 0u);
}

}  // namespace
}  // namespace fanwire::test
