// Where messages come from and go to. One for each engine; IO thread only.
#pragma once

#include <memory>

#include "core/backend/numsub.h"
#include "core/backend/sink.h"
#include "core/message/publish_batch.h"
#include "core/message/topic.h"

namespace fanwire::core {

class Backend {
 public:
    virtual ~Backend() = default;
    virtual void start() = 0;
    // The loop was woken: before what callers want is looked at.
    virtual void woken() noexcept {}
    // May throw std::bad_alloc, as may publish(), and then has changed nothing. All others never throw.
    virtual void subscribe(Topic& topic) = 0;
    virtual void unsubscribe(Topic& topic) = 0;
    // Subscribes the engine's reply channel, which is none of the fan-out's topics. Once. May throw std::bad_alloc, and
    // then has changed nothing.
    virtual void listen(const TopicRef& replies) = 0;
    // How what publish() takes is written.
    virtual const PublishFormat& format() const = 0;
    // Leaves the batch empty, with memory for the next.
    virtual void publish(PublishBatch& batch) = 0;
    // Answers it once, soon or by its deadline, or when it is stopped. Takes it, unless it throws std::bad_alloc.
    virtual void ask(std::unique_ptr<Numsub>& question) = 0;
    virtual void set_credentials(const std::string& username, const std::string& password) = 0;
    // Links that are not ready try again at once, also when they have given up.
    virtual void reconnect() = 0;
    // A publish was refused because there is no connection: what publish() and subscribe() do for themselves.
    virtual void needed() = 0;
    // After some of the calls above: sends what they led to.
    virtual void flush() = 0;
    // Publishes that have no outcome yet.
    virtual std::size_t unsettled() const = 0;
    // Settles all publishes and disconnects, for good.
    virtual void stop(const Error& why) = 0;
    // In the child of a fork(): closes its copies of the sockets and touches nothing else. Thread: any.
    virtual void close_inherited() noexcept = 0;
};

}  // namespace fanwire::core
