// A model of Redis for the simulation: accepted connections whose bytes are still on their way, subscriptions, an ACL,
// the states in which a server answers by errors only; and the log of what it has executed, which is the reference.
// Others that are subscribed there answer requests, when the schedule wants it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/message/frame.h"
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
        std::string to_server, to_client;          // on their way
        std::size_t gone = 0;                      // of to_client
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
    // What one of the others has not answered yet.
    struct Due {
        std::string reply_channel;
        std::uint64_t number;   // in the frame
        std::uint64_t request;  // in the payload
    };

    std::vector<std::shared_ptr<Connection>> connections;
    // The client has closed them, and the server does not know yet: what was sent may still be executed.
    std::vector<std::shared_ptr<Connection>> zombies;
    std::vector<Executed> log;
    std::map<std::uint64_t, std::size_t> place;              // of a number in the log
    std::string error;                                       // answered to everything, if not empty
    std::string publish_error;                               // answered to PUBLISH
    std::string numsub_error;                                // answered to PUBSUB
    std::set<std::string> forbidden;                         // channels and patterns that may not be subscribed to
    std::map<std::string, std::size_t, std::less<>> others;  // how many are subscribed to a channel, and answer
    std::deque<Due> due;
    std::uint64_t replies = 0;  // so far
    std::map<std::string, std::vector<std::uint64_t>>
        counted;  // what each NUMSUB saw; by its last channel, which names it
    bool hangs = false, full = false;
    bool loses_probes = false;  // and delivers all else
    // How often a pattern of ours has matched a channel for replies.
    std::uint64_t pattern_matched_replies = 0;

    static bool is_probe(std::string_view channel) { return channel.starts_with("__fanwire:probe:"); }

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
    std::size_t publish(std::string_view channel, std::string_view framed) {
        if (is_probe(channel)) return loses_probes ? 1 : deliver(channel, framed);
        const std::optional<frame::Head> head = frame::head_of(framed);
        const std::string_view payload = framed.substr(head ? head->size : 0);
        const std::uint64_t number = number_of(payload);
        EXPECT_TRUE(is_payload(payload, number)) << "publish " << number << " came with other bytes";
        EXPECT_TRUE(place.emplace(number, log.size()).second) << "publish " << number << " was executed twice";
        log.push_back({std::string(channel), number, payload.size()});
        const auto found = others.find(channel);
        const std::size_t more = found == others.end() ? 0 : found->second;
        for (std::size_t i = 0; head && i < more; ++i) {
            const frame::Address address = frame::address_of(framed);
            due.push_back({frame::reply_channel(address.id), address.number, number});
        }
        return more + deliver(channel, framed);
    }
    // One of the others publishes its answer.
    void answer(const Due& one) {
        deliver(one.reply_channel, frame::reply(one.number, answer_of(one.request, ++replies)));
    }
    std::size_t deliver(std::string_view channel, std::string_view payload) {
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
                    if (target.first == TargetKind::pattern && frame::is_reply_channel(channel))
                        ++pattern_matched_replies;
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
        } else if (word == "PUBSUB") {
            count(connection, command);
        } else {
            subscribe(connection, command);
        }
    }

    // Connections of ours that the server still has, and the others.
    std::size_t subscribers(const std::string& channel) const {
        const auto found = others.find(channel);
        std::size_t sum = found == others.end() ? 0 : found->second;
        for (const auto* all : {&connections, &zombies})
            for (const auto& connection : *all)
                sum += connection->subscribed.contains({TargetKind::channel, channel}) ? 1u : 0u;
        return sum;
    }
    void count(Connection& connection, const Reply& command) {
        std::string& out = connection.to_client;
        if (!numsub_error.empty()) return void(out += "-" + numsub_error + "\r\n");
        append_count(out, '*', 2 * (command.size() - 2));
        for (std::size_t i = 2; i < command.size(); ++i) {
            append_bulk(out, command[i].text());
            append_count(out, ':', subscribers(std::string(command[i].text())));
        }
        counted[std::string(command[command.size() - 1].text())].push_back(subscribers(std::string(command[2].text())));
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
