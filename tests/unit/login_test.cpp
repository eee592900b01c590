// One login for several connections: what each has said of it, and what that proves.
#include "core/protocol/login.h"

#include <gtest/gtest.h>

#include <string>

namespace fanwire::core {
namespace {

struct LoginTest : testing::Test {
    Error answer(Login::Session& session, const std::string& bytes) {
        reader.feed(bytes);
        EXPECT_EQ(reader.next(), ReplyReader::Result::reply);
        return session.answered(reader.reply());
    }
    // As a handshake does it that the server accepts.
    void greet(Login::Session& session) {
        std::string out;
        session.reset();
        if (session.say(out)) {
            EXPECT_FALSE(answer(session, "+OK\r\n"));
        }
        session.greeted();
    }
    std::string say(Login::Session& session) {
        std::string out;
        session.say(out);
        return out;
    }

    ReplyReader reader;
    Login login{{"me", "first"}};
    Login::Session one{login}, other{login};
};

TEST_F(LoginTest, IsProvenByAnyConnectionThatWasAcceptedWithTheNewest) {
    EXPECT_FALSE(login.proven());
    greet(one);
    EXPECT_TRUE(login.proven());
    login.set("me", "second");
    EXPECT_FALSE(login.proven());
    EXPECT_TRUE(one.outdated());
    EXPECT_FALSE(other.outdated()) << "it has said nothing that could be";
    greet(other);
    EXPECT_TRUE(login.proven());
    EXPECT_TRUE(one.outdated()) << "of this connection it is still true";
    EXPECT_FALSE(one.of_another_user());
}

// Two AUTHs in one pipeline: the answer to the first says nothing about the second.
TEST_F(LoginTest, IsNotProvenByTheAnswerToAnOlderAuth) {
    greet(one);
    login.set("you", "second");
    EXPECT_EQ(say(one), "*3\r\n$4\r\nAUTH\r\n$3\r\nyou\r\n$6\r\nsecond\r\n");
    login.set("you", "third");
    say(one);
    EXPECT_FALSE(answer(one, "+OK\r\n"));
    EXPECT_FALSE(login.proven());
    EXPECT_TRUE(one.pending());
    EXPECT_FALSE(answer(one, "+OK\r\n"));
    EXPECT_TRUE(login.proven());
    EXPECT_FALSE(one.pending());
}

TEST_F(LoginTest, TheSameAreNothingNewUnlessTheyWereRefused) {
    greet(one);
    login.set("me", "first");
    EXPECT_FALSE(one.outdated());
    EXPECT_TRUE(login.proven());
    login.set("me", "wrong");
    say(one);
    EXPECT_EQ(answer(one, "-WRONGPASS no\r\n").status, Status::AUTH_FAILED);
    EXPECT_FALSE(login.proven());
    EXPECT_FALSE(one.outdated()) << "not to be said again by itself";
    login.set("me", "wrong");
    EXPECT_TRUE(one.outdated());
}

// A refusal that comes late is not one of the newest.
TEST_F(LoginTest, ARefusalOfOlderOnesIsNotHeldAgainstTheNewest) {
    greet(one);
    login.set("me", "wrong");
    say(one);
    login.set("me", "right");
    say(one);
    EXPECT_TRUE(answer(one, "-WRONGPASS no\r\n"));
    login.set("me", "right");
    EXPECT_FALSE(one.outdated());
    EXPECT_FALSE(answer(one, "+OK\r\n"));
    EXPECT_TRUE(login.proven());
}

TEST_F(LoginTest, KnowsConnectionsOfAnotherUser) {
    greet(one);
    login.set("you", "second");
    EXPECT_TRUE(one.of_another_user());
    greet(other);
    EXPECT_FALSE(other.of_another_user());
    login.set("you", "third");
    EXPECT_FALSE(other.of_another_user()) << "only the password is another";
    EXPECT_TRUE(one.of_another_user());
    one.reset();
    EXPECT_FALSE(one.of_another_user());
}

TEST_F(LoginTest, WhatIsTakenBackWasNotSaid) {
    greet(one);
    login.set("me", "second");
    say(one);
    one.take_back();
    EXPECT_FALSE(one.pending());
    EXPECT_TRUE(one.outdated());
}

TEST_F(LoginTest, WithoutCredentialsThereIsNothingToSay) {
    login.set("", "");
    EXPECT_EQ(say(one), "");
    EXPECT_FALSE(one.pending());
    EXPECT_FALSE(login.proven());
    one.greeted();
    EXPECT_TRUE(login.proven());
}

}  // namespace
}  // namespace fanwire::core
