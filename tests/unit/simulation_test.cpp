// Schedules of everything that may happen, in virtual time, against a model of Redis (simulation/): bytes arrive in
// pieces, connections break at any byte, the server hangs, restarts, refuses, is full, is loading, changes its ACL;
// calls come at any moment. The real RedisBackend runs over simulated wires (simulation/wire.h), which read as the
// stream does: large messages where the link wants them.
//
// What must hold for every schedule:
//  - in the end Redis's subscriptions are the wanted ones, and all are ACTIVE (or, after the last attempt, FAILED);
//  - each subscription sees, from ACTIVE on, the messages that Redis executed for it in their order, none twice, and
//  where
//    some are missing a GAP stands, with the right count where it has one, and so between what came before and after a
//    break, with conflate too; none while it is not active; ENDED once, last;
//  - a program that is stale from LOST and GAP on and fetches at ACTIVE and RESUMED ends fresh, is fresh at each
//  message, and
//    while it is fresh lacks nothing that was executed before the message it sees;
//  - payloads are what was published, byte for byte, large ones in the very place where they were received, for all who
//    share them and as long as somebody keeps them; inboxes drop when, and only when, their limits say so;
//  - what is published while there is no connection is not sent before the wanted subscriptions are confirmed or
//  refused again,
//    or drain_wait_ms has passed;
//  - each publish has one outcome; what is OK was executed once and in the order of the calls, what failed was not, and
//    what is OUTCOME_UNKNOWN was at most once; and each leaves the count of the unsent once;
//  - each request and each NUMSUB ends once, not later than its time, and no sooner than it has what it wants or a
//  reason; a
//    reply is seen at most once, in order, by the request that it answers, and what is missing is counted; NUMSUB gives
//    what the server has counted; the limits of what is open are kept exactly, and in the end nothing is.
//
// A failing schedule prints the command that replays it, with a trace. FANWIRE_SIMULATION_COUNT=n runs n schedules
// beyond the usual ones, from FANWIRE_SIMULATION_FIRST on.
#include "tests/unit/simulation/simulation.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#ifndef FANWIRE_SIMULATION_SHARD
#define FANWIRE_SIMULATION_SHARD 10000
#endif

namespace fanwire::core::simulation {
namespace {

constexpr std::uint32_t shards = 10, shard_size = FANWIRE_SIMULATION_SHARD;

std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
    const char* text = std::getenv(name);
    return text ? static_cast<std::uint32_t>(std::stoul(text)) : otherwise;
}

std::string replay_line(std::uint32_t seed) {
    std::error_code ignored;
    static const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
    return "replay: FANWIRE_SIMULATION_SEED=" + std::to_string(seed) + " " + program +
           " --gtest_filter=Simulation.Replay";
}

// A schedule that crashes must name itself as well. Not with the sanitizers, which have handlers of their own.
char crash_line[4096];

void name_crashes() {
#ifndef FANWIRE_SIMULATION_SANITIZED
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) {
        struct sigaction action {};
        action.sa_handler = [](int which) {
            [[maybe_unused]] const auto n = write(STDERR_FILENO, crash_line, std::strlen(crash_line));
            raise(which);
        };
        action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
        sigaction(signal, &action, nullptr);
    }
#endif
}

void run_schedules(std::uint32_t first, std::uint32_t count, bool verbose = false) {
    Coverage sum;
    name_crashes();
    for (std::uint32_t i = 0; i < count; ++i) {
        std::snprintf(crash_line, sizeof crash_line, "%s\n", replay_line(first + i).c_str());
        Simulation simulation(first + i, false, verbose);
        simulation.run(400);
        for (const auto& [what, times] : simulation.coverage.times) sum.times[what] += times;
        if (!testing::Test::HasFailure()) continue;
        ADD_FAILURE() << replay_line(first + i);
        return;
    }
    const auto must_have = [&](std::uint32_t among, std::initializer_list<const char*> all) {
        for (const char* what : all) {
            if (count >= among) {
                EXPECT_GT(sum.times[what], 0u) << "no schedule has come to: " << what;
            }
            if (verbose || std::getenv("FANWIRE_SIMULATION_COVERAGE"))
                std::printf("%12llu  %s\n", static_cast<unsigned long long>(sum.times[what]), what);
        }
    };
    must_have(500, {"ACTIVE, exact",
                    "RESUMED, exact",
                    "GAP counted",
                    "GAP of unknown size",
                    "GAP of a break whose LOST was folded",
                    "message",
                    "message by pattern",
                    "OK",
                    "OUTCOME_UNKNOWN",
                    "unknown, and executed",
                    "TIMEOUT",
                    "NOT_CONNECTED",
                    "NO_PERMISSION",
                    "AUTH_FAILED",
                    "REDIS_ERROR",
                    "CLOSED",
                    "given up",
                    "revived",
                    "a zombie moves",
                    "conflated, adds up",
                    "room filled",
                    "room used in part",
                    "room ignored",
                    "large, where it was received",
                    "large, copied",
                    "large, kept to the end",
                    "shared by two inboxes",
                    "large, and the inbox counts its bytes",
                    "a probe comes back",
                    "a probe fails",
                    "moved on to another address",
                    "greeted by another address",
                    "an address is silent in its greeting",
                    "no memory for a connection",
                    "queued publishes wait for subscriptions",
                    "publishes are sent when drain_wait_ms has passed",
                    "after a break",
                    "after a break, with conflate",
                    "a request is published",
                    "a reply",
                    "a reply is late",
                    "what is no reply comes on the reply channel",
                    "a request ends: OK",
                    "a request ends: TIMEOUT",
                    "a request ends: LIMIT_REACHED",
                    "a request ends: UNSUBSCRIBED",
                    "a request ends: CLOSED",
                    "a request ends: NOT_CONNECTED",
                    "a request ends: NO_PERMISSION",
                    "a request ends: REDIS_ERROR",
                    "the reply channel is refused",
                    "a pattern matches the reply channel",
                    "NUMSUB: OK",
                    "NUMSUB: TIMEOUT",
                    "NUMSUB: NO_PERMISSION"});
    must_have(10000, {"broken inside a large message",
                      "given up inside a large message",
                      "unsubscribed inside a large message",
                      "large, and nobody wants it any more",
                      "closed inside a large message",
                      "shared by two inboxes, of which one was drained long before",
                      "full of large messages' bytes",
                      "large, dropped as the oldest",
                      "large, dropped as the newest",
                      "large, conflated",
                      "larger than its memory at first",
                      "a request of unknown outcome is answered",
                      "too large requests",
                      "too many requests",
                      "NUMSUB is asked again",
                      "no memory for a request",
                      "a request ends: QUEUE_FULL",
                      "a request ends: NO_MEMORY",
                      "a large request",
                      "NUMSUB: NOT_CONNECTED",
                      "NUMSUB: CLOSED"});
}

class SimulatedSchedules : public testing::TestWithParam<std::uint32_t> {};

TEST_P(SimulatedSchedules, KeepTheContract) {
    run_schedules(GetParam() * shard_size, shard_size);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulatedSchedules, testing::Range(0u, shards), [](const auto& shard) {
    return std::to_string(shard.param * shard_size) + "_to_" + std::to_string((shard.param + 1) * shard_size - 1);
});

TEST(Simulation, Replay) {
    if (!std::getenv("FANWIRE_SIMULATION_SEED")) GTEST_SKIP() << "FANWIRE_SIMULATION_SEED names no schedule";
    run_schedules(from_environment("FANWIRE_SIMULATION_SEED", 0), 1, true);
}

TEST(Simulation, Many) {
    if (!std::getenv("FANWIRE_SIMULATION_COUNT")) GTEST_SKIP() << "FANWIRE_SIMULATION_COUNT asks for no more schedules";
    run_schedules(from_environment("FANWIRE_SIMULATION_FIRST", shards * shard_size),
                  from_environment("FANWIRE_SIMULATION_COUNT", 0));
}

// One life without chance, broken off once, after each byte of each direction of each link.
struct Break {
    bool publish_link, outwards;
    std::size_t at;
};

void live(Simulation& simulation) {
    const auto flow = [&] {
        for (int i = 0; i < 6; ++i) simulation.flow();
        simulation.drain_all();
        simulation.advance(300);  // links that broke come back in between, or a little later
    };
    flow();
    simulation.subscribe(TargetKind::channel, "c0");
    simulation.subscribe(TargetKind::pattern, "c*");
    flow();
    for (std::uint32_t i = 0; i < 4; ++i) simulation.publish(Simulation::channel(i % 2));
    flow();
    simulation.subscribe(TargetKind::channel, "c1");
    simulation.unsubscribe(0);
    simulation.publish("c1");
    flow();
    simulation.advance(1100);  // a heartbeat, and the end of lingering
    flow();
    simulation.publish("c0");
    simulation.redis.others["c1"] = 2;
    simulation.ask("c1", 0, 3000);
    simulation.count("c0", 2000);
    flow();
    simulation.ask("c1", 2, 3000);
    flow();
}

TEST(Simulation, ABreakAfterEachByte) {
    std::size_t passed[2][2] = {};
    {
        Simulation whole(1, true);
        live(whole);
        whole.finish();
        for (const bool publish_link : {false, true}) {
            const SimulatedWire& wire = publish_link ? whole.publish_wire : whole.subscribe_wire;
            passed[publish_link][0] = wire.in_passed;
            passed[publish_link][1] = wire.out_passed;
        }
    }
    std::size_t breaks = 0;
    for (const bool publish_link : {false, true}) {
        for (const bool outwards : {false, true}) {
            EXPECT_GT(passed[publish_link][outwards], 60u);
            for (std::size_t at = 0; at <= passed[publish_link][outwards] && !HasFailure(); ++at, ++breaks) {
                SCOPED_TRACE((publish_link ? "the publish link, " : "the subscribe link, ") +
                             std::string(outwards ? "to" : "from") + " the server, after byte " + std::to_string(at));
                Simulation simulation(1, true);
                SimulatedWire& wire = publish_link ? simulation.publish_wire : simulation.subscribe_wire;
                (outwards ? wire.out_breaks_at : wire.in_breaks_at) = at;
                live(simulation);
                simulation.finish();
            }
        }
    }
    EXPECT_GT(breaks, 1000u);
}

// Within the same attempt: where the host has another address, no break of a greeting is a failed attempt.
TEST(Simulation, ABreakInAGreetingLeadsToAnotherAddress) {
    for (const bool publish_link : {false, true}) {
        for (const bool outwards : {false, true}) {
            std::size_t at = 0;
            for (bool greeted = false; !greeted && !HasFailure(); ++at) {
                SCOPED_TRACE((publish_link ? "the publish link, " : "the subscribe link, ") +
                             std::string(outwards ? "to" : "from") + " the server, after byte " + std::to_string(at));
                Simulation simulation(1, true, false, 1);
                SimulatedWire& wire = publish_link ? simulation.publish_wire : simulation.subscribe_wire;
                (outwards ? wire.out_breaks_at : wire.in_breaks_at) = at;
                live(simulation);
                simulation.finish();
                greeted = simulation.coverage.times["moved on to another address"] == 0;
                EXPECT_EQ(simulation.coverage.times["greeted by another address"], greeted ? 0u : 1u);
                EXPECT_EQ(wire.attempts, greeted ? 2u : 1u);
            }
            EXPECT_GE(at, 12u);  // "+OK" and "+PONG"
        }
    }
}

// The same with large messages that two inboxes share, one of which is drained late. The link breaks at each byte of
// what is around them, and at many in them.
void live_with_large(Simulation& simulation) {
    for (int i = 0; i < 6; ++i) simulation.flow();
    for (int i = 0; i < 8; ++i) simulation.subscribe(TargetKind::channel, "c0");
    simulation.subscribe(TargetKind::pattern, "c*");
    for (int i = 0; i < 6; ++i) simulation.flow();
    simulation.drain_all();
    for (const std::size_t size : {40000u, 100u, 20000u}) simulation.publish_elsewhere("c0", size);
    simulation.flow();
    simulation.drain(0, SIZE_MAX);
    simulation.publish_elsewhere("c0", 30000);
    for (int i = 0; i < 3; ++i) {
        simulation.flow();
        simulation.advance(300);
    }
    simulation.drain_all();
}

TEST(Simulation, ABreakInsideLargeMessages) {
    std::size_t before_large = 0, passed = 0;
    {
        Simulation whole(1, true);
        live_with_large(whole);
        passed = whole.subscribe_wire.in_passed;
        ASSERT_GT(passed, 2 * 90000u);  // by the channel and by the pattern
        before_large = passed - 2 * 90100;
        whole.finish();
    }
    Coverage sum;
    std::size_t breaks = 0, step = 0;
    for (std::size_t at = before_large - 500; at <= passed && !HasFailure(); at += step, ++breaks) {
        SCOPED_TRACE("after byte " + std::to_string(at));
        Simulation simulation(static_cast<std::uint32_t>(at), true);
        simulation.subscribe_wire.in_breaks_at = at;
        live_with_large(simulation);
        simulation.finish();
        for (const auto& [what, times] : simulation.coverage.times) sum.times[what] += times;
        step = at < before_large + 300 || at + 300 > passed ? 1 : 197;
    }
    EXPECT_GT(breaks, 1500u);
    EXPECT_GT(sum.times["broken inside a large message"], breaks / 4);
    EXPECT_GT(sum.times["shared by two inboxes, of which one was drained long before"], breaks / 4);
}

}  // namespace
}  // namespace fanwire::core::simulation
