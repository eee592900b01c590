// Redis behind the engine: its node, what of it concerns the whole engine, and where the settings name a Sentinel
// group, the sentinels that say where the node's server is.
#pragma once

#include <cstdint>
#include <optional>

#include "core/backend/backend.h"
#include "core/backend/node.h"
#include "core/backend/sentinel_watch.h"
#include "core/base/settings.h"
#include "core/net/network.h"
#include "core/protocol/publish_command.h"

namespace fanwire::core {

class RedisBackend : public Backend, private Node::Owner, private SentinelWatch::Owner {
 public:
    // `probe_id`: what tells our probes from other engines'. Throws Failure INVALID_OPTION (a unix_path that is too
    // long, a file of TLS that is of no use).
    RedisBackend(const Settings& settings, Network& network, Random random, std::uint64_t probe_id, Topics& topics,
                 MessagePool& pool, BackendSink& sink);

    void start() override;
    void subscribe(Topic& topic) override;
    void unsubscribe(Topic& topic) override;
    void listen(const TopicRef& replies) override;
    const PublishFormat& format() const override { return publish_command; }
    void publish(PublishBatch& batch) override;
    void ask(std::unique_ptr<Numsub>& question) override;
    void set_credentials(const std::string& username, const std::string& password) override;
    void reconnect() override;
    void needed() override;
    void flush() override;
    std::size_t unsettled() const override { return node_.unsettled(); }
    void stop(const Error& why) override;
    void close_inherited() noexcept override;

 private:
    void node_ready(Node& node) override;
    void node_lost(Node& node, const Error& why) override;
    void node_troubled(Node& node) override;
    void node_exhausted(Node& node, const Error& why, std::int64_t attempts) override;
    void node_turn_end() override { sink_.on_turn_end(); }
    void master_decided(const ServerAddress& master) override;
    void no_master(const Error& why) override;
    void watch_turn_end() override { sink_.on_turn_end(); }
    void begin();
    void exhausted(const Error& why, std::int64_t attempts);
    void revive();

    BackendSink& sink_;
    Node node_;
    std::optional<SentinelWatch> sentinels_;  // none: the server's place is in the settings
    bool placed_ = false;                     // the node knows where its server is
    const std::int64_t attempts_max_;
    std::int64_t rounds_ = 0;  // in a row in which no sentinel knew a master
    const bool revive_on_use_;
    bool connected_ = false;  // every node is ready
    bool exhausted_ = false;  // no attempt follows by itself
};

}  // namespace fanwire::core
