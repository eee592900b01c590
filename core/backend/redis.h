// Redis behind the engine: its nodes, of which there is one, and what of them concerns all.
#pragma once

#include "core/backend/backend.h"
#include "core/backend/node.h"
#include "core/base/settings.h"
#include "core/net/network.h"
#include "core/protocol/publish_command.h"

namespace fanwire::core {

class RedisBackend : public Backend, private Node::Owner {
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
    void node_exhausted(Node& node, const Error& why, std::int64_t attempts) override;
    void node_turn_end() override { sink_.on_turn_end(); }
    void revive();

    BackendSink& sink_;
    Node node_;
    const bool revive_on_use_;
    bool connected_ = false;  // every node is ready
    bool exhausted_ = false;  // no attempt follows by itself
};

}  // namespace fanwire::core
