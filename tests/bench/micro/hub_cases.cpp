#include "hub_cases.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>

#include "core/hub/members.h"
#include "must.h"

namespace fanwire::bench {

namespace {

using core::ConnectionId;
using core::Members;

constexpr std::size_t connections = 100'000;

ConnectionId id_of(std::uint64_t number) {
    ConnectionId id{};
    for (std::size_t i = 0; i < 4; ++i) id[i] = static_cast<unsigned char>(number >> (8 * i));
    id[6] = 0x40;
    id[8] = 0x80;
    return id;
}

struct Crowd {
    Crowd() : members({}, 1) {
        for (std::size_t i = 0; i < connections; ++i) keys.push_back(members.connect(id_of(i), i));
    }
    Members members;
    std::vector<Members::Key> keys;
};

// Each leaves a topic that it is in and joins it again, in an order that no cache foresees.
constexpr std::size_t memberships = 1'000'000, topics = 10'000, pairs = 500;

std::function<void()> leave_and_join() {
    auto crowd = std::make_shared<Crowd>();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < topics; ++i) names.push_back("room:" + std::to_string(i));
    std::vector<std::pair<Members::Key, std::uint32_t>> all;
    std::mt19937 random(1);
    while (all.size() < memberships) {
        const Members::Key key = crowd->keys[random() % connections];
        const auto topic = static_cast<std::uint32_t>(random() % topics);
        if (crowd->members.join(key, names[topic]).changed) all.emplace_back(key, topic);
    }
    std::shuffle(all.begin(), all.end(), random);
    return [crowd, names, all, at = std::size_t{0}]() mutable {
        for (std::size_t i = 0; i < pairs; ++i) {
            const auto& [key, topic] = all[at++ % memberships];
            must(crowd->members.leave(key, names[topic]).changed && crowd->members.join(key, names[topic]).changed,
                 "a membership is missing");
        }
    };
}

std::function<void()> gather() {
    auto crowd = std::make_shared<Crowd>();
    std::vector<Members::Key> order = crowd->keys;
    std::shuffle(order.begin(), order.end(), std::mt19937(1));
    for (const Members::Key key : order) crowd->members.join(key, "room");
    return [crowd, handles = std::vector<std::uint64_t>()]() mutable {
        crowd->members.gather("room", id_of(7), handles);
        must(handles.size() == connections - 1, "a handle is missing");
    };
}

}  // namespace

std::vector<Case> hub_cases() {
    return {
        {"hub: a leave or a join, 1,000,000 memberships of 100,000 connections", 2 * pairs, leave_and_join},
        {"hub: the handles of a topic with 100,000 connections", 1, gather},
    };
}

}  // namespace fanwire::bench
