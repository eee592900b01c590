// Publishes between acceptance and outcome: offsets and breaks at every byte.
#include <deque>
#include <random>

#include "tests/unit/command_queue_fixture.h"

namespace fanwire::core {
namespace {

TEST_F(CommandQueueTest, EncodesAndSettlesInOrder) {
    const std::string binary("\0\r\n", 3);
    publish("ws:a", "one");
    publish("ws:b", "");
    publish("ws:c", binary);
    EXPECT_EQ(queue.unsettled(), 3u);
    EXPECT_EQ(write(), command("ws:a", "one") + command("ws:b", "") + command("ws:c", binary));
    EXPECT_EQ(unsent, 0u);
    EXPECT_EQ(unsent_bytes, 0u);
    EXPECT_TRUE(reply(":2\r\n"));
    EXPECT_TRUE(reply("-NOPERM no\r\n"));
    EXPECT_TRUE(reply(":0\r\n"));
    EXPECT_EQ(take(), (Strings{"1 OK 2", "2 NO_PERMISSION", "3 OK 0"}));
    EXPECT_TRUE(queue.idle());
    EXPECT_EQ(queue.unsettled(), 0u);
    EXPECT_FALSE(reply(":1\r\n"));  // nobody asked
}

// Written means: the last byte has gone. What was written may have been executed; what was not is sent anew, whole.
TEST_F(CommandQueueTest, ABreakAtEveryByte) {
    const std::string first = command("ws:a", "one"), second = command("ws:b", "two");
    for (std::size_t cut = 0; cut <= first.size() + second.size(); ++cut) {
        SCOPED_TRACE(cut);
        accepted = 0;
        publish("ws:a", "one");
        publish("ws:b", "two");
        write(cut);
        queue.link_down({Status::CONNECTION_LOST, "reset"});
        Strings unknown;
        std::string again;
        if (cut >= first.size())
            unknown.push_back("1 OUTCOME_UNKNOWN");
        else
            again += first;
        if (cut >= first.size() + second.size())
            unknown.push_back("2 OUTCOME_UNKNOWN");
        else
            again += second;
        EXPECT_EQ(take(), unknown);
        EXPECT_EQ(write(), again);
        while (!queue.idle()) ASSERT_TRUE(reply(":1\r\n"));
        EXPECT_EQ(take().size() + unknown.size(), 2u);
        EXPECT_EQ(unsent, 0u);
        EXPECT_EQ(unsent_bytes, 0u);
    }
}

// What breaks two connections would break them all, and what is behind it would never be sent.
TEST_F(CommandQueueTest, WhatIsWrittenInPartIsSentAnewOnce) {
    publish("ws:a", "one");
    publish("ws:b", "two");
    write(10);
    queue.link_down({Status::CONNECTION_LOST, "reset"});
    queue.link_down({Status::CONNECTION_LOST, "a connection on which nothing was written"});
    EXPECT_TRUE(take().empty());
    write(20);
    queue.link_down({Status::CONNECTION_LOST, "reset"});
    EXPECT_EQ(take(), Strings{"1 CONNECTION_LOST"});
    EXPECT_EQ(unsent, 1u);
    EXPECT_EQ(write(), command("ws:b", "two"));
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_EQ(take(), Strings{"2 OK 1"});
}

TEST_F(CommandQueueTest, AnErrorInTheMiddleOfAPublishIsItsOutcome) {
    const Error why{Status::REDIS_ERROR, "PUBLISH: ERR Protocol error: invalid bulk length"};
    EXPECT_FALSE(queue.refuse_part(why)) << "nothing is there";
    publish("ws:a", "one");
    EXPECT_FALSE(queue.refuse_part(why)) << "nothing is written";
    write();
    publish("ws:b", "two");
    publish("ws:c", "three");
    write(10);
    EXPECT_FALSE(queue.refuse_part(why)) << "the first one is to be answered before";
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_TRUE(queue.refuse_part(why));
    EXPECT_EQ(take(), (Strings{"1 OK 1", "2 REDIS_ERROR"}));
    queue.link_down({Status::CONNECTION_LOST, "refused"});
    EXPECT_EQ(write(), command("ws:c", "three"));
    EXPECT_EQ(unsent, 0u);
    EXPECT_EQ(unsent_bytes, 0u);
    queue.append_own(CommandRecord::Purpose::ping, "*1\r\n$4\r\nPING\r\n");
    write(3);
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_FALSE(queue.refuse_part(why)) << "that is no publish";
}

TEST_F(CommandQueueTest, PingsAreNobodysPublish) {
    queue.append_own(CommandRecord::Purpose::ping, "*1\r\n$4\r\nPING\r\n");
    publish("ws:a", "one", 100);
    EXPECT_EQ(queue.unsettled(), 1u);
    EXPECT_EQ(write(), "*1\r\n$4\r\nPING\r\n" + command("ws:a", "one"));
    EXPECT_EQ(queue.deadline(), 100);
    EXPECT_TRUE(reply("+PONG\r\n"));
    EXPECT_TRUE(reply(":3\r\n"));
    EXPECT_EQ(take(), Strings{"1 OK 3"});

    queue.append_own(CommandRecord::Purpose::ping, "*1\r\n$4\r\nPING\r\n");
    publish("ws:a", "two", 100);
    write();
    queue.tick(100);  // the publish expires though the ping before it is unanswered
    EXPECT_EQ(take(), Strings{"2 OUTCOME_UNKNOWN"});
    EXPECT_TRUE(reply("+PONG\r\n"));
    EXPECT_TRUE(reply(":3\r\n"));
    EXPECT_TRUE(queue.idle());
}

TEST_F(CommandQueueTest, APingIsNotSentAnew) {
    queue.append_own(CommandRecord::Purpose::ping, "*1\r\n$4\r\nPING\r\n");
    publish("ws:a", "one");
    write(5);
    queue.link_down({Status::CONNECTION_LOST, "reset"});
    EXPECT_EQ(write(), command("ws:a", "one"));
}

TEST_F(CommandQueueTest, TheLinksOwnCommandsAreAnsweredInTheirPlaceAndNotCounted) {
    publish("ws:a", "one", 100);
    queue.append_own(CommandRecord::Purpose::auth, "AUTH");
    publish("ws:a", "two", 100);
    queue.append_own(CommandRecord::Purpose::probe, "PROBE");
    EXPECT_EQ(queue.unsettled(), 2u);
    EXPECT_EQ(write(), command("ws:a", "one") + "AUTH" + command("ws:a", "two") + "PROBE");
    EXPECT_EQ(unsent, 0u);
    queue.tick(100);  // the publishes expire; the answers in between are still the link's own
    EXPECT_EQ(take(), (Strings{"1 OUTCOME_UNKNOWN", "2 OUTCOME_UNKNOWN"}));
    for (const char* answer : {":1\r\n", "-WRONGPASS no\r\n", ":1\r\n", ":7\r\n"}) EXPECT_TRUE(reply(answer));
    EXPECT_EQ(take(), (Strings{"auth WRONGPASS no", "probe 7"}));
    EXPECT_TRUE(queue.idle());
}

TEST_F(CommandQueueTest, TheLinksOwnCommandsDieWithTheConnection) {
    publish("ws:a", "one");
    queue.append_own(CommandRecord::Purpose::auth, "AUTH");
    publish("ws:a", "two");
    queue.append_own(CommandRecord::Purpose::probe, "PROBE");
    write(10);
    queue.link_down({Status::CONNECTION_LOST, "reset"});
    EXPECT_EQ(write(), command("ws:a", "one") + command("ws:a", "two"));
    EXPECT_EQ(unsent, 0u);
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_TRUE(reply(":2\r\n"));
    EXPECT_EQ(take(), (Strings{"1 OK 1", "2 OK 2"}));
}

TEST_F(CommandQueueTest, FailingTheUnsentLeavesTheSent) {
    publish("ws:a", "one");
    write();
    publish("ws:a", "two");
    queue.fail_unsent({Status::NOT_CONNECTED, "offline"});
    EXPECT_EQ(take(), Strings{"2 NOT_CONNECTED"});
    EXPECT_EQ(unsent, 0u);
    EXPECT_TRUE(queue.output().empty());
    EXPECT_TRUE(reply(":1\r\n"));
    EXPECT_EQ(take(), Strings{"1 OK 1"});
}

TEST_F(CommandQueueTest, RepliesOfTheWrongTypeAreFaults) {
    publish("ws:a", "one");
    write();
    EXPECT_FALSE(reply("+OK\r\n"));
    queue.link_down({Status::PROTOCOL_ERROR, "not that"});
    queue.append_own(CommandRecord::Purpose::ping, "*1\r\n$4\r\nPING\r\n");
    write();
    EXPECT_FALSE(reply("+OK\r\n"));
}

TEST_F(CommandQueueTest, WhatIsAnsweredWronglyIsSettledWithTheLink) {
    publish("c", "1");
    write();
    EXPECT_FALSE(reply("+OK\r\n"));
    EXPECT_EQ(queue.unsettled(), 1u);
    queue.link_down({Status::PROTOCOL_ERROR, "not that"});
    EXPECT_EQ(take(), Strings{"1 OUTCOME_UNKNOWN"});
    EXPECT_EQ(queue.unsettled(), 0u);
}

TEST_F(CommandQueueTest, ManyPublishesInPieces) {
    const std::string payload(100, 'x');
    std::size_t sent = 0;
    for (int i = 0; i < 20000; ++i) {
        publish("ws:a", payload);
        if (i % 3 == 0) sent += write(131).size();
    }
    while (!queue.output().empty()) sent += write(7777).size();
    EXPECT_EQ(sent, 20000 * command("ws:a", payload).size());
    for (int i = 0; i < 20000; ++i) ASSERT_TRUE(reply(":1\r\n"));
    EXPECT_EQ(take().size(), 20000u);
    EXPECT_EQ(unsent_bytes, 0u);
}

// Plain numbers, and nothing else, nor more of them than were asked for.
TEST_F(CommandQueueTest, AScanTakesPlainNumbers) {
    for (const char* payload : {"1", "2", "3"}) publish("c", payload);
    EXPECT_EQ(queue.scan(":1\r\n"), 0u) << "nothing is in flight";
    EXPECT_FALSE(queue.can_scan(":1\r\n"));
    write();
    EXPECT_EQ(queue.scan(":1\r"), 0u);
    EXPECT_FALSE(queue.can_scan(":1\r"));
    EXPECT_TRUE(queue.can_scan(":1\r\n+"));
    for (const char* other :
         {":-1\r\n", ":01\r\n", ":1\n\r\n", ":\r\n", "-ERR\r\n", "+1\r\n", ":1234567890123456789\r\n"})
        EXPECT_EQ(queue.scan(other), 0u) << other;
    EXPECT_EQ(queue.scan(":7\r\n:12345678901234567"), 4u);
    EXPECT_EQ(queue.scan(":123456789012345678\r\n:5\r\n:6\r\n"), 25u);
    EXPECT_EQ(take(), (Strings{"1 OK 7", "2 OK 123456789012345678", "3 OK 5"}));
    EXPECT_TRUE(queue.idle());
}

TEST_F(CommandQueueTest, AScanLeavesToTheReaderWhatIsNoPublish) {
    publish("c", "1");
    queue.append_own(CommandRecord::Purpose::probe, "PROBE");
    publish("c", "2", 100);
    write();
    EXPECT_EQ(queue.scan(":1\r\n:2\r\n:3\r\n"), 4u);
    EXPECT_TRUE(reply(":2\r\n"));
    queue.tick(100);
    EXPECT_EQ(queue.scan(":3\r\n"), 0u);
    EXPECT_TRUE(reply(":3\r\n"));
    EXPECT_EQ(take(), (Strings{"1 OK 1", "probe 2", "2 OUTCOME_UNKNOWN"}));
    EXPECT_TRUE(queue.idle());
}

struct NoSink : OutcomeSink {
    bool settle(std::span<const Settled>, const Error&) noexcept override { return false; }
    void signal() noexcept override {}
};

// Whoever asked is told of what is theirs, in order, and is let go of when the last of a batch has ended.
TEST(CommandQueueSinks, RunsHaveOneSinkEach) {
    const auto a = std::make_shared<NoSink>(), b = std::make_shared<NoSink>();
    std::string seen;
    CommandQueue queue{[&](const SettledRun& run) {
                           EXPECT_EQ(run.accepted_us, 77u);
                           const char* name = !run.sink ? "-" : *run.sink == a ? "a" : *run.sink == b ? "b" : "?";
                           for (const Settled& publish : run.publishes)
                               seen += name + std::to_string(reinterpret_cast<std::uintptr_t>(publish.user_data));
                           seen += ' ';
                       },
                       [](std::size_t, std::size_t) {}, [](CommandRecord::Purpose, const Reply&) {}};
    const auto publish = [&](PublishBatch& batch, const std::shared_ptr<NoSink>& sink, std::uintptr_t number) {
        batch.add(publish_command, "", "c", "p", sink, reinterpret_cast<void*>(number));
    };
    const auto write = [&] {
        while (!queue.output().empty()) queue.wrote(queue.output().size());
    };
    PublishBatch batch;
    for (const bool down : {false, true}) {
        batch.accepted_us = 77;
        publish(batch, a, 1);
        publish(batch, a, 2);
        publish(batch, b, 3);
        publish(batch, nullptr, 4);
        publish(batch, a, 5);
        queue.append(batch);
        batch.accepted_us = 77;
        publish(batch, a, 6);
        queue.append(batch);
        EXPECT_GT(a.use_count(), 1);
        write();
        if (down)
            queue.link_down({Status::CONNECTION_LOST, "reset"});
        else
            EXPECT_EQ(queue.scan(":1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n"), 24u);
        EXPECT_EQ(std::exchange(seen, ""), "a1a2 b3 -4 a5 a6 ");
        EXPECT_EQ(a.use_count(), 1);
        EXPECT_EQ(b.use_count(), 1);
    }
}

// Chunks of every fill, some larger than usual, under everything that can happen to them, against a plain list.
TEST_F(CommandQueueTest, AgreesWithAListOfCommands) {
    struct Command {
        std::string bytes;
        std::uintptr_t number;  // 0: the link's own
        TimeMs deadline;
        bool begun = false;  // written in part on an earlier connection
    };
    for (unsigned seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        const auto pick = [&](std::size_t below) { return random() % below; };
        std::deque<Command> model;  // unsent
        std::size_t part = 0;       // of the front one: written
        Strings expected;
        TimeMs now = 0;
        const auto ended = [&](const Command& one, const char* how) {
            if (one.number) expected.push_back(std::to_string(one.number) + how);
        };
        std::deque<Command> sent;
        for (int step = 0; step < 300; ++step) {
            switch (pick(12)) {
                default: {
                    batch.taken_at = now;
                    batch.deadline = now + 50;
                    for (std::size_t i = 1 + pick(3); i > 0; --i) {
                        const std::size_t size = pick(20) ? pick(3000) : pick(200000);
                        const std::string payload(size, 'x');
                        const auto timeout = static_cast<std::uint32_t>(seed % 2 && pick(3) == 0 ? 1 + pick(120) : 0);
                        unsent_bytes += batch.add(publish_command, "", "c", payload, nullptr,
                                                  reinterpret_cast<void*>(++accepted), timeout);
                        ++unsent;
                        model.push_back({command("c", payload), accepted, timeout ? now + timeout : batch.deadline});
                    }
                    queue.append(batch);
                    break;
                }
                case 0: {
                    const std::string own = "OWN" + std::string(pick(100), 'o');
                    queue.append_own(CommandRecord::Purpose::probe, own);
                    model.push_back({own, 0, never});
                    break;
                }
                case 1:
                case 2:
                case 3:
                case 4: {
                    const std::string bytes = write(pick(2) ? pick(200) : pick(200000));
                    std::string same;
                    part += bytes.size();
                    std::size_t skipped = part - bytes.size();
                    while (!model.empty() && part >= model.front().bytes.size()) {
                        same += model.front().bytes.substr(skipped);
                        skipped = 0;
                        part -= model.front().bytes.size();
                        sent.push_back(std::move(model.front()));
                        model.pop_front();
                    }
                    if (part > 0) same += model.front().bytes.substr(skipped, part - skipped);
                    ASSERT_EQ(bytes, same);
                    break;
                }
                case 5: {
                    now += static_cast<TimeMs>(1 + pick(60));
                    queue.tick(now);
                    for (Command& one : sent)
                        if (one.deadline <= now) {
                            ended(one, " OUTCOME_UNKNOWN");
                            one.deadline = never;
                            one.number = 0;
                        }
                    std::deque<Command> left;
                    for (std::size_t i = 0; i < model.size(); ++i)
                        if (model[i].deadline <= now && !(i == 0 && part > 0))
                            ended(model[i], " TIMEOUT");
                        else
                            left.push_back(std::move(model[i]));
                    model.swap(left);
                    EXPECT_GT(queue.deadline(), now);
                    break;
                }
                case 7: {
                    if (sent.empty()) break;
                    const Command one = std::move(sent.front());
                    sent.pop_front();
                    ASSERT_TRUE(reply(":1\r\n"));
                    if (one.bytes.starts_with("OWN"))
                        expected.push_back("probe 1");
                    else
                        ended(one, " OK 1");
                    break;
                }
                case 6:
                    queue.link_down({Status::CONNECTION_LOST, "reset"});
                    for (const Command& one : sent) ended(one, " OUTCOME_UNKNOWN");
                    sent.clear();
                    if (part > 0 && model.front().number && std::exchange(model.front().begun, true)) {
                        ended(model.front(), " CONNECTION_LOST");
                        model.pop_front();
                    }
                    part = 0;
                    std::erase_if(model, [](const Command& one) { return one.number == 0; });
                    if (pick(5)) break;
                    queue.fail_unsent({Status::NOT_CONNECTED, "offline"});
                    for (const Command& one : model) ended(one, " NOT_CONNECTED");
                    model.clear();
                    break;
            }
            ASSERT_EQ(take(), std::exchange(expected, {}));
            std::size_t count = 0, bytes = 0;
            for (const Command& one : model)
                if (one.number) {
                    ++count;
                    bytes += one.bytes.size();
                }
            ASSERT_EQ(unsent, count);
            ASSERT_EQ(unsent_bytes, bytes);
            ASSERT_EQ(queue.output().empty(), model.empty());
        }
        queue.link_down({Status::CONNECTION_LOST, "reset"});
        queue.fail_unsent({Status::CLOSED, "closed"});
        ASSERT_EQ(queue.unsettled(), 0u);
        ASSERT_TRUE(queue.idle());
        take();
    }
}

// The memory of what is done is used for what comes, and no more is kept than is worth it.
TEST_F(CommandQueueTest, ChunksAreUsedAgain) {
    const std::string payload(20000, 'x');
    batch.add(publish_command, "", "c", payload);
    const void* const memory = batch.chunks.front().view().data();
    queue.append(batch);
    EXPECT_TRUE(batch.spare.empty());
    write();
    EXPECT_EQ(queue.scan(":1\r\n"), 4u);
    publish("c", "");  // on its way back into the batch
    ASSERT_EQ(batch.spare.size(), 1u);
    EXPECT_EQ(batch.spare.front().capacity(), ByteChunk::usual);
    batch.add(publish_command, "", "c", payload);
    EXPECT_EQ(batch.chunks.front().view().data(), memory);
    for (int i = 0; i < 1000; ++i) batch.add(publish_command, "", "c", payload);
    queue.append(batch);
    write();
    batch.add(publish_command, "", "c", payload);
    queue.append(batch);
    EXPECT_LE(batch.spare.size(), PublishBatch::spare_max);
}

}  // namespace
}  // namespace fanwire::core
