// The connections to the sentinels of a group: carries out what a SentinelTopology wishes and reports what it decides.
// IO thread only.
//
// Each sentinel has two links, since a subscribed RESP2 connection cannot ask: one that asks, and one that listens for
// signs of a failover.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/backend/link_driver.h"
#include "core/base/server_address.h"
#include "core/base/settings.h"
#include "core/topology/sentinel.h"

namespace fanwire::core {

class SentinelWatch {
 public:
    class Owner {
     public:
        virtual ~Owner() = default;
        // The master is that one, now or from the beginning.
        virtual void master_decided(const ServerAddress& master) = 0;
        // No master is known, and every sentinel was tried. It goes on.
        virtual void no_master(const Error& why) = 0;
        virtual void watch_turn_end() = 0;
    };

    // `endpoint`: what the connections to sentinels share with those to the master, all but the place.
    SentinelWatch(const Settings& settings, const Endpoint& endpoint, Network& network, Random random, Owner& owner);
    ~SentinelWatch();
    SentinelWatch(const SentinelWatch&) = delete;
    SentinelWatch& operator=(const SentinelWatch&) = delete;

    void start();
    // Sentinels that are waited for are tried at once.
    void retry();
    // Until the next start().
    void stop();
    // See SentinelTopology. From within the owner's own turn.
    void doubt();
    void trust();
    // In the child of a fork(): see Backend.
    void close_inherited() noexcept;

 private:
    class Watcher;

    void turn_end();
    void settle();
    void adjust();

    const Settings& settings_;
    const Endpoint endpoint_;
    Network& network_;
    const Random random_;
    Owner& owner_;
    Login login_;  // at the sentinels
    SentinelTopology topology_;
    std::vector<std::unique_ptr<Watcher>> watchers_;
    std::optional<ServerAddress> reported_;  // the master that the owner knows
    bool running_ = false;
    // What cannot be done from within a connection's own call: connections come and go, and the owner hears of the
    // decision.
    const std::unique_ptr<Timer> timer_;
};

}  // namespace fanwire::core
