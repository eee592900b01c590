// A publish queue, what is given to it, and what becomes of that.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/protocol/command_queue.h"
#include "core/protocol/publish_command.h"

namespace fanwire::core {

struct CommandQueueTest : testing::Test {
    void publish(const std::string& channel, const std::string& payload, TimeMs deadline = never) {
        batch.deadline = deadline;
        unsent_bytes += batch.add(publish_command, "", channel, payload, nullptr, reinterpret_cast<void*>(++accepted));
        ++unsent;
        queue.append(batch);
        EXPECT_TRUE(batch.empty());
    }
    std::string write(std::size_t max = SIZE_MAX) {
        std::string bytes;
        while (!queue.output().empty() && bytes.size() < max) {
            const std::string_view piece = queue.output().substr(0, max - bytes.size());
            bytes += piece;
            queue.wrote(piece.size());
        }
        return bytes;
    }
    bool reply(const std::string& bytes) {
        reader.feed(bytes);
        EXPECT_EQ(reader.next(), ReplyReader::Result::reply);
        return queue.reply(reader.reply());
    }
    std::vector<std::string> take() { return std::exchange(outcomes, {}); }

    std::uintptr_t accepted = 0;
    std::size_t unsent = 0, unsent_bytes = 0;
    std::vector<std::string> outcomes;
    ReplyReader reader;
    PublishBatch batch;
    CommandQueue queue{[this](const SettledRun& run) {
                           EXPECT_FALSE(run.publishes.empty());
                           for (const Settled& publish : run.publishes) {
                               const auto number = reinterpret_cast<std::uintptr_t>(publish.user_data);
                               outcomes.push_back(std::to_string(number) + " " +
                                                  find_status(static_cast<int>(run.error.status))->name +
                                                  (run.error ? "" : " " + std::to_string(publish.receivers)));
                           }
                       },
                       [this](std::size_t count, std::size_t bytes) {
                           unsent -= count;
                           unsent_bytes -= bytes;
                       },
                       [this](CommandRecord::Purpose purpose, const Reply& reply) {
                           outcomes.push_back((purpose == CommandRecord::Purpose::auth ? "auth " : "probe ") +
                                              (reply.is(ReplyType::integer) ? std::to_string(reply.integer())
                                                                            : std::string(reply.text())));
                       }};
};

using Strings = std::vector<std::string>;

inline std::string command(const std::string& channel, const std::string& payload) {
    return "*3\r\n$7\r\nPUBLISH\r\n$" + std::to_string(channel.size()) + "\r\n" + channel + "\r\n$" +
           std::to_string(payload.size()) + "\r\n" + payload + "\r\n";
}

}  // namespace fanwire::core
