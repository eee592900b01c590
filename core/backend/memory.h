// memory://: no server, no links. An engine without a name for its bus is alone: its own subscribers are all there is.
// The others of the same name are met on a MemoryBus. Receivers are counted as Redis would count its clients: in each
// engine one for the channel, one for each matching pattern.
#pragma once

#include <deque>
#include <optional>

#include "core/backend/backend.h"
#include "core/backend/memory_bus.h"
#include "core/message/pattern_index.h"
#include "core/net/loop.h"

namespace fanwire::core {

class MemoryBackend : public Backend {
 public:
    // `name`: of the bus; empty: alone. `wake`: has woken() called soon; from any thread. Throws std::bad_alloc.
    MemoryBackend(Topics& topics, BackendSink& sink, Loop& loop, std::string_view name, std::function<void()> wake);

    void start() override;
    void subscribe(Topic& topic) override;
    void unsubscribe(Topic& topic) override;
    void listen(const TopicRef& replies) override;
    const PublishFormat& format() const override { return plain_publish; }
    void publish(PublishBatch& batch) override;
    void ask(std::unique_ptr<Numsub>& question) override;
    void set_credentials(const std::string&, const std::string&) override {}
    void reconnect() override {}
    void needed() override {}
    void flush() override {}
    std::size_t unsettled() const override;
    void woken() noexcept override;
    void stop(const Error&) override;
    void close_inherited() noexcept override {}

 private:
    bool publish(const PlainPublish::Parts& publish, std::uint64_t& receivers);
    bool try_publish(PublishBatch& batch);
    void try_waiting();
    void expire_waiting() noexcept;
    void settle_waiting(const Error& why) noexcept;
    std::uint64_t deliver(std::string_view channel, std::string_view payload, MessageRef& shared);
    std::uint64_t deliver_reply(std::string_view channel, std::string_view payload);
    void deliver_letters() noexcept;
    void settle(const PublishBatch& batch, const PublishRecord& record, std::uint64_t receivers, const Error& error);

    Topics& topics_;
    BackendSink& sink_;
    PatternIndex patterns_;
    TopicRef reply_topic_;
    std::optional<MemoryBus::Member> member_;
    MemoryBus::Letters letters_;        // taken from the mailbox
    Loop::Timer room_timer_;            // until which a publish waits for room in the others' mailboxes
    std::deque<PublishBatch> waiting_;  // that found none, in order
};

}  // namespace fanwire::core
