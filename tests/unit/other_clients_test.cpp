// REDIS_URL as other clients have it.
#include "core/base/other_clients.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/settings.h"
#include "tests/unit/failures.h"

namespace fanwire::test {
namespace {

using namespace core;

Environment redis_url(const std::string& url) {
    return [url](const char* name) -> std::optional<std::string> {
        if (std::string_view(name) == "REDIS_URL") return url;
        return std::nullopt;
    };
}

const Environment nothing = [](const char*) { return std::nullopt; };

Settings read(const std::string& url) {
    return Options().resolve(redis_url(url));
}

// What a setting is with this query in REDIS_URL, and no line for the log.
std::string value_of(const char* setting, const std::string& query) {
    const std::string url = "rediss://h?" + query;
    EXPECT_EQ(read(url).notes, std::vector<std::string>()) << query;
    return Options().effective(setting, redis_url(url));
}

// The one line that there is then.
std::string note_of(const std::string& url) {
    const Settings settings = read(url);
    EXPECT_EQ(settings.notes.size(), 1u) << url;
    return settings.notes.empty() ? "" : settings.notes[0];
}

TEST(OtherClients, VerificationOfTheCertificate) {
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=none"), "false");
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=CERT_NONE"), "false");
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=required"), "true");
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=CERT_REQUIRED"), "true");
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=optional"), "true");
    EXPECT_EQ(value_of("tls_verify", "ssl_check_hostname=true"), "true");
    EXPECT_EQ(value_of("tls_verify", "ssl_check_hostname=False"), "ca");
    EXPECT_EQ(value_of("tls_verify", "skip_verify=true"), "false");
    EXPECT_EQ(value_of("tls_verify", "skip_verify=0"), "true");
    EXPECT_EQ(value_of("tls_verify", "verifyPeer=NONE"), "false");
    EXPECT_EQ(value_of("tls_verify", "verifyPeer=CA"), "ca");
    EXPECT_EQ(value_of("tls_verify", "verifyPeer=FULL"), "true");
    EXPECT_EQ(value_of("tls_verify", "rejectUnauthorized=false"), "false");
}

// Several parameters make up what we have in one: each takes something away, in whatever order they stand.
TEST(OtherClients, VerificationInSeveralParameters) {
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=required&ssl_check_hostname=false"), "ca");
    EXPECT_EQ(value_of("tls_verify", "ssl_check_hostname=false&ssl_cert_reqs=required"), "ca");
    EXPECT_EQ(value_of("tls_verify", "ssl_cert_reqs=none&ssl_check_hostname=false"), "false");
    EXPECT_EQ(value_of("tls_verify", "ssl_check_hostname=true&ssl_cert_reqs=none"), "false");
    const std::string ours_first = "rediss://h?tls_verify=true&ssl_cert_reqs=none";
    EXPECT_EQ(Options().effective("tls_verify", redis_url(ours_first)), "true");
    EXPECT_NE(note_of(ours_first).find("tls_verify is in the URL already"), std::string::npos);
}

TEST(OtherClients, FilesOfTls) {
    EXPECT_EQ(value_of("tls_ca_file", "ssl_ca_certs=%2Fetc%2Fca.pem"), "/etc/ca.pem");
    EXPECT_EQ(value_of("tls_cert_file", "ssl_certfile=/c&ssl_keyfile=/k"), "/c");
    EXPECT_EQ(value_of("tls_key_file", "ssl_certfile=/c&ssl_keyfile=/k"), "/k");
    EXPECT_EQ(value_of("tls_key_file", "ssl_certfile=/both"), "/both") << "a certificate's file may hold its key";
    EXPECT_EQ(value_of("tls_server_name", "servername=redis.example"), "redis.example");
    // Of no use without TLS; but others may read this, too.
    EXPECT_FALSE(read("redis://h?ssl_ca_certs=/etc/ca.pem").tls);
    EXPECT_TRUE(read("redis://h?ssl=true&ssl_ca_certs=/etc/ca.pem").tls);
    EXPECT_TRUE(read("rediss://h?ssl=true").tls);
}

TEST(OtherClients, NeverTakeTlsAway) {
    const std::string url = "rediss://h?ssl=false";
    EXPECT_TRUE(read(url).tls);
    EXPECT_NE(note_of(url).find("tls is in the URL already"), std::string::npos);
    expect_failure(Status::INVALID_URL, {"REDIS_URL", "\"tls\" is given twice"}, [] { read("rediss://h?tls=false"); });
    EXPECT_TRUE(read("rediss://h?tls=true").tls);
}

TEST(OtherClients, Times) {
    const auto timeout = [](const std::string& query) { return value_of("connect_timeout_ms", query); };
    EXPECT_EQ(timeout("socket_connect_timeout=5"), "5000");
    EXPECT_EQ(timeout("socket_connect_timeout=0.25"), "250");
    EXPECT_EQ(timeout("socket_connect_timeout=0.0001"), "1") << "what is not nothing does not become nothing";
    EXPECT_EQ(timeout("connectTimeout=750"), "750");
    EXPECT_EQ(timeout("dial_timeout=5s"), "5000");
    EXPECT_EQ(timeout("dial_timeout=1m1.5s"), "61500");
    EXPECT_EQ(timeout("dial_timeout=300ms"), "300");
    EXPECT_EQ(timeout("dial_timeout=3"), "3000");
    EXPECT_EQ(timeout("dial_timeout=2500us"), "3");
}

TEST(OtherClients, ValuesThatAreNoneOfOursHaveNoEffect) {
    for (const char* query :
         {"socket_connect_timeout=None", "socket_connect_timeout=0", "socket_connect_timeout=-1",
          "socket_connect_timeout=100000", "socket_connect_timeout=1e3", "socket_connect_timeout=5s",
          "connectTimeout=inf", "dial_timeout=5parsecs", "dial_timeout=-1", "dial_timeout=s",
          "dial_timeout=99999999999999999999999999999999999999999h"}) {
        const std::string note = note_of(std::string("redis://h?") + query);
        EXPECT_NE(note.find("none of our setting connect_timeout_ms"), std::string::npos) << note;
        EXPECT_EQ(read(std::string("redis://h?") + query).connect_timeout_ms, 2000) << query;
    }
    EXPECT_NE(note_of("rediss://h?ssl_cert_reqs=perhaps").find("\"perhaps\" is none of our setting tls_verify"),
              std::string::npos);
}

TEST(OtherClients, WhoAndWhere) {
    EXPECT_EQ(value_of("db", "database=3"), "3");
    EXPECT_EQ(value_of("db", "virtual_host=/4"), "4");
    EXPECT_EQ(value_of("db", "db=5"), "5");
    EXPECT_EQ(value_of("client_name", "clientName=worker"), "worker");
    EXPECT_EQ(value_of("client_name", "client_name=worker"), "worker");
    EXPECT_EQ(read("redis://h?username=u&password=p").password, "p");
    EXPECT_EQ(read("redis://h?user=u&pass=p").username, "u");
    EXPECT_EQ(read("redis://h?auth=p").password, "p");
    // The query counts more, as it does with others.
    EXPECT_EQ(read("redis://h/1?db=2").db, 2);
    EXPECT_EQ(read("redis://u:p@h?password=q").password, "q");
    EXPECT_EQ(read("redis://h/1?db=1").db, 1);
}

TEST(OtherClients, TheRestHasNoEffectAndALine) {
    const std::string note = note_of("redis://h?decode_responses=True");
    for (const char* mention : {"REDIS_URL", "redis-py's decode_responses", "no effect", "bytes"})
        EXPECT_NE(note.find(mention), std::string::npos) << note;
    EXPECT_NE(note_of("redis://h?health_check_interval=30").find("heartbeat_interval_ms"), std::string::npos);
    const Settings settings = read(
        "redis://h/"
        "2?protocol=3&max_connections=50&socket_timeout=5&socket_keepalive=true&retry_on_timeout=true&family=6"
        "&read_timeout=3s&pool_size=10&keyPrefix=x&lib_name=&visibility_timeout=3600");
    EXPECT_EQ(settings.notes.size(), 11u);
    EXPECT_EQ(settings.db, 2);
    EXPECT_EQ(settings.heartbeat_timeout_ms, 4000);
    EXPECT_EQ(settings.namespace_, "ws");
}

TEST(OtherClients, WhatNobodyKnowsIsAnErrorStill) {
    expect_failure(Status::UNKNOWN_OPTION, {"REDIS_URL", "ssl_cert_reqz"},
                   [] { read("redis://h?ssl_cert_reqz=none"); });
    expect_failure(Status::INVALID_OPTION, {"REDIS_URL", "offline"}, [] { read("redis://h?offline=1"); });
    expect_failure(Status::UNKNOWN_OPTION, {"sentinelMasterId"}, [] { read("redis://h?sentinelMasterId=m"); });
}

TEST(OtherClients, SecretsAreNeverShown) {
    for (const char* query : {"ssl_password=hunter2", "pass=hunter2%00", "auth=", "user=u&pass=hunter2"}) {
        if (std::string_view(query).find("%00") != std::string_view::npos) continue;
        const Settings settings = read(std::string("redis://h?") + query);
        for (const std::string& note : settings.notes) EXPECT_EQ(note.find("hunter2"), std::string::npos) << note;
        EXPECT_EQ(Options().effective("url", redis_url(std::string("redis://h?") + query)).find("hunter2"),
                  std::string::npos);
    }
    const std::string too_long = "redis://h?pass=" + std::string(5000, 'x');
    EXPECT_EQ(note_of(too_long).find("xx"), std::string::npos);
}

// In a URL that is meant for us they stay errors, which say what ours is.
TEST(OtherClients, InOurOwnUrlTheErrorNamesOurs) {
    const auto refused = [](const char* query, std::initializer_list<const char*> mentions) {
        const std::string url = std::string("rediss://h?") + query;
        expect_failure(Status::UNKNOWN_OPTION, mentions, [&] {
            Options options;
            options.set("url", url);
        });
        const Environment environment = [url](const char* name) -> std::optional<std::string> {
            if (std::string_view(name) == "FANWIRE_URL") return url;
            return std::nullopt;
        };
        expect_failure(Status::UNKNOWN_OPTION, {"FANWIRE_URL"}, [&] { Options().resolve(environment); });
    };
    refused("ssl_cert_reqs=none", {"redis-py's ssl_cert_reqs is our setting tls_verify"});
    refused("ssl_ca_certs=/x", {"tls_ca_file"});
    refused("socket_connect_timeout=5", {"connect_timeout_ms (1..600000)"});
    refused("health_check_interval=5", {"see our setting heartbeat_interval_ms"});
    refused("decode_responses=1", {"redis-py's decode_responses", "bytes"});
    refused("family=6", {"ioredis's family", "every address"});
    expect_failure(Status::UNKNOWN_OPTION, {"tls_verify"}, [] {
        Options options;
        options.set("ssl_cert_reqs", "none");
    });
}

// None of the table's names is one of ours, and what it says about ours is true.
TEST(OtherClients, TheTableFitsOurs) {
    for (const OptionRow& row : option_rows()) EXPECT_EQ(other_clients_hint(row.name), "") << row.name;
}

}  // namespace
}  // namespace fanwire::test
