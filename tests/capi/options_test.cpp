#include <cstdlib>
#include <regex>
#include <string_view>

#include "support.h"

namespace capi_test {
namespace {

std::string get(const fanwire_options* options, const char* name) {
    char buffer[512];
    std::size_t size = sizeof buffer;
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_get(options, name, buffer, &size));
    EXPECT_EQ(std::strlen(buffer) + 1, size);
    return buffer;
}

std::string source(const fanwire_options* options, const char* name) {
    const char* from = "";
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_source(options, name, &from));
    return from;
}

// An environment variable for as long as it lives.
class Environment {
 public:
    Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~Environment() { unsetenv(name_); }

 private:
    const char* name_;
};

std::vector<fanwire_option_info> table() {
    std::vector<fanwire_option_info> rows(fanwire_option_count());
    for (std::size_t i = 0; i < rows.size(); ++i)
        EXPECT_STATUS(FANWIRE_OK, fanwire_option_at(i, &rows[i], sizeof rows[i]));
    return rows;
}

TEST(OptionTable, RowsAreComplete) {
    ASSERT_GT(fanwire_option_count(), 20u);
    for (const auto& row : table()) {
        EXPECT_TRUE(std::regex_match(row.name, std::regex("[a-z][a-z_]*"))) << row.name;
        EXPECT_TRUE(std::regex_match(row.type, std::regex("string|integer|number|size|boolean|enum"))) << row.name;
        EXPECT_NE('\0', row.help[0]) << row.name;
        EXPECT_EQ(nullptr, std::strchr(row.help, '\n')) << row.name;
        EXPECT_NE(nullptr, row.range) << row.name;
        EXPECT_EQ(std::string_view(row.name).ends_with("password"), row.secret == 1) << row.name;
        Options options;
        if (row.default_value[0] != '\0') {
            EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, row.name, row.default_value)) << row.name;
        }
    }
}

// Every row's range is what set() goes by, whatever rows are added.
TEST(OptionTable, RangesAreEnforced) {
    for (const auto& row : table()) {
        Options options;
        const std::string type = row.type, range = row.range;
        std::smatch ends;
        if (type == "integer") {
            ASSERT_TRUE(std::regex_match(range, ends, std::regex("(\\d+)\\.\\.(\\d+)"))) << row.name << " " << range;
            const auto low = std::stoll(ends[1]), high = std::stoll(ends[2]);
            for (auto bad : {std::to_string(low - 1), std::to_string(high + 1), std::string("ten"), std::string(),
                             std::string("1.5"), std::string("99999999999999999999999"), std::to_string(low) + " "}) {
                EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, row.name, bad.c_str()))
                    << row.name << "=" << bad;
                EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), row.name)) << fanwire_last_error();
            }
        } else if (type == "number") {
            ASSERT_TRUE(std::regex_match(range, ends, std::regex("([0-9.]+)\\.\\.([0-9.]+)")))
                << row.name << " " << range;
            const double low = std::stod(ends[1]), high = std::stod(ends[2]);
            EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, row.name, std::to_string((low + high) / 2).c_str()));
            for (auto bad :
                 {std::to_string(low - 0.1), std::to_string(high + 0.1), std::string("ten"), std::string(),
                  std::string("inf"), std::string("nan"), std::string("1e0"), std::string("."), std::string("1.5 ")})
                EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, row.name, bad.c_str()))
                    << row.name << "=" << bad;
        } else if (type == "enum") {
            for (const char* bad : {"", "none of these", "QUEUE|FAIL"})
                EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, row.name, bad)) << row.name;
            EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, row.name, range.substr(0, range.find('|')).c_str()));
        } else if (type == "size" || type == "boolean") {
            for (const char* bad : {"", "much", "-1", "12XB"})
                EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, row.name, bad)) << row.name;
        }
    }
}

TEST(OptionTable, BadArguments) {
    fanwire_option_info row{};
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_option_at(fanwire_option_count(), &row, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_option_at(0, nullptr, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_option_at(0, &row, sizeof row - 1));
    struct Newer {
        fanwire_option_info info;
        std::uint64_t more;
    } newer;
    std::memset(&newer, 0xAA, sizeof newer);
    ASSERT_STATUS(FANWIRE_OK, fanwire_option_at(0, &newer.info, sizeof newer));
    EXPECT_STREQ("url", newer.info.name);
    EXPECT_EQ(0u, newer.more);
}

TEST(Options, UnknownAndIllTypedChangeNothing) {
    Options options{{"port", "7000"}};
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "prot", "1"));
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "", "1"));
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "PORT", "1"));
    for (const char* bad : {"0", "70000", "-1", "abc", "", "1e3", "0x10", " 80"}) {
        EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, "port", bad)) << bad;
        EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "port")) << fanwire_last_error();
        EXPECT_EQ("7000", get(options, "port"));
    }
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set(options, nullptr, "1"));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set(options, "port", nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_options_set(options, "host", "\xff\xfe")) << "settings are UTF-8";
}

TEST(Options, MalformedUrls) {
    for (const char* bad : {"", "redis", "redis:", "://host", "http://host:6379", "redis://host:0",
                            "redis://host:70000", "redis://host:port", "redis://host:6379/notadb", "redis://[::1",
                            "redis://host?colour=red", "redis://host?port=0", "redis://ho st", "redis://host/-1",
                            "redis://host/1/2", "redis://%zz@host", "unix://"}) {
        Options options{{"url", "redis://good:1234"}};
        const int status = fanwire_options_set(options, "url", bad);
        EXPECT_TRUE(status == FANWIRE_INVALID_URL || status == FANWIRE_UNKNOWN_OPTION ||
                    status == FANWIRE_INVALID_OPTION)
            << bad << ": " << fanwire_status_name(status);
        EXPECT_NE('\0', fanwire_last_error()[0]);
        EXPECT_EQ("1234", get(options, "port")) << "as it was before " << bad;
    }
    Options options;
    EXPECT_STATUS(FANWIRE_INVALID_URL, fanwire_options_set(options, "url", "http://host"));
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "url", "redis://host?colour=red"));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "colour")) << fanwire_last_error();
}

TEST(Options, PasswordsStayHidden) {
    Options options{{"url", "redis://joe:hunter2@host:6379"}};
    EXPECT_EQ(std::string::npos, get(options, "url").find("hunter2")) << get(options, "url");
    EXPECT_NE(std::string::npos, get(options, "url").find("***")) << get(options, "url");
    EXPECT_EQ("***", get(options, "password"));
    EXPECT_EQ("joe", get(options, "username"));
    EXPECT_NE(FANWIRE_OK, fanwire_options_set(options, "url", "redis://joe:hunter2@host:70000"));
    EXPECT_EQ(nullptr, std::strstr(fanwire_last_error(), "hunter2")) << fanwire_last_error();
    Options none{{"url", "redis://host"}};
    EXPECT_EQ("", get(none, "password")) << "nothing to hide";
}

TEST(Options, GetAsksForRoom) {
    Options options{{"client_name", "gateway"}};
    std::size_t size = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_get(options, "client_name", nullptr, &size));
    EXPECT_EQ(8u, size);
    char buffer[8];
    std::memset(buffer, '#', sizeof buffer);
    size = 7;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_options_get(options, "client_name", buffer, &size));
    EXPECT_EQ(8u, size);
    EXPECT_EQ('#', buffer[7]) << "not a byte beyond the size given";
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_get(options, "client_name", buffer, &size));
    EXPECT_STREQ("gateway", buffer);
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_get(options, "nome", buffer, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_get(options, "client_name", buffer, nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_get(options, nullptr, buffer, &size));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_get(nullptr, "port", buffer, &size));
}

TEST(Options, OptionBeforeUrlBeforeEnvironmentBeforeDefault) {
    Options options;
    EXPECT_EQ("default", source(options, "connect_timeout_ms"));
    EXPECT_EQ("2000", get(options, "connect_timeout_ms"));
    {
        Environment environment("FANWIRE_CONNECT_TIMEOUT_MS", "3000");
        EXPECT_EQ("environment", source(options, "connect_timeout_ms"));
        EXPECT_EQ("3000", get(options, "connect_timeout_ms"));
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", "redis://host?connect_timeout_ms=4000"));
        EXPECT_EQ("url", source(options, "connect_timeout_ms"));
        EXPECT_EQ("4000", get(options, "connect_timeout_ms"));
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "connect_timeout_ms", "5000"));
        EXPECT_EQ("option", source(options, "connect_timeout_ms"));
        EXPECT_EQ("5000", get(options, "connect_timeout_ms"));
    }
    EXPECT_EQ("url", source(options, "host"));
    EXPECT_EQ("host", get(options, "host"));
    const char* from = nullptr;
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_source(options, "nome", &from));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_source(options, "port", nullptr));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_source(nullptr, "port", &from));
    EXPECT_EQ(nullptr, from);
}

TEST(Options, UrlFromTheEnvironment) {
    Options options;
    Environment redis("REDIS_URL", "redis://from-redis-url");
    EXPECT_EQ("from-redis-url", get(options, "host"));
    EXPECT_EQ("environment", source(options, "url"));
    Environment ours("FANWIRE_URL", "redis://from-fanwire-url");
    EXPECT_EQ("from-fanwire-url", get(options, "host"));
}

TEST(Options, BadEnvironmentIsReportedOnOpen) {
    Environment environment("FANWIRE_INBOX_COUNT", "many");
    Options options{{"url", memory_url}};
    Engine engine;
    EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_engine_open(engine.out(), options));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "FANWIRE_INBOX_COUNT")) << fanwire_last_error();
    EXPECT_EQ(nullptr, static_cast<fanwire_engine*>(engine));
    fanwire_inbox* inbox = nullptr;
    EXPECT_STATUS(FANWIRE_INVALID_OPTION, fanwire_inbox_create(&inbox, options));
    EXPECT_EQ(nullptr, inbox);
}

TEST(Options, AreCopiedByWhoeverIsMadeFromThem) {
    Engine engine;
    {
        Options options{{"url", memory_url}, {"max_message_bytes", "3"}};
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set(options, "max_message_bytes", "5"));
    }
    EXPECT_STATUS(FANWIRE_OK, publish(engine, "a", "123"));
    EXPECT_STATUS(FANWIRE_MESSAGE_TOO_LARGE, publish(engine, "a", "1234"));
}

struct Log {
    std::mutex mutex;
    std::vector<std::string> lines;

    static void write(void* user_data, int level, const char* text) {
        auto* log = static_cast<Log*>(user_data);
        EXPECT_TRUE(level >= FANWIRE_LOG_ERROR && level <= FANWIRE_LOG_DEBUG);
        EXPECT_EQ(nullptr, std::strchr(text, '\n'));
        const std::lock_guard lock(log->mutex);
        log->lines.emplace_back(text);
    }
    std::size_t size() {
        const std::lock_guard lock(mutex);
        return lines.size();
    }
};

TEST(Options, LogGoesToItsFunction) {
    Log log, silent;
    {
        Options options{{"url", memory_url}, {"log_level", "debug"}};
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_log(options, &Log::write, &log));
        Engine engine;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        EXPECT_TRUE(until([&] { return log.size() > 0; }));
    }
    {
        Options options{{"url", memory_url}, {"log_level", "debug"}};
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_log(options, &Log::write, &silent));
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_log(options, nullptr, nullptr));
        Engine engine;
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
        ASSERT_STATUS(FANWIRE_OK, fanwire_engine_close(engine, deadline_ms));
        EXPECT_EQ(0u, silent.size());
    }
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set_log(nullptr, &Log::write, &log));
}

TEST(Options, WhatTheEnvironmentSaysInVainIsALineOfTheLog) {
    Log log;
    setenv("FANWIRE_PORT", "tcp://10.0.0.1:80", 1);
    setenv("REDIS_URL", "memory://x?decode_responses=true", 1);
    {
        Options options;
        ASSERT_STATUS(FANWIRE_OK, fanwire_options_set_log(options, &Log::write, &log));
        Engine engine;
        EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    }
    unsetenv("FANWIRE_PORT");
    unsetenv("REDIS_URL");
    ASSERT_EQ(log.size(), 2u) << "at the usual level, and before the engine is gone";
    EXPECT_NE(log.lines[0].find("decode_responses"), std::string::npos) << log.lines[0];
    EXPECT_NE(log.lines[1].find("FANWIRE_PORT"), std::string::npos) << log.lines[1];
}

}  // namespace
}  // namespace capi_test
