// Questions for PUBSUB NUMSUB as links come and go and time passes.
#include "core/backend/numsubs.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace fanwire::core {
namespace {

using Strings = std::vector<std::string>;

struct NumsubsTest : testing::Test {
    Strings sent, ended;
    bool refuse = false;  // no memory for a command
    Numsubs numsubs{[this](std::string_view command) {
        if (refuse) throw std::bad_alloc();
        sent.emplace_back(command);
    }};

    std::unique_ptr<Numsub> question(const std::string& name, TimeMs deadline = never) {
        auto one = std::make_unique<Numsub>(Strings{"ws:" + name});
        one->deadline = deadline;
        one->done = [this, name, counts = one->counts](const Error& why) {
            ended.push_back(name + " " +
                            (why ? std::string(status_name(why.status)) + " " + why.text : std::to_string(counts[0])));
        };
        return one;
    }
    void ask(const std::string& name, TimeMs deadline = never) {
        auto one = question(name, deadline);
        numsubs.add(one);
        EXPECT_FALSE(one);
    }
    void answer(const std::string& bytes) {
        ReplyReader reader;
        reader.feed(bytes);
        ASSERT_EQ(ReplyReader::Result::reply, reader.next());
        numsubs.answered(reader.reply());
    }
    static std::string command(const std::string& name) {
        const std::string wire = "ws:" + name;
        return "*3\r\n$6\r\nPUBSUB\r\n$6\r\nNUMSUB\r\n$" + std::to_string(wire.size()) + "\r\n" + wire + "\r\n";
    }
    static std::string count(const std::string& name, int number) {
        const std::string wire = "ws:" + name;
        return "*2\r\n$" + std::to_string(wire.size()) + "\r\n" + wire + "\r\n:" + std::to_string(number) + "\r\n";
    }
};

TEST_F(NumsubsTest, AreAskedAndAnsweredInOrder) {
    ask("early");
    EXPECT_TRUE(sent.empty());
    numsubs.link_ready();
    ask("b");
    EXPECT_EQ(sent, (Strings{command("early"), command("b")}));
    answer(count("early", 3));
    answer(count("b", 0));
    EXPECT_EQ(ended, (Strings{"early 3", "b 0"}));
    EXPECT_EQ(0u, numsubs.size());
}

TEST_F(NumsubsTest, AreAskedAgainOnTheNextLink) {
    numsubs.link_ready();
    ask("a");
    ask("b");
    answer(count("a", 1));
    numsubs.link_down(Error(Status::CONNECTION_LOST, "reset"));
    ask("c");
    sent.clear();
    numsubs.link_ready();
    EXPECT_EQ(sent, (Strings{command("b"), command("c")}));
    answer(count("b", 2));
    answer(count("c", 3));
    EXPECT_EQ(ended, (Strings{"a 1", "b 2", "c 3"}));
}

TEST_F(NumsubsTest, EndAtTheirDeadlineAndKeepTheOrderOfAnswers) {
    numsubs.link_ready();
    ask("slow", 100);
    ask("patient", 300);
    EXPECT_EQ(100, numsubs.deadline());
    numsubs.tick(99);
    EXPECT_TRUE(ended.empty());
    numsubs.tick(100);
    EXPECT_EQ(ended, Strings{"slow TIMEOUT PUBSUB NUMSUB was not answered in time"});
    EXPECT_EQ(300, numsubs.deadline());
    answer(count("slow", 9));
    answer(count("patient", 4));
    EXPECT_EQ(ended.back(), "patient 4");
    EXPECT_EQ(ended.size(), 2u);
    EXPECT_EQ(never, numsubs.deadline());
}

TEST_F(NumsubsTest, ALateOneIsForgottenWithItsLink) {
    numsubs.link_ready();
    ask("late", 100);
    ask("other");
    numsubs.tick(100);
    numsubs.link_down({});
    sent.clear();
    numsubs.link_ready();
    EXPECT_EQ(sent, Strings{command("other")});
    answer(count("other", 5));
    EXPECT_EQ(ended.back(), "other 5");
}

TEST_F(NumsubsTest, SayWhyTheyCouldNotBeAsked) {
    numsubs.link_down(Error(Status::CONNECT_FAILED, "h:1: refused"));
    ask("a", 100);
    numsubs.tick(100);
    ASSERT_EQ(1u, ended.size());
    EXPECT_NE(std::string::npos, ended[0].find("h:1: refused")) << ended[0];
    EXPECT_EQ(0u, numsubs.size());
}

TEST_F(NumsubsTest, AnErrorAndANonsenseAnswerAreThatQuestionsOwn) {
    numsubs.link_ready();
    for (const char* name : {"a", "b", "c", "d"}) ask(name);
    answer("-NOPERM no\r\n");
    answer("*0\r\n");
    answer(count("x", 1));
    answer(count("d", 1));
    EXPECT_EQ(ended, (Strings{"a NO_PERMISSION PUBSUB NUMSUB: NOPERM no",
                              "b PROTOCOL_ERROR PUBSUB NUMSUB was answered by something else",
                              "c PROTOCOL_ERROR PUBSUB NUMSUB was answered by something else", "d 1"}));
}

TEST_F(NumsubsTest, FailWhenNoLinkWillCome) {
    ask("a");
    numsubs.give_up(Error(Status::NOT_CONNECTED, "gave up"));
    ask("b");
    EXPECT_EQ(ended, (Strings{"a NOT_CONNECTED gave up", "b NOT_CONNECTED gave up"}));
    numsubs.link_ready();  // after all
    ask("c");
    answer(count("c", 1));
    EXPECT_EQ(ended.back(), "c 1");
}

// The link gives up because the other one does, while it is ready.
TEST_F(NumsubsTest, AfterGivingUpTheyWaitForTheNextLink) {
    numsubs.link_ready();
    numsubs.give_up(Error(Status::NOT_CONNECTED, "gave up"));
    numsubs.revive();
    ask("a");
    EXPECT_EQ(sent, Strings{}) << "there is no link yet";
    numsubs.link_ready();
    EXPECT_EQ(sent, Strings{command("a")});
    answer(count("a", 2));
    EXPECT_EQ(ended, Strings{"a 2"});
}

TEST_F(NumsubsTest, WithoutMemoryNothingChanges) {
    numsubs.link_ready();
    refuse = true;
    auto one = question("a");
    EXPECT_THROW(numsubs.add(one), std::bad_alloc);
    EXPECT_TRUE(one);
    EXPECT_EQ(0u, numsubs.size());
    refuse = false;
    numsubs.add(one);
    answer(count("a", 1));
    EXPECT_EQ(ended, Strings{"a 1"});
}

TEST(Numsub, ItsNumbersAreAligned) {
    for (int i = 0; i < 20; ++i) {
        const Numsub question(Strings(static_cast<std::size_t>(i), "c"));
        EXPECT_EQ(0u, reinterpret_cast<std::uintptr_t>(question.answer->payload().data()) % alignof(std::uint64_t));
        EXPECT_EQ(static_cast<std::size_t>(i) * 8, question.answer->payload().size());
    }
}

}  // namespace
}  // namespace fanwire::core
