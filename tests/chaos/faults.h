// What is done to the network and to the server, by chance but from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/support/fault_proxy.h"
#include "tests/support/redis_server.h"

namespace fanwire::chaos {

class Faults {
 public:
    Faults(test::RedisServer& server, std::vector<test::FaultProxy*> proxies, std::uint64_t seed);

    // One fault, or two at once, for a while; then everything is whole again.
    void one();
    // As if there had been none.
    void heal();

    // How often each was injected.
    const std::map<std::string, std::uint64_t>& counts() const { return counts_; }

 private:
    struct Fault {
        const char* name;
        std::function<void()> inject;
    };

    void hold(std::uint64_t least_ms, std::uint64_t most_ms);
    void admin(const std::vector<std::string>& words);
    test::FaultProxy& any_proxy() { return *proxies_[random_() % proxies_.size()]; }
    test::FaultProxy::Which any_link();
    test::FaultProxy::Direction any_direction();
    test::FaultProxy::Ending any_ending();

    test::RedisServer& server_;
    const std::vector<test::FaultProxy*> proxies_;
    std::mt19937_64 random_;
    std::vector<Fault> faults_;
    std::map<std::string, std::uint64_t> counts_;
    std::unique_ptr<test::RawClient> admin_;
};

// The user that the engines log in as, in the words of the server's command line; and what heal() gives back to it.
std::vector<std::string> server_words();

}  // namespace fanwire::chaos
