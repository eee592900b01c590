#include <map>
#include <set>

#include "header.h"
#include "support.h"

namespace capi_test {
namespace {

TEST(Status, TableAndEnumAreTheSame) {
    const auto header = enum_of_header("fanwire_status");
    ASSERT_GT(header.size(), 20u);
    std::map<int, std::string> table;
    for (std::size_t i = 0; i < fanwire_status_count(); ++i) {
        fanwire_status_info row{};
        ASSERT_STATUS(FANWIRE_OK, fanwire_status_at(i, &row, sizeof row));
        table.emplace(row.code, row.name);
        EXPECT_STREQ(row.name, fanwire_status_name(row.code));
        EXPECT_STREQ(row.text, fanwire_status_text(row.code));
        EXPECT_NE('\0', row.text[0]);
        EXPECT_TRUE(row.retryable == 0 || row.retryable == 1);
    }
    EXPECT_EQ(header, table);
    EXPECT_EQ(fanwire_status_count(), table.size());
}

TEST(Status, RetryableMeansLaterMaySucceed) {
    std::set<int> retryable;
    fanwire_status_info row{};
    for (std::size_t i = 0; fanwire_status_at(i, &row, sizeof row) == FANWIRE_OK; ++i)
        if (row.retryable) retryable.insert(row.code);
    EXPECT_TRUE(retryable.count(FANWIRE_TIMEOUT) && retryable.count(FANWIRE_CONNECT_FAILED));
    EXPECT_FALSE(retryable.count(FANWIRE_OK) || retryable.count(FANWIRE_INVALID_ARGUMENT) ||
                 retryable.count(FANWIRE_AUTH_FAILED) || retryable.count(FANWIRE_CLOSED));
}

TEST(Status, NumbersOutsideTheTable) {
    for (int number : {-1, FANWIRE_NOT_MASTER + 1, 1000000, INT32_MIN}) {
        EXPECT_STREQ("UNKNOWN", fanwire_status_name(number));
        EXPECT_STREQ("unknown status", fanwire_status_text(number));
    }
    fanwire_status_info row{};
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_status_at(fanwire_status_count(), &row, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_status_at(SIZE_MAX, &row, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_status_at(0, nullptr, sizeof row));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_status_at(0, &row, 0));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_status_at(0, &row, sizeof row - 1));
    EXPECT_EQ(nullptr, row.name) << "a failed call writes nothing";
}

TEST(Status, LargerInfoOfANewerCaller) {
    struct Newer {
        fanwire_status_info info;
        std::uint64_t more;
    } newer;
    std::memset(&newer, 0xAA, sizeof newer);
    ASSERT_STATUS(FANWIRE_OK, fanwire_status_at(0, &newer.info, sizeof newer));
    EXPECT_STREQ("OK", newer.info.name);
    EXPECT_EQ(0u, newer.more) << "what the library does not know is 0";
}

TEST(LastError, NamesTheThingAndStaysUntilTheNextFailure) {
    Options options;
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "colour", "red"));
    const std::string detail = fanwire_last_error();
    EXPECT_NE(std::string::npos, detail.find("colour")) << detail;
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "port", "6380"));
    EXPECT_EQ(detail, fanwire_last_error()) << "a good call does not touch it";
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_options_set(nullptr, "port", "6380"));
    EXPECT_NE(detail, fanwire_last_error());
}

TEST(LastError, BelongsToItsThread) {
    Options options;
    EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(options, "mine", "1"));
    const std::string mine = fanwire_last_error();
    std::thread([] {
        EXPECT_STREQ("", fanwire_last_error()) << "no call of this thread has failed yet";
        Options others;
        EXPECT_STATUS(FANWIRE_UNKNOWN_OPTION, fanwire_options_set(others, "theirs", "1"));
        EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), "theirs"));
    }).join();
    EXPECT_EQ(mine, fanwire_last_error());
}

TEST(Version, LibraryIsThatOfTheHeader) {
    const std::string header = std::to_string(FANWIRE_VERSION_MAJOR) + "." + std::to_string(FANWIRE_VERSION_MINOR) +
                               "." + std::to_string(FANWIRE_VERSION_PATCH);
    EXPECT_EQ(header, fanwire_version());
    EXPECT_STATUS(FANWIRE_OK, FANWIRE_CHECK_VERSION());
}

TEST(Version, OthersAreRefused) {
    const int major = FANWIRE_VERSION_MAJOR, minor = FANWIRE_VERSION_MINOR, patch = FANWIRE_VERSION_PATCH;
    EXPECT_STATUS(FANWIRE_VERSION_MISMATCH, fanwire_check_version(major + 1, 0, 0));
    EXPECT_STATUS(FANWIRE_VERSION_MISMATCH, fanwire_check_version(major, minor + 1, 0));
    EXPECT_STATUS(FANWIRE_VERSION_MISMATCH, fanwire_check_version(major, minor, patch + 1));
    EXPECT_NE(nullptr, std::strstr(fanwire_last_error(), fanwire_version())) << fanwire_last_error();
    EXPECT_STATUS(FANWIRE_VERSION_MISMATCH, fanwire_check_version(-1, minor, patch));
    if (major == 0 && minor > 0) {
        EXPECT_STATUS(FANWIRE_VERSION_MISMATCH, fanwire_check_version(major, minor - 1, 0));
    }
}

TEST(Version, Dependencies) {
    std::set<std::string> names;
    const char *name = nullptr, *version = nullptr;
    std::size_t count = 0;
    while (fanwire_dependency_at(count, &name, &version) == FANWIRE_OK) {
        names.insert(name);
        EXPECT_TRUE(std::regex_search(version, std::regex("^[0-9]+\\.[0-9]+"))) << name << " " << version;
        ++count;
    }
    EXPECT_EQ(count, names.size());
    EXPECT_TRUE(names.count("hiredis") && names.count("libevent") && names.count("openssl"));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_dependency_at(count, &name, &version));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_dependency_at(0, nullptr, &version));
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_dependency_at(0, &name, nullptr));
}

TEST(Authorities, AreWhereTheEnvironmentSays) {
    ASSERT_EQ(setenv("SSL_CERT_FILE", "/my/authorities.pem", 1), 0);
    size_t size = 0;
    EXPECT_STATUS(FANWIRE_OK, fanwire_authorities(nullptr, &size));
    EXPECT_EQ(size, sizeof "/my/authorities.pem");
    char text[64];
    size = 5;
    EXPECT_STATUS(FANWIRE_LIMIT_REACHED, fanwire_authorities(text, &size));
    EXPECT_EQ(size, sizeof "/my/authorities.pem");
    EXPECT_STATUS(FANWIRE_OK, fanwire_authorities(text, &size));
    EXPECT_STREQ(text, "/my/authorities.pem");
    EXPECT_STATUS(FANWIRE_INVALID_ARGUMENT, fanwire_authorities(text, nullptr));
    ASSERT_EQ(unsetenv("SSL_CERT_FILE"), 0);
}

}  // namespace
}  // namespace capi_test
