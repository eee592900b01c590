#include "tests/chaos/faults.h"

#include <chrono>
#include <thread>

namespace fanwire::chaos {

using test::FaultProxy;
using test::RawClient;

std::vector<std::string> server_words() {
    return {"--user", "app", "on", ">pw", "allkeys", "allchannels", "+@all", "--maxclients", "200"};
}

Faults::Faults(test::RedisServer& server, std::vector<FaultProxy*> proxies, std::uint64_t seed)
    : server_(server), proxies_(std::move(proxies)), random_(seed), admin_(std::make_unique<RawClient>(server.port())) {
    faults_ = {
        // The network.
        {"connection reset", [this] { any_proxy().end(any_link(), FaultProxy::Ending::reset); }},
        {"connection closed", [this] { any_proxy().end(any_link(), FaultProxy::Ending::close); }},
        {"all connections reset",
         [this] {
             for (FaultProxy* proxy : proxies_) proxy->end();
         }},
        {"cut within a message",
         [this] {
             any_proxy().cut_after(any_link(), any_direction(), random_() % 20000, any_ending());
             hold(20, 200);
         }},
        {"cut within a greeting",
         [this] {
             FaultProxy& proxy = any_proxy();
             proxy.cut_new_after(any_direction(), random_() % 600, any_ending());
             proxy.end();
             hold(20, 300);
         }},
        {"half-open",
         [this] {
             any_proxy().swallow(any_link(), any_direction());
             hold(50, 900);
         }},
        {"half-open both ways",
         [this] {
             FaultProxy& proxy = any_proxy();
             for (const auto direction : {FaultProxy::to_server, FaultProxy::to_client})
                 proxy.swallow(FaultProxy::Which::all, direction);
             hold(50, 900);
         }},
        {"stalled",
         [this] {
             any_proxy().stall(any_link(), any_direction());
             hold(50, 700);
         }},
        {"slow network",
         [this] {
             any_proxy().shape({.bytes_per_second = 2000 + random_() % 200000});
             hold(100, 800);
         }},
        {"latency",
         [this] {
             any_proxy().shape({.latency = std::chrono::milliseconds(1 + random_() % 150)});
             hold(100, 500);
         }},
        {"split at each byte",
         [this] {
             any_proxy().shape({.piece = 1});
             hold(50, 300);
         }},
        {"connecting refused",
         [this] {
             FaultProxy& proxy = any_proxy();
             proxy.door(FaultProxy::Door::refuse);
             proxy.end();
             hold(10, 400);
         }},
        {"accepted, never answered",
         [this] {
             FaultProxy& proxy = any_proxy();
             proxy.door(FaultProxy::Door::mute);
             proxy.end();
             hold(50, 700);
         }},
        // The server.
        {"kill -9 and restart",
         [this] {
             server_.kill();
             hold(0, 300);
             server_.start();
             admin_ = std::make_unique<RawClient>(server_.port());
         }},
        {"SIGSTOP",
         [this] {
             server_.pause();
             hold(20, 900);
             server_.resume();
         }},
        {"CLIENT KILL pubsub",
         [this] {
             admin({"CLIENT", "KILL", "TYPE", "pubsub"});
         }},
        {"CLIENT KILL normal",
         [this] {
             admin({"CLIENT", "KILL", "TYPE", "normal"});
         }},
        {"CLIENT PAUSE",
         [this] {
             admin({"CLIENT", "PAUSE", std::to_string(10 + random_() % 600), "WRITE"});
         }},
        {"output buffer full",
         [this] {
             admin({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 32kb 0 0"});
             any_proxy().stall(FaultProxy::Which::subscribers, FaultProxy::to_client);
             hold(200, 900);
         }},
        {"CONFIG SET maxclients",
         [this] {
             admin({"CONFIG", "SET", "maxclients", std::to_string(1 + random_() % 6)});
             any_proxy().end();
             hold(20, 300);
         }},
        {"ACL: channels revoked",
         [this] {
             admin({"ACL", "SETUSER", "app", "resetchannels", "&ws:c0", "&ws:c1", "&ws:c[0-3]"});
             hold(20, 300);
         }},
        {"ACL: PUBLISH revoked",
         [this] {
             admin({"ACL", "SETUSER", "app", "-publish"});
             hold(20, 200);
         }},
        {"ACL: user shut out",
         [this] {
             admin({"ACL", "SETUSER", "app", "off"});
             admin({"CLIENT", "KILL", "USER", "app"});
             hold(20, 300);
         }},
        {"password changed",
         [this] {
             admin({"ACL", "SETUSER", "app", "resetpass", ">other"});
             any_proxy().end();
             hold(20, 300);
         }},
    };
}

void Faults::hold(std::uint64_t least_ms, std::uint64_t most_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(least_ms + random_() % (most_ms - least_ms + 1)));
}

// Straight to the server, as an administrator would, by a connection that its own rules cannot shut out.
void Faults::admin(const std::vector<std::string>& words) {
    const std::string reply = admin_->call(words);
    if (reply.starts_with("-")) throw std::runtime_error(words[0] + " " + words[1] + ": " + reply);
}

FaultProxy::Which Faults::any_link() {
    return static_cast<FaultProxy::Which>(random_() % 3);
}
FaultProxy::Direction Faults::any_direction() {
    return static_cast<FaultProxy::Direction>(random_() % 2);
}
FaultProxy::Ending Faults::any_ending() {
    return static_cast<FaultProxy::Ending>(random_() % 2);
}

void Faults::one() {
    const std::uint64_t at_once = random_() % 4 == 0 ? 2 : 1;
    for (std::uint64_t i = 0; i < at_once; ++i) {
        const Fault& fault = faults_[random_() % faults_.size()];
        ++counts_[fault.name];
        fault.inject();
    }
    heal();
    // Mostly long enough to get well again; sometimes the next fault comes amid the recovery.
    if (random_() % 4 != 0) hold(20, 500);
}

void Faults::heal() {
    for (FaultProxy* proxy : proxies_) proxy->heal();
    admin({"CLIENT", "UNPAUSE"});
    admin({"CONFIG", "SET", "maxclients", "200"});
    admin({"CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60"});
    admin({"ACL", "SETUSER", "app", "reset", "on", ">pw", "allkeys", "allchannels", "+@all"});
}

}  // namespace fanwire::chaos
