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
      placed_(settings.topology == TopologyKind::single),
      attempts_max_(settings.max_reconnect_attempts),
      revive_on_use_(settings.revive_on_use) {
    if (!placed_)
        sentinels_.emplace(settings, endpoint_of(settings), network, random, static_cast<SentinelWatch::Owner&>(*this));
}

void RedisBackend::start() {
    begin();
}

void RedisBackend::begin() {
    rounds_ = 0;
    if (sentinels_) sentinels_->start();
    if (placed_) node_.start();
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
    if (sentinels_) sentinels_->retry();
    node_.retry();
}

void RedisBackend::revive() {
    exhausted_ = false;
    sink_.on_event({.kind = Kind::revived});
    begin();
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
    if (sentinels_) sentinels_->stop();
    node_.stop(why);
}

void RedisBackend::close_inherited() noexcept {
    if (sentinels_) sentinels_->close_inherited();
    node_.close_inherited();
}

void RedisBackend::node_ready(Node&) {
    connected_ = true;
    if (sentinels_) sentinels_->trust();
    sink_.on_event({.kind = Kind::connected});
}

void RedisBackend::node_lost(Node&, const Error& why) {
    if (!std::exchange(connected_, false)) return;
    sink_.on_event({.kind = Kind::disconnected, .why = why});
}

// Whether it is still the master is for the sentinels to say.
void RedisBackend::node_troubled(Node&) {
    if (sentinels_ && !exhausted_) sentinels_->doubt();
}

void RedisBackend::node_exhausted(Node&, const Error& why, std::int64_t attempts) {
    exhausted(why, attempts);
}

void RedisBackend::master_decided(const ServerAddress& master) {
    rounds_ = 0;
    node_.move(master);
    if (!std::exchange(placed_, true)) node_.start();
}

void RedisBackend::no_master(const Error& why) {
    if (attempts_max_ > 0 && ++rounds_ >= attempts_max_) return exhausted(why, rounds_);
    sink_.on_event({.kind = Kind::connect_failed, .why = why, .will_retry = true});
}

void RedisBackend::exhausted(const Error& why, std::int64_t attempts) {
    if (std::exchange(exhausted_, true)) return;
    connected_ = false;
    if (sentinels_) sentinels_->stop();
    node_.give_up(why);
    sink_.on_event({.kind = Kind::connect_failed, .why = why});
    sink_.on_event({.kind = Kind::gave_up, .why = why, .attempt = static_cast<std::uint64_t>(attempts)});
}

}  // namespace fanwire::core
