// A model of Redis for the simulation: accepted connections whose bytes are still on their way, subscriptions, an ACL, the
// states in which a server answers by errors only; and the log of what it has executed, which is the reference.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/message/glob.h"
#include "core/message/target.h"
#include "core/protocol/command.h"
#include "core/protocol/reply.h"
#include "tests/unit/simulation/payload.h"

namespace fanwire::core::simulation {

// Whether a message on `channel` is for whom wants `target`.
inline bool goes_to(TargetKind kind, std::string_view target, std::string_view channel) {
    return kind == TargetKind::channel ? target == channel : glob_match(target, channel);
}

class ModelRedis {
   public:
    using Target = std::pair<TargetKind, std::string>;

    struct Connection {
        ReplyReader reader;
        std::string to_server, to_client;        // on their way
        std::size_t gone = 0;                    // of to_client
        std::map<Target, std::size_t> subscribed;  // and how long the log was then
        bool refused = false;

        std::string_view arriving() const { return std::string_view(to_client).substr(gone); }
        void arrived(std::size_t size) {
            gone += size;
            if (gone < to_client.size()) return;
            to_client.clear();
            gone = 0;
        }
    };
    struct Executed {
        std::string channel;
        std::uint64_t number;  // the payload begins with it
        std::size_t size;      // of the payload
    };

    std::vector<std::shared_ptr<Connection>> connections;
    // The client has closed them, and the server does not know yet: what was sent may still be executed.
    std::vector<std::shared_ptr<Connection>> zombies;
    std::vector<Executed> log;
    std::map<std::uint64_t, std::size_t> place;  // of a number in the log
    std::string error;                           // answered to everything, if not empty
    std::string publish_error;                   // answered to PUBLISH
    std::set<std::string> forbidden;             // channels and patterns that may not be subscribed to
    bool hangs = false, full = false;

    std::shared_ptr<Connection> accept() {
        auto connection = std::make_shared<Connection>();
        connection->refused = full;
        if (full) connection->to_client = "-ERR max number of clients reached\r\n";
        connections.push_back(connection);
        return connection;
    }
    void drop(const std::shared_ptr<Connection>& connection, bool at_once) {
        std::erase(connections, connection);
        if (!at_once) zombies.push_back(connection);
    }

    // Takes up to `size` of the bytes that have arrived.
    void take(Connection& connection, std::size_t size) {
        if (hangs) return;
        size = std::min(size, connection.to_server.size());
        for (std::size_t at = 0; at < size; at += ReplyReader::feed_max) {
            connection.reader.feed(
                std::string_view(connection.to_server).substr(at, std::min(size - at, ReplyReader::feed_max)));
            ReplyReader::Result result;
            while ((result = connection.reader.next()) == ReplyReader::Result::reply)
                run(connection, connection.reader.reply());
            EXPECT_EQ(result, ReplyReader::Result::more) << "the client sent what is no command";
        }
        connection.to_server.erase(0, size);
    }

    // Of one of the links, or of anybody; how many have received it.
    std::size_t publish(std::string_view channel, std::string_view payload) {
        const std::uint64_t number = number_of(payload);
        EXPECT_TRUE(is_payload(payload, number)) << "publish " << number << " came with other bytes";
        EXPECT_TRUE(place.emplace(number, log.size()).second) << "publish " << number << " was executed twice";
        log.push_back({std::string(channel), number, payload.size()});
        std::size_t receivers = 0;
        for (const auto* all : {&connections, &zombies}) {
            for (const auto& other : *all) {
                for (const auto& [target, since] : other->subscribed) {
                    if (!goes_to(target.first, target.second, channel)) continue;
                    ++receivers;
                    if (all == &zombies) continue;  // nobody reads it
                    if (target.first == TargetKind::channel)
                        append_command(other->to_client, {"message", channel, payload});
                    else
                        append_command(other->to_client, {"pmessage", target.second, channel, payload});
                }
            }
        }
        return receivers;
    }

   private:
    void run(Connection& connection, const Reply& command) {
        const std::string_view word = command[0].text();
        std::string& out = connection.to_client;
        if (connection.refused) return;  // it has been told
        if (!error.empty()) {
            out += "-" + error + "\r\n";
        } else if (word == "PING") {
            out += connection.subscribed.empty() ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
        } else if (word == "CLIENT") {
            out += "+OK\r\n";
        } else if (word == "PUBLISH") {
            if (!publish_error.empty())
                out += "-" + publish_error + "\r\n";
            else
                out += ":" + std::to_string(publish(command[1].text(), command[2].text())) + "\r\n";
        } else {
            subscribe(connection, command);
        }
    }

    void subscribe(Connection& connection, const Reply& command) {
        std::string word(command[0].text());
        for (char& c : word) c = static_cast<char>(std::tolower(c));
        const TargetKind kind = word.front() == 'p' ? TargetKind::pattern : TargetKind::channel;
        const bool wanted = word.ends_with("subscribe") && !word.ends_with("unsubscribe");
        for (std::size_t i = 1; wanted && i < command.size(); ++i) {
            if (!forbidden.contains(std::string(command[i].text()))) continue;
            connection.to_client += "-NOPERM this user has no permissions to access one of the channels\r\n";
            return;
        }
        for (std::size_t i = 1; i < command.size(); ++i) {
            const Target target{kind, std::string(command[i].text())};
            if (wanted)
                connection.subscribed.emplace(target, log.size());
            else
                connection.subscribed.erase(target);
            connection.to_client += "*3\r\n";
            append_bulk(connection.to_client, word);
            append_bulk(connection.to_client, target.second);
            append_count(connection.to_client, ':', connection.subscribed.size());
        }
    }
};

}  // namespace fanwire::core::simulation
