// Publishes that Redis did not answer by a number, in a queue that keeps their bytes: out of this one and into another.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/unit/command_queue_fixture.h"

namespace fanwire::core {
namespace {

struct RejectionTest : testing::Test {
    using Retention = CommandQueue::Retention;

    CommandQueue make(Retention retention) {
        return {[this](const SettledRun& run) {
                    told_sinks.insert(told_sinks.end(), run.publishes.size(), run.sink ? run.sink->get() : nullptr);
                    for (const Settled& publish : run.publishes)
                        outcomes.push_back(std::to_string(reinterpret_cast<std::uintptr_t>(publish.user_data)) + " " +
                                           find_status(static_cast<int>(run.error.status))->name);
                },
                [](std::size_t, std::size_t) {}, [](CommandRecord::Purpose, const Reply&) {},
                [this](const Reply& reply) {
                    return reply.text().starts_with("MOVED") || !reply.is(ReplyType::error) ? rejection
                                                                                            : Rejection::outcome;
                },
                retention};
    }
    void add(CommandQueue& to, const std::string& payload, TimeMs deadline = never, std::uint32_t timeout = 0) {
        PublishBatch one;
        one.deadline = deadline;
        one.add(publish_command, "", "c", payload, nullptr, reinterpret_cast<void*>(++accepted), timeout);
        to.append(one);
    }
    static std::string write(CommandQueue& queue, std::size_t max = SIZE_MAX) {
        std::string bytes;
        while (!queue.output().empty() && bytes.size() < max) {
            const std::string_view piece = queue.output().substr(0, max - bytes.size());
            bytes += piece;
            queue.wrote(piece.size());
        }
        return bytes;
    }
    bool reply(CommandQueue& queue, const std::string& bytes) {
        reader.feed(bytes);
        EXPECT_EQ(reader.next(), ReplyReader::Result::reply);
        return queue.reply(reader.reply());
    }
    static void scan(CommandQueue& queue, const std::string& bytes) { EXPECT_EQ(queue.scan(bytes), bytes.size()); }
    static void move(CommandQueue& from, CommandQueue& to) {
        for (PublishBatch& batch : from.take_rejected()) to.append(batch);
    }

    std::vector<std::string> take() { return std::exchange(outcomes, {}); }

    std::uintptr_t accepted = 0;
    std::vector<std::string> outcomes;
    ReplyReader reader;
    Rejection rejection = Rejection::take_out;
    std::vector<const OutcomeSink*> told_sinks;  // of each outcome
};

TEST_F(RejectionTest, APublishThatHasMovedGoesElsewhereWithItsBytes) {
    CommandQueue from = make(Retention::until_answered), to = make(Retention::none);
    for (const char* payload : {"1", "2", "3", "4"}) add(from, payload);
    write(from);
    add(from, "5");
    scan(from, ":1\r\n");
    EXPECT_TRUE(reply(from, "-MOVED 1 h:2\r\n"));
    scan(from, ":1\r\n");
    EXPECT_TRUE(reply(from, "-MOVED 1 h:2\r\n"));
    EXPECT_EQ(take(), (Strings{"1 OK", "3 OK"}));
    EXPECT_EQ(from.unsettled(), 3u) << "those two have no outcome yet";
    add(to, "own");
    move(from, to);
    EXPECT_EQ(from.unsettled(), 1u);
    EXPECT_EQ(write(to), command("c", "own") + command("c", "2") + command("c", "4"));
    scan(to, ":1\r\n:1\r\n:1\r\n");
    EXPECT_EQ(take(), (Strings{"6 OK", "2 OK", "4 OK"}));
    EXPECT_EQ(write(from), command("c", "5"));
    EXPECT_TRUE(from.take_rejected().empty());
}

// The script is loaded meanwhile, and they are sent again where they were.
TEST_F(RejectionTest, OrBackToTheSameQueue) {
    CommandQueue queue = make(Retention::until_answered);
    for (int round = 0; round < 3; ++round) {
        add(queue, "1");
        write(queue);
        EXPECT_TRUE(reply(queue, "-MOVED\r\n"));
        move(queue, queue);
        EXPECT_EQ(write(queue), command("c", "1"));
        scan(queue, ":1\r\n");
        EXPECT_EQ(take().size(), 1u);
    }
    EXPECT_TRUE(queue.idle());
}

struct NoSink : OutcomeSink {
    bool settle(std::span<const Settled>, const Error&) noexcept override { return false; }
    void signal() noexcept override {}
};

TEST_F(RejectionTest, EachKeepsItsDeadlineAndItsSink) {
    CommandQueue from = make(Retention::until_answered), to = make(Retention::none);
    add(from, "1", 100);
    add(from, "2", 100, 30);
    const std::shared_ptr<OutcomeSink> sinks[] = {std::make_shared<NoSink>(), std::make_shared<NoSink>()};
    PublishBatch batch;
    batch.deadline = 200;
    for (const auto& sink : sinks) batch.add(publish_command, "", "c", "p", sink, reinterpret_cast<void*>(++accepted));
    from.append(batch);
    write(from);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(reply(from, "-MOVED\r\n"));
    move(from, to);
    to.tick(30);
    EXPECT_EQ(take(), Strings{"2 TIMEOUT"});
    to.tick(100);
    EXPECT_EQ(take(), Strings{"1 TIMEOUT"});
    EXPECT_TRUE(told_sinks == (std::vector<const OutcomeSink*>{nullptr, nullptr}));
    to.tick(200);
    EXPECT_EQ(take(), (Strings{"3 TIMEOUT", "4 TIMEOUT"}));
    EXPECT_TRUE(told_sinks == (std::vector<const OutcomeSink*>{nullptr, nullptr, sinks[0].get(), sinks[1].get()}));
}

TEST_F(RejectionTest, WithoutTheBytesTheAnswerIsTheOutcome) {
    CommandQueue queue = make(Retention::none);
    add(queue, "1");
    add(queue, "2");
    write(queue);
    EXPECT_TRUE(reply(queue, "-MOVED 1 h:2\r\n"));
    EXPECT_TRUE(reply(queue, "+what?\r\n"));
    EXPECT_EQ(take(), (Strings{"1 REDIS_ERROR", "2 PROTOCOL_ERROR"}));
    EXPECT_TRUE(queue.take_rejected().empty());
    rejection = Rejection::fault;
    add(queue, "3");
    write(queue);
    EXPECT_FALSE(reply(queue, "+what?\r\n")) << "the owner does not trust the stream";
    EXPECT_TRUE(take().empty());
}

// One that has its outcome is not sent anywhere.
TEST_F(RejectionTest, WhatHasExpiredIsNotTakenOut) {
    CommandQueue queue = make(Retention::until_answered);
    add(queue, "1", 10);
    write(queue);
    queue.tick(10);
    EXPECT_EQ(take(), Strings{"1 OUTCOME_UNKNOWN"});
    EXPECT_TRUE(reply(queue, "-MOVED 1 h:2\r\n"));
    EXPECT_TRUE(queue.take_rejected().empty());
    EXPECT_TRUE(queue.idle());
}

TEST_F(RejectionTest, WhatNobodyHasTakenFailsWithTheUnsent) {
    CommandQueue queue = make(Retention::until_answered);
    add(queue, "1");
    write(queue);
    EXPECT_TRUE(reply(queue, "-MOVED 1 h:2\r\n"));
    queue.link_down({Status::CONNECTION_LOST, "reset"});
    EXPECT_TRUE(take().empty()) << "it was not executed";
    queue.fail_unsent({Status::CLOSED, "closed"});
    EXPECT_EQ(take(), Strings{"1 CLOSED"});
    EXPECT_EQ(queue.unsettled(), 0u);
}

// Whatever happens: each publish has one outcome, and what is written are whole commands, each as it was accepted.
TEST_F(RejectionTest, NothingIsLostOrSpoilt) {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const auto pick = [&](std::uint32_t n) { return random() % n; };
        CommandQueue from = make(Retention::until_answered), to = make(Retention::until_answered);
        CommandQueue* const queues[] = {&from, &to};
        outcomes.clear();
        accepted = 0;
        std::string wire[2];  // of the present connection
        std::vector<std::string> payloads{""};
        const auto check_wire = [&](std::size_t q) {
            ReplyReader commands;
            for (std::string_view rest = wire[q]; !rest.empty();) {
                const std::string_view piece = rest.substr(0, ReplyReader::feed_max);
                rest.remove_prefix(piece.size());
                commands.feed(piece);
                ReplyReader::Result result;
                while ((result = commands.next()) == ReplyReader::Result::reply) {
                    ASSERT_EQ(commands.reply().size(), 3u);
                    const std::string payload(commands.reply()[2].text());
                    ASSERT_EQ(payload, payloads[std::stoul(payload)]);
                }
                ASSERT_EQ(result, ReplyReader::Result::more) << commands.error();
            }
            wire[q].clear();
        };
        const auto break_off = [&](std::size_t q) {
            queues[q]->link_down({Status::CONNECTION_LOST, "reset"});
            check_wire(q);
        };
        for (int step = 0; step < 200; ++step) {
            const std::size_t q = pick(2);
            switch (pick(6)) {
                case 0:
                    payloads.push_back(std::to_string(payloads.size()) + " " +
                                       std::string(pick(8) ? pick(300) : 40000 + pick(40000), 'x'));
                    add(*queues[q], payloads.back(), step + 20 + static_cast<TimeMs>(pick(50)));
                    break;
                case 1:
                    wire[q] += write(*queues[q], 1 + pick(pick(4) ? 400 : 100000));
                    break;
                case 2:
                case 3:
                    if (!queues[q]->awaits_reply()) break;
                    EXPECT_TRUE(reply(*queues[q], pick(3) ? ":1\r\n" : "-MOVED 1 h:2\r\n"));
                    break;
                case 4:
                    move(*queues[q], *queues[pick(4) ? 1 - q : q]);
                    break;
                case 5:
                    if (pick(8) == 0)
                        break_off(q);
                    else if (pick(4) == 0)
                        queues[q]->tick(step);
            }
        }
        for (std::size_t q = 0; q < 2; ++q) {
            break_off(q);
            queues[q]->fail_unsent({Status::CLOSED, "closed"});
            EXPECT_TRUE(queues[q]->idle());
            EXPECT_TRUE(queues[q]->output().empty());
            EXPECT_EQ(queues[q]->unsettled(), 0u);
        }
        std::vector<int> ends(accepted + 1);
        for (const std::string& outcome : outcomes) ++ends[std::stoul(outcome)];
        for (std::size_t i = 1; i <= accepted; ++i) EXPECT_EQ(ends[i], 1) << "publish " << i;
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace fanwire::core
