// MOVED and ASK, as servers write them and as they should not.
#include "core/topology/redirect.h"

#include <gtest/gtest.h>

#include <string>

namespace fanwire::core {
namespace {

const ServerAddress asked{"asked.example", 7000};

std::string show(std::string_view error) {
    const std::optional<Redirect> redirect = redirect_of(error, asked);
    if (!redirect) return "none";
    return std::string(redirect->kind == Redirect::Kind::moved ? "moved " : "ask ") + std::to_string(redirect->slot) +
           " " + redirect->address.text();
}

TEST(Redirect, SaysSlotAndAddress) {
    EXPECT_EQ(show("MOVED 3999 127.0.0.1:6381"), "moved 3999 127.0.0.1:6381");
    EXPECT_EQ(show("ASK 0 10.0.0.1:1"), "ask 0 10.0.0.1:1");
    EXPECT_EQ(show("MOVED 16383 node-1.example:65535"), "moved 16383 node-1.example:65535");
}

TEST(Redirect, OfAnIpv6AddressHasTheLastColonBeforeThePort) {
    EXPECT_EQ(show("MOVED 1 ::1:6381"), "moved 1 [::1]:6381");
    EXPECT_EQ(show("MOVED 1 fe80::1%eth0:6381"), "moved 1 [fe80::1%eth0]:6381");
    EXPECT_EQ(show("MOVED 1 [2001:db8::7]:6381"), "moved 1 [2001:db8::7]:6381");
}

TEST(Redirect, WithoutAHostIsToTheAddressAsked) {
    EXPECT_EQ(show("MOVED 9842 :55061"), "moved 9842 asked.example:55061");
    EXPECT_EQ(show("MOVED 9842 10.0.0.1:0"), "moved 9842 10.0.0.1:7000");
}

TEST(Redirect, ToAnUnknownHostSaysTheSlotOnly) {
    EXPECT_EQ(show("MOVED 7 ?:6379"), "moved 7 an unknown address");
    EXPECT_EQ(show("MOVED 7 " + std::string(254, 'x') + ":6379"), "moved 7 an unknown address");
    EXPECT_EQ(show("MOVED 7 a\tb:6379"), "moved 7 an unknown address");
}

TEST(Redirect, MayGetMoreWordsOneDay) {
    EXPECT_EQ(show("MOVED 7 h:1 more"), "moved 7 h:1");
}

TEST(Redirect, IsNothingElse) {
    for (const char* error : {"",
                              "MOVED",
                              "MOVED ",
                              "MOVED 1",
                              "MOVED 1 ",
                              "MOVED 1 host",
                              "MOVED x h:1",
                              "MOVED -1 h:1",
                              "MOVED +1 h:1",
                              "MOVED 16384 h:1",
                              "MOVED 99999999999 h:1",
                              "MOVED 1 h:",
                              "MOVED 1 h:x",
                              "MOVED 1 h:65536",
                              "MOVED 1 h:-1",
                              "MOVED __proto__ h:1",
                              "MOVED  1 h:1",
                              "moved 1 h:1",
                              "MOVEDX 1 h:1",
                              "ASKING 1 h:1",
                              "TRYAGAIN",
                              "CLUSTERDOWN",
                              "ERR MOVED 1 h:1",
                              " MOVED 1 h:1"})
        EXPECT_EQ(show(error), "none") << error;
}

}  // namespace
}  // namespace fanwire::core
