#include "core/base/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "tests/unit/failures.h"

namespace fanwire::test {
namespace {

using namespace core;

Environment environment_of(std::map<std::string, std::string> variables) {
    return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
        auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
}

const Environment nothing = environment_of({});

Options options_of(const std::map<std::string, std::string>& settings) {
    Options options;
    for (const auto& [name, value] : settings) options.set(name, value);
    return options;
}

// ---- The table --------------------------------------------------------------------------------------------

TEST(Settings, TableDescribesEveryRow) {
    const std::set<std::string> types = {"string", "integer", "number", "size", "boolean", "enum"};
    std::set<std::string> names;
    for (const OptionRow& row : option_rows()) {
        SCOPED_TRACE(row.name);
        EXPECT_TRUE(names.insert(row.name).second);
        EXPECT_EQ(types.count(row.type), 1u) << row.type;
        EXPECT_STRNE(row.help, "");
        EXPECT_EQ(std::string(row.help).find('\n'), std::string::npos);
        bool number = std::set<std::string>{"integer", "number", "size"}.contains(row.type);
        EXPECT_EQ(row.range.find("..") != std::string::npos, number) << "every number has limits";
        if (std::string(row.name) == "password") {
            EXPECT_TRUE(row.secret);
        }
    }
    EXPECT_EQ(names.count("namespace"), 1u);
    EXPECT_EQ(names.count("password"), 1u);
}

TEST(Settings, EveryDefaultIsItsOwnShortestForm) {
    for (const OptionRow& row : option_rows()) {
        EXPECT_EQ(Options().effective(row.name, nothing), row.default_value) << row.name;
        EXPECT_STREQ(Options().source(row.name, nothing), "default") << row.name;
        Options options;
        if (*row.default_value != '\0' || std::string(row.type) == "string") options.set(row.name, row.default_value);
    }
}

TEST(Settings, DefaultsAreWhatTheTableSays) {
    Settings settings = Options().resolve(nothing);
    EXPECT_EQ(settings.backend, BackendKind::redis);
    EXPECT_EQ(settings.host, "127.0.0.1");
    EXPECT_EQ(settings.port, 6379);
    EXPECT_EQ(settings.unix_path, "");
    EXPECT_EQ(settings.db, 0);
    EXPECT_EQ(settings.namespace_, "ws");
    EXPECT_EQ(settings.offline, Offline::queue);
    EXPECT_EQ(settings.offline_bytes, 8 << 20);
    EXPECT_EQ(settings.overflow, Overflow::drop_oldest);
    EXPECT_EQ(settings.channel_rules, ChannelRules::lax);
    EXPECT_EQ(settings.log_level, LogLevel::warn);
    EXPECT_EQ(settings.client_name, "fanwire");
    EXPECT_EQ(settings.max_message_bytes, 16 << 20);
}

TEST(Settings, EnumerationsCountFromZeroInTheOrderOfTheirWords) {
    EXPECT_EQ(static_cast<int>(LogLevel::off), 0);
    EXPECT_EQ(static_cast<int>(LogLevel::error), 1);
    EXPECT_EQ(static_cast<int>(LogLevel::debug), 4);
    EXPECT_EQ(options_of({{"log_level", "debug"}}).resolve(nothing).log_level, LogLevel::debug);
    EXPECT_EQ(options_of({{"overflow", "drop_newest"}}).resolve(nothing).overflow, Overflow::drop_newest);
}

// ---- Values -----------------------------------------------------------------------------------------------

TEST(Settings, EveryNumberKeepsToItsRange) {
    for (const OptionRow& row : option_rows()) {
        size_t dots = row.range.find("..");
        if (dots == std::string::npos) continue;
        SCOPED_TRACE(row.name);
        std::string low = row.range.substr(0, dots), high = row.range.substr(dots + 2);
        Options options;
        EXPECT_NO_THROW(options.set(row.name, low));
        EXPECT_NO_THROW(options.set(row.name, high));
        for (std::string wrong :
             {std::string("-1"), high + "0", std::string("99999999999999999999"), std::string(""), std::string("x"),
              std::string("1x"), std::string("0x1"), std::string("1.5"), std::string("+1"), std::string(" 1"),
              std::string("1 "), std::string("1e3"), std::string("1\0", 2)}) {
            if (wrong == "1.5" && std::string(row.type) == "number") continue;
            expect_failure(Status::INVALID_OPTION, {row.name, low.c_str(), high.c_str()},
                           [&] { options.set(row.name, wrong); });
        }
    }
}

TEST(Settings, SizesTakeSuffixes) {
    auto size_of = [](const char* text) {
        return options_of({{"offline_bytes", text}}).resolve(nothing).offline_bytes;
    };
    EXPECT_EQ(size_of("1"), 1);
    EXPECT_EQ(size_of("12B"), 12);
    EXPECT_EQ(size_of("3KiB"), 3 * 1024);
    EXPECT_EQ(size_of("8MiB"), 8 * 1024 * 1024);
    EXPECT_EQ(size_of("64GiB"), int64_t{64} << 30);
    for (const char* wrong : {"8MB", "8 MiB", "8mib", "MiB", "1.5MiB", "-1MiB", "8MiBB", "65GiB",
                              "9223372036854775807GiB", "17179869185GiB", "0"})
        expect_failure(Status::INVALID_OPTION, {"offline_bytes", "KiB"}, [&] { size_of(wrong); });
}

TEST(Settings, SizesAreShownInTheirShortestForm) {
    auto shown = [](const char* text) { return options_of({{"inbox_bytes", text}}).effective("inbox_bytes", nothing); };
    EXPECT_EQ(shown("1048576"), "1MiB");
    EXPECT_EQ(shown("1024KiB"), "1MiB");
    EXPECT_EQ(shown("1025"), "1025");
    EXPECT_EQ(shown("1536"), "1536");
    EXPECT_EQ(shown("2GiB"), "2GiB");
}

TEST(Settings, ChoicesTakeTheirWordsOnly) {
    for (const char* wrong : {"", "Queue", "queue ", "que", "queue|fail", "0"})
        expect_failure(Status::INVALID_OPTION, {"offline", "queue|fail"}, [&] { options_of({{"offline", wrong}}); });
}

TEST(Settings, TextsKeepToTheirRules) {
    auto refused = [](const char* name, const std::string& value) {
        expect_failure(Status::INVALID_OPTION, {name}, [&] { options_of({{name, value}}); });
    };
    refused("namespace", std::string(257, 'n'));
    refused("namespace", "a\nb");
    refused("namespace", "\xFF");
    refused("username", std::string("a\0b", 3));
    refused("unix_path", "/" + std::string(107, 'p'));
    refused("client_name", "two words");
    refused("client_name", "caf\xC3\xA9");
    refused("client_name", std::string(65, 'c'));
    refused("host", "");
    refused("host", "[::1]");
    refused("host", "my host");
    refused("host", "redis://h");
    refused("host", std::string(254, 'h'));

    Settings settings =
        options_of({{"namespace", "caf\xC3\xA9"}, {"unix_path", "/" + std::string(106, 'p')}}).resolve(nothing);
    EXPECT_EQ(settings.namespace_, "caf\xC3\xA9");
    EXPECT_EQ(settings.unix_path.size(), 107u);
    EXPECT_EQ(options_of({{"host", "::1"}}).resolve(nothing).host, "::1");
    EXPECT_EQ(options_of({{"namespace", ""}}).resolve(nothing).namespace_, "");
    EXPECT_EQ(options_of({{"client_name", ""}}).resolve(nothing).client_name, "");
    EXPECT_EQ(options_of({{"url", "redis://h?client_name="}}).resolve(nothing).client_name, "");
}

TEST(Settings, UnknownNamesAreRefusedWithAHint) {
    Options options;
    expect_failure(Status::UNKNOWN_OPTION, {"\"prot\"", "\"port\""}, [&] { options.set("prot", "1"); });
    expect_failure(Status::UNKNOWN_OPTION, {"\"colour\"", "host", "log_level"}, [&] { options.set("colour", "red"); });
    expect_failure(Status::UNKNOWN_OPTION, {"namespace"}, [&] { options.set("namespace_", "x"); });
    expect_failure(Status::UNKNOWN_OPTION, {}, [&] { options.set("", "x"); });
    expect_failure(Status::UNKNOWN_OPTION, {"\\x00"}, [&] { options.set(std::string("host\0", 5), "x"); });
    expect_failure(Status::UNKNOWN_OPTION, {"100000 bytes"}, [&] { options.set(std::string(100000, 'x'), "x"); });
    expect_failure(Status::UNKNOWN_OPTION, {"colour"}, [&] { options.effective("colour", nothing); });
    expect_failure(Status::UNKNOWN_OPTION, {"colour"}, [&] { options.source("colour", nothing); });
}

TEST(Settings, FailedSetChangesNothing) {
    Options options = options_of({{"port", "7000"}, {"url", "redis://h/1"}});
    EXPECT_THROW(options.set("port", "0"), Failure);
    EXPECT_THROW(options.set("url", "redis://h:0"), Failure);
    EXPECT_EQ(options.effective("port", nothing), "7000");
    EXPECT_EQ(options.effective("url", nothing), "redis://h/1");
    options.set("port", "7001");
    EXPECT_EQ(options.effective("port", nothing), "7001");
}

// ---- Where they come from ---------------------------------------------------------------------------------

TEST(Settings, ExplicitBeforeUrlBeforeEnvironmentBeforeDefault) {
    Environment environment =
        environment_of({{"FANWIRE_DB", "1"}, {"FANWIRE_NAMESPACE", "env"}, {"FANWIRE_OFFLINE", "fail"}});
    Options options = options_of({{"url", "redis://h/2?namespace=url"}, {"db", "3"}});
    EXPECT_EQ(options.effective("db", environment), "3");
    EXPECT_STREQ(options.source("db", environment), "option");
    EXPECT_EQ(options.effective("namespace", environment), "url");
    EXPECT_STREQ(options.source("namespace", environment), "url");
    EXPECT_EQ(options.effective("offline", environment), "fail");
    EXPECT_STREQ(options.source("offline", environment), "environment");
    EXPECT_EQ(options.effective("port", environment), "6379");
    EXPECT_STREQ(options.source("port", environment), "default");
    EXPECT_STREQ(options.source("url", environment), "option");
}

TEST(Settings, UrlOfTheEnvironment) {
    Environment both = environment_of({{"FANWIRE_URL", "redis://mine:1"}, {"REDIS_URL", "redis://theirs:2"}});
    EXPECT_EQ(Options().resolve(both).host, "mine");
    EXPECT_STREQ(Options().source("url", both), "environment");
    EXPECT_STREQ(Options().source("host", both), "url");

    Environment theirs = environment_of({{"FANWIRE_URL", ""}, {"REDIS_URL", "redis://theirs:2"}});
    EXPECT_EQ(Options().resolve(theirs).host, "theirs");
    EXPECT_EQ(options_of({{"url", "redis://explicit"}}).resolve(theirs).host, "explicit");
    EXPECT_EQ(options_of({{"url", "redis://explicit"}}).resolve(theirs).port, 6379);
}

TEST(Settings, DefaultUrlDoesNotHideTheEnvironment) {
    Environment environment = environment_of({{"FANWIRE_HOST", "there"}, {"FANWIRE_PORT", "7"}});
    EXPECT_EQ(Options().resolve(environment).host, "there");
    EXPECT_EQ(Options().resolve(environment).port, 7);
    EXPECT_STREQ(Options().source("host", environment), "environment");
}

TEST(Settings, EmptyVariableIsUnset) {
    Environment environment = environment_of({{"FANWIRE_PORT", ""}, {"FANWIRE_NAMESPACE", ""}, {"REDIS_URL", ""}});
    EXPECT_EQ(Options().resolve(environment).port, 6379);
    EXPECT_EQ(Options().resolve(environment).namespace_, "ws");
    EXPECT_STREQ(Options().source("namespace", environment), "default");
}

TEST(Settings, MalformedVariableIsNamed) {
    auto fails = [](Status status, const char* variable, const char* value, const char* mention) {
        expect_failure(status, {variable, mention}, [&] { Options().resolve(environment_of({{variable, value}})); });
    };
    fails(Status::INVALID_OPTION, "FANWIRE_PORT", "abc", "1 to 65535");
    fails(Status::INVALID_OPTION, "FANWIRE_OFFLINE", "never", "queue|fail");
    fails(Status::INVALID_URL, "FANWIRE_URL", "localhost", "scheme");
    fails(Status::INVALID_URL, "REDIS_URL", "redis://h:0", "port");
    fails(Status::INVALID_URL, "REDIS_URL", "memory://x?host=h", "memory");
    fails(Status::UNKNOWN_OPTION, "REDIS_URL", "redis://h?nonsense=1", "\"nonsense\"");
    fails(Status::INVALID_OPTION, "REDIS_URL", "redis://h?offline=1", "offline");
}

// What Kubernetes sets for a Service named "fanwire" or "fanwire-client", and Docker for a link.
TEST(Settings, VariablesOfServicesAreIgnored) {
    for (const char* value :
         {"tcp://10.0.0.1:80", "udp://10.0.0.1:53", "sctp://[fd00::1]:80", "tcp://172.17.0.2:6379"}) {
        const Settings settings = Options().resolve(environment_of({{"FANWIRE_PORT", value},
                                                                    {"FANWIRE_PORT_6379_TCP", value},
                                                                    {"FANWIRE_PORT_6379_TCP_ADDR", "10.0.0.1"},
                                                                    {"FANWIRE_PORT_6379_TCP_PORT", "6379"},
                                                                    {"FANWIRE_PORT_6379_TCP_PROTO", "tcp"},
                                                                    {"FANWIRE_SERVICE_HOST", "10.0.0.1"},
                                                                    {"FANWIRE_SERVICE_PORT", "80"},
                                                                    {"FANWIRE_SERVICE_PORT_REDIS", "80"},
                                                                    {"FANWIRE_NAME", "/app/fanwire"},
                                                                    {"FANWIRE_ENV_FANWIRE_HOST", "x"}}));
        EXPECT_EQ(settings.port, 6379);
        EXPECT_EQ(settings.host, "127.0.0.1");
        ASSERT_EQ(settings.notes.size(), 1u);
        for (const char* mention : {"FANWIRE_PORT", value, "ignored", "Kubernetes"})
            EXPECT_NE(settings.notes[0].find(mention), std::string::npos) << settings.notes[0];
    }
    for (const char* alias : {"fanwire_client", "fanwire-client", "Fanwire-Client"}) {
        const Settings settings =
            Options().resolve(environment_of({{"FANWIRE_CLIENT_NAME", std::string("/app_1/") + alias}}));
        EXPECT_EQ(settings.client_name, "fanwire");
        EXPECT_EQ(settings.notes.size(), 1u);
    }
    EXPECT_STREQ(Options().source("port", environment_of({{"FANWIRE_PORT", "tcp://10.0.0.1:80"}})), "default");
}

TEST(Settings, NoOtherValueIsThatOfAService) {
    for (const char* value : {"tcp", "tcp:80", "10.0.0.1:80", "http://10.0.0.1:80", "redis://tcp://"})
        expect_failure(Status::INVALID_OPTION, {"FANWIRE_PORT"}, [&] {
            Options().resolve(environment_of({{"FANWIRE_PORT", value}}));
        });
    for (const char* value :
         {"/app", "/fanwire-client", "/app/fanwire", "/app/fanwire-client2", "app/fanwire-client"}) {
        const Settings settings = Options().resolve(environment_of({{"FANWIRE_CLIENT_NAME", value}}));
        EXPECT_EQ(settings.client_name, value);
        EXPECT_TRUE(settings.notes.empty());
    }
    expect_failure(Status::INVALID_OPTION, {"FANWIRE_DB"}, [&] {
        Options().resolve(environment_of({{"FANWIRE_DB", "tcp://10.0.0.1:80"}}));
    });
    // Somebody's own word is never one that nobody set.
    expect_failure(Status::INVALID_OPTION, {"port"}, [&] { options_of({{"port", "tcp://10.0.0.1:80"}}); });
    // Nor is there anything to say about a variable that is not read.
    EXPECT_TRUE(
        options_of({{"port", "7"}}).resolve(environment_of({{"FANWIRE_PORT", "tcp://10.0.0.1:80"}})).notes.empty());
}

TEST(Settings, MalformedVariableThatIsNotNeededDoesNotMatter) {
    Environment environment = environment_of({{"FANWIRE_PORT", "abc"}, {"REDIS_URL", "nonsense"}});
    EXPECT_EQ(options_of({{"url", "redis://h"}, {"port", "7"}}).resolve(environment).port, 7);
    EXPECT_EQ(options_of({{"url", "redis://h:8"}}).resolve(environment).port, 8);
}

TEST(Settings, ProcessEnvironmentIsRead) {
    ASSERT_EQ(setenv("FANWIRE_TEST_OF_ENVIRONMENT", "yes", 1), 0);
    EXPECT_EQ(process_environment()("FANWIRE_TEST_OF_ENVIRONMENT"), "yes");
    ASSERT_EQ(unsetenv("FANWIRE_TEST_OF_ENVIRONMENT"), 0);
    EXPECT_EQ(process_environment()("FANWIRE_TEST_OF_ENVIRONMENT"), std::nullopt);
}

// ---- Secrets ----------------------------------------------------------------------------------------------

TEST(Settings, SecretsAreNotShown) {
    EXPECT_EQ(Options().effective("password", nothing), "");
    Options options = options_of({{"url", "redis://u:hunter2@h?client_name=x"}});
    EXPECT_EQ(options.effective("password", nothing), "***");
    EXPECT_EQ(options.effective("url", nothing), "redis://u:***@h?client_name=x");
    EXPECT_EQ(options.resolve(nothing).password, "hunter2");
    EXPECT_EQ(Options().effective("url", environment_of({{"REDIS_URL", "redis://:hunter2@h"}})), "redis://:***@h");
}

TEST(Settings, WrongSecretsAreNotRepeated) {
    std::string wrong = std::string("hunter2\0", 8);
    core::Error error = failure_of([&] { options_of({{"password", wrong}}); });
    EXPECT_EQ(error.text.find("hunter"), std::string::npos) << error.text;
    EXPECT_NE(error.text.find("password"), std::string::npos) << error.text;

    Environment environment = environment_of({{"FANWIRE_PASSWORD", std::string(5000, 'x')}});
    error = failure_of([&] { Options().resolve(environment); });
    EXPECT_EQ(error.text.find("xxxx"), std::string::npos) << error.text;
    EXPECT_NE(error.text.find("FANWIRE_PASSWORD"), std::string::npos) << error.text;
}

TEST(Settings, PasswordMayBeAnyBytes) {
    EXPECT_EQ(options_of({{"url", "redis://:%ff%01@h"}}).resolve(nothing).password, "\xFF\x01");
}

// ---- Contradictions ---------------------------------------------------------------------------------------

TEST(Settings, ExplicitHostOrPortOverridesTheUrls) {
    Settings settings = options_of({{"url", "redis://u:p@h:1/2"}, {"host", "other"}}).resolve(nothing);
    EXPECT_EQ(settings.host, "other");
    EXPECT_EQ(settings.port, 1);
    EXPECT_EQ(settings.db, 2);
    EXPECT_EQ(settings.username, "u");
}

TEST(Settings, ExplicitHostOrPortWantsTcpWhateverTheUrlsSocket) {
    for (auto [name, value] : {std::pair("host", "h"), std::pair("port", "7")}) {
        Options options = options_of({{"url", "unix:///run/redis.sock"}, {name, value}});
        EXPECT_EQ(options.resolve(nothing).unix_path, "") << name;
        EXPECT_EQ(options.effective(name, nothing), value);
        EXPECT_STREQ(options.source("unix_path", nothing), "option");
    }
    Options emptied = options_of({{"url", "unix:///run/redis.sock"}, {"unix_path", ""}});
    EXPECT_EQ(emptied.resolve(nothing).unix_path, "");
}

TEST(Settings, ExplicitSocketOverridesTheUrlsHost) {
    Options options = options_of({{"url", "redis://h:1/2"}, {"unix_path", "/run/redis.sock"}});
    EXPECT_EQ(options.resolve(nothing).unix_path, "/run/redis.sock");
    EXPECT_EQ(options.resolve(nothing).db, 2);
}

TEST(Settings, UrlDecidesBetweenSocketAndHostBeforeTheEnvironmentDoes) {
    Environment socket = environment_of({{"FANWIRE_UNIX_PATH", "/run/redis.sock"}});
    Environment host = environment_of({{"FANWIRE_HOST", "h"}});
    EXPECT_EQ(Options().resolve(socket).unix_path, "/run/redis.sock");
    EXPECT_EQ(options_of({{"url", "redis://h"}}).resolve(socket).unix_path, "");
    EXPECT_EQ(options_of({{"url", "unix:///tmp/x"}}).resolve(host).unix_path, "/tmp/x");
    EXPECT_EQ(options_of({{"host", "h"}}).resolve(socket).unix_path, "");
}

TEST(Settings, SocketAndHostFromTheSameSourceContradictEachOther) {
    expect_failure(Status::INVALID_OPTION, {"host", "unix_path"}, [] {
        options_of({{"host", "h"}, {"unix_path", "/s"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"port", "unix_path"}, [] {
        options_of({{"port", "7"}, {"unix_path", "/s"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"host", "unix_path", "environment"}, [] {
        Options().resolve(environment_of({{"FANWIRE_HOST", "h"}, {"FANWIRE_UNIX_PATH", "/s"}}));
    });
}

TEST(Settings, MemoryHasNoServer) {
    const std::map<std::string, std::string> server = {{"host", "h"}, {"port", "7"}, {"unix_path", "/s"}};
    for (const auto& setting : server) {
        Options options = options_of({{"url", "memory://x"}, setting});
        expect_failure(Status::INVALID_OPTION, {setting.first.c_str(), "memory://"}, [&] { options.resolve(nothing); });
    }

    Environment host = environment_of({{"FANWIRE_HOST", "h"}, {"FANWIRE_UNIX_PATH", "/s"}});
    Settings settings = options_of({{"url", "memory://x"}}).resolve(host);
    EXPECT_EQ(settings.backend, BackendKind::memory);
    EXPECT_EQ(settings.memory_name, "x");
}

// ---- TLS --------------------------------------------------------------------------------------------------

TEST(Settings, SchemesWithAnExtraSMeanTls) {
    EXPECT_FALSE(options_of({{"url", "redis://h"}}).resolve(nothing).tls);
    for (const char* url : {"rediss://h", "valkeys://h", "REDISS://h", "redis://h?tls=true"}) {
        Options options = options_of({{"url", url}});
        EXPECT_TRUE(options.resolve(nothing).tls) << url;
        EXPECT_EQ(options.effective("tls", nothing), "true");
        EXPECT_STREQ(options.source("tls", nothing), "url");
    }
    EXPECT_TRUE(options_of({{"url", "redis://h"}, {"tls", "true"}}).resolve(nothing).tls);
    EXPECT_TRUE(options_of({{"url", "redis://h"}}).resolve(environment_of({{"FANWIRE_TLS", "true"}})).tls);
    EXPECT_TRUE(options_of({{"url", "rediss://h"}}).resolve(environment_of({{"FANWIRE_TLS", "false"}})).tls);
    EXPECT_FALSE(options_of({{"url", "rediss://h"}, {"tls", "false"}}).resolve(nothing).tls);
    expect_failure(Status::INVALID_URL, {"tls", "twice"}, [] { options_of({{"url", "rediss://h?tls=false"}}); });
}

TEST(Settings, BooleansAreTrueOrFalse) {
    for (const char* wrong : {"", "yes", "1", "True", "true "})
        expect_failure(Status::INVALID_OPTION, {"tls", "true or false"}, [&] { options_of({{"tls", wrong}}); });
}

TEST(Settings, DetailsOfTlsWithoutTlsAreAMistake) {
    for (const char* name : {"tls_ca_file", "tls_cert_file", "tls_key_file", "tls_server_name"}) {
        SCOPED_TRACE(name);
        expect_failure(Status::INVALID_OPTION, {name, "rediss://", "tls=true"}, [&] {
            options_of({{"url", "redis://h"}, {name, "x"}}).resolve(nothing);
        });
        expect_failure(Status::INVALID_OPTION, {name, "rediss://"}, [&] {
            options_of({{"url", std::string("redis://h?") + name + "=x"}}).resolve(nothing);
        });
        expect_failure(Status::INVALID_OPTION, {name, "memory://"}, [&] {
            options_of({{"url", "memory://"}, {name, "x"}}).resolve(nothing);
        });
        std::string variable = "FANWIRE_";
        for (const char* letter = name; *letter != '\0'; ++letter)
            variable += *letter == '_' ? '_' : static_cast<char>(*letter - 'a' + 'A');
        // The environment may hold them for others, and who says tls=false means it.
        EXPECT_NO_THROW(options_of({{"url", "redis://h"}}).resolve(environment_of({{variable, "x"}})));
        EXPECT_NO_THROW(options_of({{"url", "memory://"}}).resolve(environment_of({{variable, "x"}})));
        EXPECT_NO_THROW(options_of({{"tls", "false"}, {name, "x"}}).resolve(nothing));
        EXPECT_NO_THROW(options_of({{"url", "redis://h"}, {name, ""}}).resolve(nothing));
    }
    Environment tls = environment_of({{"FANWIRE_TLS", "true"}});
    EXPECT_EQ(options_of({{"tls_ca_file", "/ca"}}).resolve(tls).tls_ca_file, "/ca");
}

TEST(Settings, ClientCertificatesNeedTheirKey) {
    expect_failure(Status::INVALID_OPTION, {"tls_cert_file", "tls_key_file"}, [] {
        options_of({{"url", "rediss://h"}, {"tls_cert_file", "/c"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"tls_cert_file", "tls_key_file"}, [] {
        options_of({{"url", "rediss://h?tls_key_file=/k"}}).resolve(nothing);
    });
    Settings both = options_of({{"url", "rediss://h?tls_key_file=/k"}, {"tls_cert_file", "/c"}}).resolve(nothing);
    EXPECT_EQ(both.tls_cert_file, "/c");
    EXPECT_EQ(both.tls_verify, TlsVerify::full);
}

TEST(Settings, VerificationIsAChoiceWithTheWordsOfABoolean) {
    const auto verify = [](const char* word) { return options_of({{"tls_verify", word}}).resolve(nothing).tls_verify; };
    EXPECT_EQ(verify("true"), TlsVerify::full);
    EXPECT_EQ(verify("ca"), TlsVerify::ca);
    EXPECT_EQ(verify("false"), TlsVerify::none);
    expect_failure(Status::INVALID_OPTION, {"tls_verify", "true|ca|false"}, [&] { verify("none"); });
}

TEST(Settings, UnixSocketsAndMemoryHaveNoTls) {
    expect_failure(Status::INVALID_URL, {"tls", "unix_path"}, [] { options_of({{"url", "unix:///s?tls=true"}}); });
    expect_failure(Status::INVALID_URL, {"tls", "unix_path"}, [] { options_of({{"url", "rediss://?unix_path=/s"}}); });
    expect_failure(Status::INVALID_URL, {"tls", "memory://"}, [] { options_of({{"url", "memory://?tls=true"}}); });
    expect_failure(Status::INVALID_OPTION, {"tls (option)", "unix_path (url)"}, [] {
        options_of({{"url", "unix:///s"}, {"tls", "true"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"tls", "unix_path"}, [] {
        options_of({{"unix_path", "/s"}, {"tls", "true"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"tls", "memory://"}, [] {
        options_of({{"url", "memory://"}, {"tls", "true"}}).resolve(nothing);
    });
    Environment tls = environment_of({{"FANWIRE_TLS", "true"}});
    EXPECT_FALSE(options_of({{"url", "unix:///s"}}).resolve(tls).tls);
    EXPECT_FALSE(options_of({{"url", "memory://"}}).resolve(tls).tls);
    Options socket = options_of({{"url", "rediss://h"}, {"unix_path", "/s"}});
    EXPECT_FALSE(socket.resolve(nothing).tls);
    EXPECT_EQ(socket.resolve(nothing).unix_path, "/s");
}

TEST(Settings, PairsThatDoNotFitTogetherAreBothNamed) {
    expect_failure(Status::INVALID_OPTION, {"reconnect_delay_ms (500)", "max_reconnect_delay_ms (400)"}, [] {
        options_of({{"reconnect_delay_ms", "500"}, {"max_reconnect_delay_ms", "400"}}).resolve(nothing);
    });
    expect_failure(Status::INVALID_OPTION, {"heartbeat_timeout_ms (1000)", "heartbeat_interval_ms (1000)"}, [] {
        options_of({{"heartbeat_timeout_ms", "1000"}}).resolve(nothing);
    });
    EXPECT_NO_THROW(options_of({{"reconnect_delay_ms", "400"}, {"max_reconnect_delay_ms", "400"}}).resolve(nothing));
    EXPECT_NO_THROW(options_of({{"heartbeat_timeout_ms", "1001"}}).resolve(nothing));
}

TEST(Settings, AGroupHasItsOwnPatienceWithPausesOfWrites) {
    const std::string group = "redis-sentinel://s1?master=m";
    EXPECT_EQ(Options().resolve(nothing).write_pause_ms, 0);
    EXPECT_EQ(options_of({{"url", group}}).resolve(nothing).write_pause_ms, 10000);
    EXPECT_EQ(options_of({{"url", group}, {"write_pause_ms", "0"}}).resolve(nothing).write_pause_ms, 0);
    EXPECT_EQ(options_of({{"url", group + "&write_pause_ms=7"}}).resolve(nothing).write_pause_ms, 7);
}

// The environment may hold what is for others; what is given for this engine has to fit.
TEST(Settings, WhatIsOfGroupsFitsGroupsAlone) {
    const Environment theirs = [](const char* name) -> std::optional<std::string> {
        const std::string_view variable = name;
        if (variable == "FANWIRE_MASTER") return "m";
        if (variable == "FANWIRE_HOST") return "elsewhere";
        if (variable == "FANWIRE_UNIX_PATH") return "/run/redis.sock";
        return std::nullopt;
    };
    EXPECT_EQ(options_of({{"url", "redis://h"}}).resolve(theirs).topology, TopologyKind::single);
    const Settings settings = options_of({{"url", "redis-sentinel://s1"}}).resolve(theirs);
    EXPECT_EQ(settings.topology, TopologyKind::sentinel);
    EXPECT_EQ(settings.master, "m");
    EXPECT_EQ(settings.nodes, "s1");
    EXPECT_EQ(settings.unix_path, "");
    EXPECT_THROW(options_of({{"url", "redis://h"}, {"master", "m"}}).resolve(nothing), Failure);
    EXPECT_THROW(options_of({{"url", "redis-sentinel://s1"}}).resolve(nothing), Failure);
    EXPECT_THROW(options_of({{"url", "redis-sentinel://s1"}, {"master", "m"}, {"host", "h"}}).resolve(nothing),
                 Failure);
}

TEST(Settings, CopiesAreIndependent) {
    Options one = options_of({{"port", "1"}});
    Options two = one;
    two.set("port", "2");
    EXPECT_EQ(one.effective("port", nothing), "1");
    EXPECT_EQ(two.effective("port", nothing), "2");
}

}  // namespace
}  // namespace fanwire::test
