// Engines on a real Redis, by way of the C ABI.
#pragma once

#include "tests/capi/support.h"
#include "tests/support/redis_server.h"

namespace integration_test {

using namespace capi_test;
using fanwire::test::RawClient;
using fanwire::test::RedisServer;

// An engine on `url`, connected.
inline Engine open_on(const std::string& url, const Options::Settings& settings = {}, Inbox* events = nullptr) {
    Options options(settings);
    EXPECT_STATUS(FANWIRE_OK, fanwire_options_set(options, "url", url.c_str()));
    if (events) {
        EXPECT_STATUS(FANWIRE_OK, fanwire_options_set_engine_inbox(options, *events, nullptr));
    }
    Engine engine;
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    EXPECT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));
    return engine;
}

// The number of receivers.
inline std::uint64_t publish(const Engine& engine, const std::string& channel, const std::string& payload) {
    std::uint64_t receivers = UINT64_MAX;
    EXPECT_STATUS(FANWIRE_OK, fanwire_publish_wait(engine, channel.data(), channel.size(), payload.data(),
                                                   payload.size(), deadline_ms, &receivers));
    return receivers;
}

// The next event of this kind, passing over others.
inline Seen next_of(Inbox& inbox, int kind) {
    while (true) {
        Seen seen = inbox.next();
        if (seen.kind == kind || seen.kind == 0) return seen;
    }
}

}  // namespace integration_test
