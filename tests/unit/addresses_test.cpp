// In which order the addresses of a host are tried, from what became of them before.
#include "core/net/addresses.h"

#include <gtest/gtest.h>
#include <netdb.h>

#include <algorithm>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

using Strings = std::vector<std::string>;

Address address_of(const std::string& name) {
    return look_up("10.0.0." + name, 6379, AI_NUMERICHOST).addresses.at(0);
}

struct AddressesTest : testing::Test {
    void begin(const Strings& names) {
        std::vector<Address> all;
        for (const std::string& name : names) all.push_back(address_of(name));
        addresses.begin(std::move(all));
    }
    std::string current() const {
        const std::string text = addresses.current().text();
        return text.substr(7, text.find(':') - 7);
    }
    // A round in which those fail that are named, until another one is good.
    Strings round(const Strings& names, const Strings& fail) {
        begin(names);
        Strings tried;
        while (addresses.next()) {
            tried.push_back(current());
            if (std::find(fail.begin(), fail.end(), current()) == fail.end()) {
                addresses.good();
                break;
            }
            addresses.failed();
        }
        addresses.end();
        return tried;
    }

    Addresses addresses;
    const Strings three{"1", "2", "3"};
};

TEST_F(AddressesTest, TheFirstOneIsTriedFirst) {
    EXPECT_EQ(round(three, {}), Strings{"1"});
    EXPECT_EQ(round(three, {}), Strings{"1"});
}

TEST_F(AddressesTest, WhatFailedIsTriedAfterTheOthers) {
    EXPECT_EQ(round(three, {"1"}), (Strings{"1", "2"}));
    EXPECT_EQ(round(three, {"2"}), (Strings{"2", "3"}));
    EXPECT_EQ(round(three, {"3", "1"}), (Strings{"3", "1", "2"})) << "of the sick ones the one that failed first";
    EXPECT_EQ(round(three, {"2"}), (Strings{"2", "3"}));
}

TEST_F(AddressesTest, WhenAllAreSickTheyGoRound) {
    EXPECT_EQ(round(three, three), three);
    for (const char* first : {"1", "2", "3", "1"}) {
        begin(three);
        ASSERT_TRUE(addresses.next());
        EXPECT_EQ(current(), first);
        EXPECT_FALSE(addresses.healthy_behind());
        addresses.failed();
        addresses.end();
    }
}

TEST_F(AddressesTest, WhatIsGoodAgainHasItsOldPlace) {
    round(three, {"1", "2"});
    EXPECT_EQ(round(three, {"3"}), (Strings{"3", "1"}));
    EXPECT_EQ(round({"1", "2", "3", "4"}, {"1"}), (Strings{"1", "4"})) << "before one that is new";
}

TEST_F(AddressesTest, WhatTheHostNoLongerHasIsForgotten) {
    round(three, {"1"});
    EXPECT_EQ(round({"2", "3"}, {}), Strings{"2"});
    EXPECT_EQ(round(three, {}), Strings{"1"}) << "it is a new one";
}

TEST_F(AddressesTest, KnowsWhatStandsBehind) {
    EXPECT_FALSE(addresses.any_had_its_turn());
    addresses.failed();  // nobody's
    addresses.good();
    round(three, {"2"});  // which is not reached
    begin(three);
    EXPECT_EQ(addresses.behind(), 3u);
    EXPECT_TRUE(addresses.healthy_behind());
    ASSERT_TRUE(addresses.next());
    EXPECT_TRUE(addresses.any_had_its_turn());
    addresses.failed();
    ASSERT_TRUE(addresses.next());
    EXPECT_EQ(addresses.behind(), 1u);
    EXPECT_TRUE(addresses.healthy_behind());
    ASSERT_TRUE(addresses.next());
    EXPECT_EQ(addresses.behind(), 0u);
    EXPECT_FALSE(addresses.healthy_behind());
    EXPECT_FALSE(addresses.next());
    EXPECT_EQ(current(), "3") << "the last one keeps its turn";
    addresses.end();
    EXPECT_EQ(addresses.behind(), 0u);
    EXPECT_FALSE(addresses.any_had_its_turn());
}

TEST_F(AddressesTest, AnOnlyOneIsNeverSick) {
    EXPECT_EQ(round({"1"}, {"1"}), Strings{"1"});
    EXPECT_EQ(round({"1", "2"}, {}), Strings{"1"});
}

}  // namespace
}  // namespace fanwire::core
