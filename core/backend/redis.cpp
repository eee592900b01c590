#include "core/backend/redis.h"

#include <utility>

namespace fanwire::core {

namespace {

using Kind = BackendEvent::Kind;

}  // namespace

RedisBackend::RedisBackend(const Settings& settings, Network& network, Random random, std::uint64_t probe_id,
                           Topics& topics, MessagePool& pool, BackendSink& sink)
    : sink_(sink),
      node_(settings, endpoint_of(settings), network, random, probe_id, topics, pool, sink, *this),
      revive_on_use_(settings.revive_on_use) {}

void RedisBackend::start() {
    node_.start();
}

void RedisBackend::subscribe(Topic& topic) {
    needed();
    node_.subscribe(topic);
}

void RedisBackend::unsubscribe(Topic& topic) {
    node_.unsubscribe(topic);
}

void RedisBackend::listen(const TopicRef& replies) {
    node_.listen(replies);
}

void RedisBackend::publish(PublishBatch& batch) {
    needed();
    node_.publish(batch);
}

void RedisBackend::needed() {
    if (connected_) return;
    if (exhausted_) {
        if (revive_on_use_) revive();
        return;
    }
    node_.needed();
}

void RedisBackend::reconnect() {
    if (exhausted_) return revive();
    node_.retry();
}

void RedisBackend::revive() {
    exhausted_ = false;
    sink_.on_event({.kind = Kind::revived});
    node_.start();
}

void RedisBackend::ask(std::unique_ptr<Numsub>& question) {
    needed();
    node_.ask(question);
}

void RedisBackend::set_credentials(const std::string& username, const std::string& password) {
    node_.set_credentials(username, password);
}

void RedisBackend::flush() {
    node_.flush();
}

void RedisBackend::stop(const Error& why) {
    connected_ = false;
    node_.stop(why);
}

void RedisBackend::close_inherited() noexcept {
    node_.close_inherited();
}

void RedisBackend::node_ready(Node&) {
    connected_ = true;
    sink_.on_event({.kind = Kind::connected});
}

void RedisBackend::node_lost(Node&, const Error& why) {
    if (!std::exchange(connected_, false)) return;
    sink_.on_event({.kind = Kind::disconnected, .why = why});
}

void RedisBackend::node_exhausted(Node& node, const Error& why, std::int64_t attempts) {
    if (std::exchange(exhausted_, true)) return;
    connected_ = false;
    node.give_up(why);
    sink_.on_event({.kind = Kind::connect_failed, .why = why});
    sink_.on_event({.kind = Kind::gave_up, .why = why, .attempt = static_cast<std::uint64_t>(attempts)});
}

}  // namespace fanwire::core
