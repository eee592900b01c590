// The engine's parts, wired as the engine and its Redis backend wire them but without threads, sockets and time: both
// links and their drivers over simulated wires, the tracker, the publish queue, the fan-out and inboxes against the
// model of Redis. A seed decides everything.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/backend/link_driver.h"
#include "core/fanout/fanout.h"
#include "core/protocol/publishing.h"
#include "core/protocol/subscribing.h"
#include "tests/unit/simulation/asking.h"
#include "tests/unit/simulation/consumers.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"
#include "tests/unit/simulation/network.h"
#include "tests/unit/simulation/payload.h"
#include "tests/unit/simulation/wire.h"

namespace fanwire::core::simulation {

class Simulation : private Link::Listener, private Subscribing::Listener {
 public:
    Coverage coverage;

    // `steady`: no inbox overflows, no attempt is the last, nothing is left to chance that the caller wants to decide,
    // and the host has so many `other_addresses` than the first one.
    explicit Simulation(std::uint32_t seed, bool steady = false, bool verbose = false, std::size_t other_addresses = 0)
        : steady_(steady), trace_{verbose, now_}, random_(seed), settings_(draw_settings()) {
        publish_wire.on_write = [this](std::string_view bytes) { check_written(bytes); };
        for (SimulatedWire* wire : {&publish_wire, &subscribe_wire}) {
            wire->others = steady_ || pick(2) ? other_addresses : pick(3);
            wire->memory_lacks = !steady_;
        }
        start();
        pump();
    }
    ~Simulation() override {
        fanout_.remove_all({Status::CLOSED, "closed"});
        consumers_.close();
    }
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    // A schedule of its own making, from beginning to end.
    void run(int steps) {
        const int closes_at = pick(6) ? steps : static_cast<int>(pick(static_cast<std::uint32_t>(steps)));
        for (int i = 0; i < closes_at && !testing::Test::HasFailure(); ++i) step();
        if (testing::Test::HasFailure()) return;
        if (closes_at < steps) {
            if (rarely(3)) {  // there is more to close in the middle of a large message
                publish_elsewhere();
                subscribe_wire.client_takes(pick(100000));
            }
            close();
        } else {
            finish();
        }
    }

    // Everything works again: it must come to rest, and then all must be well.
    void finish() {
        settle();
        if (testing::Test::HasFailure()) return;
        if (given_up_ && rarely(2)) {
            reconnect();
            settle();
            if (testing::Test::HasFailure()) return;
        }
        // One more to everybody: what was missing before it shows now.
        for (std::uint32_t i = 0; i < channels; ++i) publish(channel(i));
        asking_.cancel_all();
        asking_.calm();
        redis.others["c0"] = 2;
        ask("c0", 2, 20000);
        settle();
        if (!given_up_ && !asking_.last_is_answered()) {  // a break was to come in the midst of it
            ask("c0", 2, 20000);
            settle();
            EXPECT_TRUE(asking_.last_is_answered()) << "nothing is heard of the last request";
        }
        if (testing::Test::HasFailure()) return;
        check_subscriptions();
        asking_.check();
        check_publishes();
        consumers_.check_kept();
    }

    // ---- What may happen ----

    void subscribe(TargetKind kind, const std::string& name) {
        note("subscribe", name);
        Watched& one = consumers_.add(kind, name, pick(2), share_);
        Topic* const first = fanout_.add(one.subscription);
        if (first && subscribe_link_.state() == Link::State::ready) answered_.insert(one.target);
        if (!first) {
            if (one.subscription->state() == SubscriptionState::active) one.activated(position_.at(one.target));
        } else {
            needed();
            subscribing_.want(*first, now_);
            if (given_up_) fanout_.failed(*first, given_up_);
        }
    }
    void unsubscribe(std::size_t which) {
        Watched& one = *consumers_.all()[which];
        if (!one.subscription->abandon()) return;
        note("unsubscribe", one.target.second);
        if (subscribe_wire.collecting()) coverage("unsubscribed inside a large message");
        consumers_.unsubscribed(one);
        if (const TopicRef last = fanout_.remove(*one.subscription, {Status::UNSUBSCRIBED, "unsubscribed"})) {
            subscribing_.unwant(*last, now_);
            release();
            topics_.forget_if_unused(*last);
        }
    }
    void publish(const std::string& name) {
        note("publish", published_ + 1, "on", name);
        batch_.taken_at = now_;
        batch_.deadline = now_ + 3000;
        for (std::uint32_t i = pick(8) ? 1 : 1 + pick(4); i > 0; --i) {
            ++published_;
            // Some are too large for the chunk that they begin in.
            const std::string payload = payload_of(published_, pick(1000) ? pick(200) : 70000);
            all_published_[published_] = {name, payload.size()};
            const std::uint32_t timeout = !steady_ && rarely(8) ? 1 + pick(6000) : 0;
            unsent_bytes_ += batch_.add("", name, payload, nullptr, reinterpret_cast<void*>(published_), timeout);
            ++unsent_;
        }
        needed();
        publishing_.publish(batch_);
    }
    // See Asking. Most have a time, and few are large.
    void ask(const std::string& name, std::uint64_t expect, TimeMs timeout, std::size_t filling = 0) {
        asking_.ask(name, expect, timeout, filling);
    }
    void count(const std::string& name, TimeMs timeout) { asking_.count(name, timeout); }
    // What others have to answer is published, lost, or published twice.
    void answer(bool lose, bool twice) {
        if (redis.due.empty() || redis.hangs || !redis.error.empty()) return;
        const ModelRedis::Due due = redis.due.front();
        redis.due.pop_front();
        note("a reply to", due.request, lose ? "is lost" : twice ? "is published twice" : "is published");
        if (lose) return;
        for (int i = 0; i < (twice ? 2 : 1); ++i) redis.answer(due);
    }
    void reconnect() {
        note("the engine", "is told to connect");
        if (given_up_) return revive();
        publish_link_.retry(now_);
        subscribe_link_.retry(now_);
    }
    // Large messages that another client publishes, so that only their delivery costs time here.
    void publish_elsewhere() {
        if (redis.hangs || !redis.error.empty()) return;
        const auto& connection = subscribe_wire.connection();
        if ((!connection || connection->subscribed.empty()) && !rarely(8))
            return;  // it would cost time and show little
        const std::string name = channel(pick(channels));
        for (std::uint32_t i = 1 + pick(4); i > 0; --i)
            publish_elsewhere(pick(4) ? name : channel(pick(channels)), large());
    }
    void publish_elsewhere(const std::string& name, std::size_t size) {
        const std::uint64_t number = elsewhere + ++published_elsewhere_;
        note("elsewhere publish", number, "of", size, "on", name);
        const std::string payload = payload_of(number, size);
        all_published_[number] = {name, payload.size()};
        redis.publish(name, payload);
    }
    void drain(std::size_t which, std::size_t capacity) {
        fanout_.commit();
        consumers_.drain(which, capacity);
    }
    void drain_all() {
        drain(0, SIZE_MAX);
        drain(1, SIZE_MAX);
    }
    void advance(TimeMs by) {
        take_asked();
        now_ += by;
        network_.run_timers();
        asking_.tick();
    }
    // All that is under way arrives, and what that leads to is sent.
    void flow() {
        for (SimulatedWire* wire : {&publish_wire, &subscribe_wire}) {
            wire->connect();
            wire->server_takes(SIZE_MAX);
            wire->client_takes(SIZE_MAX);
        }
        pump_subscriptions(SIZE_MAX);
        pump_publishes(SIZE_MAX);
        while (!redis.due.empty()) answer(false, false);
    }
    static std::string channel(std::uint32_t i) { return "c" + std::to_string(i); }

 private:
    static constexpr std::uint32_t channels = 4;
    static constexpr std::uint64_t elsewhere = 1'000'000'000'000;  // numbers beyond are not of our calls

    struct Settings {
        LinkConfig link;
        Offline offline = Offline::queue;
        TimeMs linger = 300, drain_wait = 1000;
        bool revive_on_use = false;
        Consumers::Limits limits;
    };
    struct Published {
        std::string channel;
        std::size_t size = 0;
    };
    Settings draw_settings() {
        Settings drawn;
        drawn.link.handshake = {"simulated", 0};
        drawn.link.reconnect.max = 2000;
        if (steady_) return drawn;
        drawn.link.heartbeat_interval = 200 + pick(1000);
        drawn.link.heartbeat_timeout = drawn.link.heartbeat_interval + 100 + pick(3000);
        drawn.link.reconnect_attempts_max = pick(8) ? 0 : 1 + pick(6);
        drawn.offline = pick(4) ? Offline::queue : Offline::fail;
        drawn.linger = pick(3) ? 300 : 0;
        drawn.drain_wait = pick(4) ? 1 + pick(2000) : 0;
        drawn.revive_on_use = rarely(2);
        for (InboxLimits& limits : drawn.limits) {
            limits.overflow = pick(3) == 0 ? Overflow::conflate
                              : pick(2)    ? Overflow::drop_oldest
                                           : Overflow::drop_newest;
            if (pick(3) == 0) continue;  // never full
            limits.count = 1 + pick(40);
            if (pick(3) == 0) limits.bytes = pick(2) ? 100 + pick(8000) : 20000 + pick(200000);
        }
        return drawn;
    }

    // ---- Of the links, as the Redis backend does it ----

    struct PublishSide : Link::Listener, Publishing::Listener {
        explicit PublishSide(Simulation& s) : simulation(s) {}
        void link_ready() override {
            simulation.note("publish link", "ready");
            simulation.hold();
            simulation.asking_.publish_link_ready();
            simulation.ready_ = true;
        }
        void link_lost(const Error& why) override {
            simulation.expect_fault("publish link lost:", why);
            simulation.asking_.publish_link_lost(why);
        }
        void numsub_answered(const Reply& reply) override { simulation.asking_.numsub_answered(reply); }
        void link_failed(const Error& why, bool will_retry) override {
            simulation.expect_fault("publish link failed:", why);
            if (!will_retry) simulation.exhausted_ = why;
        }
        void link_retry(std::uint32_t, TimeMs) override {}
        Simulation& simulation;
    };
    // The model speaks the protocol faultlessly: who understands it otherwise has spoilt it.
    void expect_fault(const char* what, const Error& why) {
        note(what, why.text);
        EXPECT_TRUE(why.status != Status::PROTOCOL_ERROR) << why.text;
    }
    void link_ready() override {
        note("subscribe link", "ready");
        ready_ = true;
    }
    // What a link reported is acted on at the end of the turn, as Node does it.
    void turn_end() {
        while (exhausted_ || ready_) {
            const bool ready = std::exchange(ready_, false);
            if (const Error why = std::exchange(exhausted_, {})) {
                give_up(why);
                continue;
            }
            if (ready) publish_link_.hurry(now_), subscribe_link_.hurry(now_);
            flush();
        }
    }
    void flush() {
        subscribe_driver_.flush();
        publish_driver_.flush();
    }
    void start() {
        subscribe_driver_.start();
        publish_driver_.start();
        turn_end();
    }
    void needed() {
        if (publish_link_.state() == Link::State::ready && subscribe_link_.state() == Link::State::ready) return;
        if (given_up_) {
            if (settings_.revive_on_use) revive();
            return;
        }
        publish_link_.needed(now_);
        subscribe_link_.needed(now_);
    }
    void hold() {
        if (settings_.drain_wait > 0 && subscribing_.tracker().awaited() > 0)
            publishing_.hold(now_ + settings_.drain_wait);
        owing_ = settings_.drain_wait > 0 && owes();
        owing_until_ = now_ + settings_.drain_wait;
        if (owing_ && unsent_ > 0) coverage("queued publishes wait for subscriptions");
    }
    void release() {
        if (publishing_.held() && subscribing_.tracker().awaited() == 0) publishing_.release();
        if (owing_) owing_ = owes();
    }
    // Whether Redis has not answered yet for one of those that were wanted before the subscribe link was ready.
    bool owes() const {
        for (const auto& one : consumers_.all())
            if (!one->subscription->abandoned() && !answered_.contains(one->target)) return true;
        return reply_topic_ && !answered_.contains(reply_target_);
    }
    // The channel for replies is none of the fan-out's topics.
    void listen() {
        note("the reply channel", "is wanted");
        reply_topic_ = Topic::make(TargetKind::channel, reply_target_.second, 0);
        if (subscribe_link_.state() == Link::State::ready) answered_.insert(reply_target_);
        subscribing_.want(*reply_topic_, now_);
    }
    // What requests are to be published goes to the queue with the turn.
    void take_asked() {
        if (!asked_batch_.empty()) publishing_.publish(asked_batch_);
    }
    void pump_publishes(std::size_t writable) {
        take_asked();
        publish_wire.take(writable);
        publish_driver_.flush();
        turn_end();
        const bool waits = owing_ && now_ < owing_until_;
        if (!waits && publish_link_.state() == Link::State::ready) {
            EXPECT_TRUE(unsent_ == 0 || publish_wire.blocked()) << "publishes wait for nothing";
        }
    }
    void pump_subscriptions(std::size_t writable) {
        subscribe_wire.take(writable);
        subscribe_driver_.flush();
        turn_end();
    }
    void check_written(std::string_view bytes) {
        if (!owing_ || bytes.find("\r\nPUBLISH\r\n") == std::string_view::npos) return;
        EXPECT_GE(now_, owing_until_) << "publishes are sent before our own subscriptions are confirmed";
        coverage("publishes are sent when drain_wait_ms has passed");
    }
    void revive() {
        coverage("revived");
        given_up_ = {};
        asking_.revive();
        fanout_.wanted_again();
        start();
    }
    void link_lost(const Error& why) override {
        expect_fault("subscribe link lost:", why);
        position_.clear();
        answered_.clear();
        asking_.lost();
    }
    void lost(std::span<Topic* const> topics, const Error& why) noexcept override {
        fanout_.lost(topics, why, GapReason::reconnect);
    }
    void link_failed(const Error& why, bool will_retry) override {
        expect_fault("subscribe link failed:", why);
        if (!will_retry) exhausted_ = why;
    }
    void link_retry(std::uint32_t, TimeMs) override {}
    void give_up(const Error& why) {
        if (given_up_) return;
        coverage("given up");
        given_up_ = why;
        if (subscribe_link_.state() == Link::State::ready) asking_.lost();
        answered_.clear();
        publish_link_.give_up(why, now_);
        subscribe_link_.give_up(why, now_);
        flush();
        asking_.give_up(why, settings_.revive_on_use);
        fanout_.failed_all(why);
    }
    void confirmed(Topic& topic) override {
        const ModelRedis::Target target{topic.kind(), std::string(topic.view())};
        note("confirmed", target.second);
        answered_.insert(target);
        const auto at = subscribe_wire.connection()->subscribed.find(target);
        ASSERT_NE(at, subscribe_wire.connection()->subscribed.end()) << target.second << " is not subscribed";
        if (&topic == reply_topic_.get()) {
            asking_.confirmed();
            return release();
        }
        position_[target] = std::max(position_[target], at->second);
        std::set<Watched*> inactive;
        for (const auto& one : consumers_.all())
            if (one->target == target && one->subscription->state() != SubscriptionState::active)
                inactive.insert(one.get());
        fanout_.active(topic);
        for (Watched* one : inactive)
            if (one->subscription->state() == SubscriptionState::active) one->activated(position_[target]);
        release();
    }
    void refused(Topic& topic, const Error& why) override {
        note("refused", why.text);
        coverage(status_label(why.status));
        answered_.insert({topic.kind(), std::string(topic.view())});
        if (&topic == reply_topic_.get())
            asking_.refused(why);
        else
            fanout_.failed(topic, why);
        release();
    }
    void message(const PushFrame& received, Topic* topic) override {
        if ((!topic || received.kind == TargetKind::pattern) && frame::is_reply_channel(received.channel)) {
            if (received.name == reply_target_.second)
                asking_.receive(received.payload);
            else
                coverage("a pattern matches the reply channel");
            return;
        }
        PushFrame frame = received;  // without what stands in front of a request's payload
        if (const auto head = frame::head_of(received.payload)) {
            frame.payload.remove_prefix(head->size);
            if (frame.storage) coverage("a large request");
        }
        const auto place = redis.place.find(number_of(frame.payload));
        ASSERT_TRUE(place != redis.place.end()) << "received what nobody has published";
        position_[{frame.kind, std::string(frame.name)}] = place->second + 1;
        if (!topic) return;
        consumers_.expect(*topic, frame);
        MessageRef storage = MessageRef::share(frame.storage);
        fanout_.message(*topic, received.channel, received.payload, 0, storage ? &storage : nullptr);
    }

    // ---- The schedule ----

    std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }
    bool rarely(std::uint32_t n) { return pick(n) == 0; }
    std::size_t some() { return pick(3) ? SIZE_MAX : 1 + pick(60); }
    // Of what has arrived: large messages are often cut anywhere.
    std::size_t some_of(const SimulatedWire& wire) {
        const auto arrived = static_cast<std::uint32_t>(wire.arrived());
        return arrived > large_min && pick(2) ? 1 + pick(arrived) : some();
    }
    // Around the size from which on messages are large, and seldom beyond the one that gets its memory at once.
    std::size_t large() {
        if (rarely(130)) return (std::size_t{1} << 20) + pick(60000);
        return rarely(25) ? 100000 + pick(300000) : large_min - 100 + pick(30000);
    }
    SimulatedWire& either() { return pick(2) ? publish_wire : subscribe_wire; }
    ModelRedis::Target any_target() {
        static const std::string patterns[] = {"c*", "c[01]", "c?", "*3", "c0", "c1"};  // two have a channel's name
        if (pick(3)) return {TargetKind::channel, channel(pick(channels))};
        return {TargetKind::pattern, patterns[pick(6)]};
    }
    void pump() {
        pump_publishes(pick(4) ? SIZE_MAX : pick(100));
        pump_subscriptions(pick(4) ? SIZE_MAX : pick(100));
    }

    void step() {
        if (subscribe_wire.collecting() && rarely(5)) disturb();
        switch (pick(28)) {
            case 0:
            case 1: {
                const auto [kind, name] = any_target();
                for (std::uint32_t i = rarely(8) ? pick(6) : 1; i > 0; --i) subscribe(kind, name);
                break;
            }
            case 2:
            case 3:
                for (std::uint32_t i = rarely(8) ? pick(6) : 1; i > 0 && !consumers_.all().empty(); --i)
                    unsubscribe(pick(static_cast<std::uint32_t>(consumers_.all().size())));
                break;
            case 4:
            case 5:
            case 6:
            case 7:
                rarely(75) ? publish_elsewhere() : publish(channel(pick(channels)));
                break;
            case 8:
            case 9:
            case 10:
                either().server_takes(some());
                break;
            case 11:
            case 12:
            case 13:
                client_takes(either());
                break;
            case 14:
                drain(pick(2), pick(20));
                break;
            case 15:
            case 16:
                either().connect();
                break;
            case 17:
                if (rarely(5)) break_off();
                break;
            case 18:
                rarely(2) ? either().refuse() : either().lose_patience();
                break;
            case 19:
                if (rarely(6)) redis.hangs = !redis.hangs;
                if (rarely(given_up_ ? 6 : 30)) reconnect();
                break;
            case 20:
                if (rarely(4)) change_acl();
                break;
            case 21:
                if (rarely(6)) change_errors();
                break;
            case 22:
                zombie_moves();
                break;
            case 23:
                advance(pick(rarely(8) ? 5000 : 800));
                break;
            case 24:
                if (rarely(5))
                    asking_.cancel();
                else
                    ask(channel(pick(channels)), pick(2) ? pick(4) : 0, rarely(6) ? 0 : 1 + pick(6000), filling());
                break;
            case 25:
                if (rarely(2)) count(channel(pick(channels)), 1 + pick(4000));
                break;
            case 26:
            case 27:
                if (rarely(4)) redis.others[channel(pick(channels))] = pick(4);
                if (rarely(20)) redis.deliver(reply_target_.second, stray());
                for (std::uint32_t i = pick(4); i > 0; --i) answer(rarely(4), rarely(6));
                break;
        }
        // The network goes on by itself, too.
        for (SimulatedWire* wire : {&publish_wire, &subscribe_wire}) {
            if (rarely(2)) continue;
            wire->connect();
            wire->server_takes(some());
            client_takes(*wire);
        }
        pump();
    }
    std::size_t filling() { return rarely(40) ? large() : rarely(8) ? pick(6000) : pick(200); }
    // What somebody else publishes on the reply channel.
    std::string stray() {
        switch (pick(4)) {
            case 0:
                return frame::reply(1'000'000 + pick(1000), "guessed");
            case 1:
                return frame::plain("plain");
            case 2:
                return frame::request({Asking::id(), 1, 0}, "a request");
            default:
                return frame::reply(1, "").substr(0, pick(14));
        }
    }
    // A large message has come in part.
    void disturb() {
        switch (pick(4)) {
            case 0:
                break_off();
                break;
            case 1:
                unsubscribe(pick(static_cast<std::uint32_t>(consumers_.all().size())));
                break;
            case 2:
                advance(pick(5000));
                break;
            case 3:
                drain(pick(2), pick(20));
                break;
        }
    }
    void client_takes(SimulatedWire& wire) { wire.client_takes(some_of(wire)); }
    void break_off() {
        if (rarely(4)) {  // as after a failed probe
            subscribe_link_.renew({Status::CONNECTION_LOST, "not to be trusted"}, now_);
            return subscribe_driver_.flush();
        }
        const bool restart = rarely(3);
        note(restart ? "the server" : "a connection", restart ? "restarts" : "breaks");
        SimulatedWire& first = either();
        first.closes_at_once = !rarely(3);
        first.break_off();
        if (!restart) return;
        redis.zombies.clear();
        redis.hangs = false;
        redis.error = rarely(2) ? "" : "LOADING Redis is loading the dataset in memory";
        publish_wire.closes_at_once = subscribe_wire.closes_at_once = true;
        publish_wire.break_off();
        subscribe_wire.break_off();
    }
    // A revocation ends the connections that use what is revoked, as ACL SETUSER does.
    void change_acl() {
        const ModelRedis::Target target = rarely(6) ? reply_target_ : any_target();
        note(redis.forbidden.contains(target.second) ? "the ACL grants" : "the ACL revokes", target.second);
        if (redis.forbidden.erase(target.second) > 0) return;
        redis.forbidden.insert(target.second);
        if (subscribe_wire.connection() && subscribe_wire.connection()->subscribed.contains(target))
            subscribe_wire.break_off();
    }
    void change_errors() {
        static const std::string all[] = {"LOADING Redis is loading the dataset in memory",
                                          "NOAUTH Authentication required.", "ERR some other fault"};
        static const std::string publish[] = {"MISCONF Redis is configured to save RDB snapshots, but cannot",
                                              "READONLY You can't write against a read only replica.",
                                              "NOPERM this user has no permissions to access the channel"};
        switch (pick(4)) {
            case 3:
                redis.numsub_error =
                    redis.numsub_error.empty() ? "NOPERM this user has no permissions to run the command" : "";
                break;
            case 0:
                redis.error = redis.error.empty() ? all[pick(3)] : "";
                break;
            case 1:
                redis.publish_error = redis.publish_error.empty() ? publish[pick(3)] : "";
                break;
            case 2:
                redis.full = !redis.full;
                break;
        }
        note("the server answers", redis.error + redis.publish_error + (redis.full ? "full" : ""));
    }
    void zombie_moves() {
        if (redis.zombies.empty()) return;
        coverage("a zombie moves");
        redis.take(*redis.zombies.front(), some());
        if (redis.zombies.front()->to_server.empty()) redis.zombies.erase(redis.zombies.begin());
    }

    // ---- The end ----

    void settle() {
        note("everything", "works again");
        redis.hangs = redis.full = false;
        redis.error.clear();
        redis.publish_error.clear();
        redis.numsub_error.clear();
        redis.forbidden.clear();
        redis.zombies.clear();
        for (int round = 0; round < 400; ++round) {
            flow();
            drain_all();
            if (testing::Test::HasFailure()) return;
            const bool ready = publish_link_.state() == Link::State::ready && subscribing_.tracker().settled();
            if (publishing_.queue().unsettled() == 0 && (given_up_ || ready) && asking_.at_rest()) return;
            advance(100);
        }
        FAIL() << "it does not come to rest";
    }

    void close() {
        note("the engine", "closes");
        if (subscribe_wire.collecting()) coverage("closed inside a large message");
        take_asked();
        asking_.close();
        publishing_.fail_all({Status::CLOSED, "closed"});
        publish_driver_.stop();
        subscribe_driver_.stop();
        fanout_.remove_all({Status::CLOSED, "closed"});
        drain_all();
        for (const auto& one : consumers_.all()) EXPECT_TRUE(one->ended) << one->target.second << " has no ENDED";
        EXPECT_EQ(publishing_.queue().unsettled(), 0u);
        asking_.check();
        check_publishes();
        consumers_.check_kept();
    }

    void check_subscriptions() {
        std::set<ModelRedis::Target> wanted, subscribed;
        if (reply_topic_ && !given_up_) wanted.insert(reply_target_);
        for (const auto& one : consumers_.all()) {
            if (one->subscription->abandoned()) {
                EXPECT_TRUE(one->ended) << one->target.second << " has no ENDED";
                continue;
            }
            EXPECT_FALSE(one->ended);
            if (given_up_) {
                EXPECT_EQ(one->subscription->state(), SubscriptionState::failed);
                EXPECT_FALSE(one->active);
                continue;
            }
            wanted.insert(one->target);
            EXPECT_TRUE(one->active) << one->target.second;
            EXPECT_EQ(one->subscription->state(), SubscriptionState::active);
            consumers_.check_end(*one);
        }
        for (const auto& connection : redis.connections)
            for (const auto& [target, since] : connection->subscribed) subscribed.insert(target);
        EXPECT_TRUE(subscribed == wanted) << subscribed.size() << " are subscribed, " << wanted.size() << " wanted";
    }

    void check_publishes() {
        for (const ModelRedis::Executed& executed : redis.log) {
            const auto asked = asking_.payload_sizes.find(executed.number);
            const Published published = asked != asking_.payload_sizes.end()
                                            ? Published{asked->second.first, asked->second.second}
                                            : all_published_[executed.number];
            EXPECT_TRUE(published.channel == executed.channel && published.size == executed.size) << executed.number;
        }
        EXPECT_EQ(unsent_, 0u);
        EXPECT_EQ(unsent_bytes_, 0u);
        EXPECT_EQ(outcomes_.size(), published_);
        EXPECT_EQ(publish_in_, publish_wire.in_passed);
        EXPECT_EQ(subscribe_in_, subscribe_wire.in_passed);
        std::size_t last = 0;
        for (const auto& [number, all] : outcomes_) {
            ASSERT_EQ(all.size(), 1u) << "publish " << number;
            const bool executed = redis.place.contains(number);
            coverage(status_label(all[0]));
            if (all[0] == Status::OUTCOME_UNKNOWN && executed) coverage("unknown, and executed");
            switch (all[0]) {
                case Status::OK:
                    EXPECT_TRUE(executed) << "publish " << number << " is OK and was not executed";
                    // In the order of the calls: what is OK was answered on a connection that was still ours.
                    if (!executed) break;
                    EXPECT_GE(redis.place[number], last) << "publish " << number << " was executed out of order";
                    last = redis.place[number];
                    break;
                case Status::OUTCOME_UNKNOWN:
                    break;
                // Unsent when it failed, or refused by Redis.
                case Status::CLOSED:
                case Status::NOT_CONNECTED:
                case Status::NO_PERMISSION:
                case Status::AUTH_FAILED:
                case Status::REDIS_ERROR:
                case Status::CONNECTION_LOST:
                case Status::TIMEOUT:
                    EXPECT_FALSE(executed) << "publish " << number << " failed and was executed";
                    break;
                default:
                    ADD_FAILURE() << "publish " << number << " ended otherwise";
            }
        }
    }

    static const char* status_label(Status status) { return find_status(static_cast<int>(status))->name; }
    template <class... Parts>
    void note(const Parts&... parts) const {
        trace_(parts...);
    }

    const bool steady_;
    TimeMs now_ = 0;
    const Trace trace_;
    std::mt19937 random_;
    const Settings settings_;

 public:
    ModelRedis redis;

 private:
    const std::shared_ptr<EngineShare> share_ = std::make_shared<EngineShare>();
    Topics topics_;
    Fanout fanout_{topics_, share_->metrics, 0};
    PublishSide publish_side_{*this};
    std::map<std::uintptr_t, std::vector<Status>> outcomes_;
    std::size_t unsent_ = 0, unsent_bytes_ = 0;
    PublishBatch batch_;
    Error given_up_;
    Login login_;
    Publishing publishing_{
        settings_.offline, publish_side_,
        [this](const SettledRun& run) {
            if (run.sink) return asking_.settled(run);
            for (const Settled& publish : run.publishes)
                outcomes_[reinterpret_cast<std::uintptr_t>(publish.user_data)].push_back(run.error.status);
        },
        [this](std::size_t count, std::size_t bytes) {
            EXPECT_GE(unsent_, count);
            unsent_ -= count;
            unsent_bytes_ -= bytes;
        }};
    Subscribing subscribing_{settings_.linger, settings_.link.reconnect.max, topics_, *this, &fanout_.pool()};
    Link publish_link_{settings_.link, [this] { return draw(); }, login_, publishing_, publish_side_};
    Link subscribe_link_{settings_.link, [this] { return draw(); }, login_, subscribing_, *this};
    SimulatedNetwork network_{now_, redis, random_, coverage};
    const Endpoint endpoint_;
    std::size_t publish_in_ = 0, subscribe_in_ = 0;  // bytes, as the drivers count them
    LinkDriver publish_driver_{network_, endpoint_, publish_link_,
                               [this](std::size_t in, std::size_t) { publish_in_ += in; }, [this] { turn_end(); }};
    LinkDriver subscribe_driver_{network_, endpoint_, subscribe_link_,
                                 [this](std::size_t in, std::size_t) { subscribe_in_ += in; }, [this] { turn_end(); }};
    bool ready_ = false;  // a link has become, and the other one has not heard of it
    Error exhausted_;     // a link's last attempt has failed so

 public:
    SimulatedWire &publish_wire = network_.wire(0), &subscribe_wire = network_.wire(1);

 private:
    Consumers consumers_{settings_.limits, redis, coverage, trace_};
    const ModelRedis::Target reply_target_{TargetKind::channel, frame::reply_channel(Asking::id())};
    TopicRef reply_topic_;  // null until it is wanted
    PublishBatch asked_batch_;
    Asking asking_{steady_,
                   now_,
                   redis,
                   coverage,
                   trace_,
                   {[this] { listen(); }, [this] { needed(); },
                    [this](const std::string& name, const std::string& framed, const std::shared_ptr<OutcomeSink>& sink,
                           std::uint64_t number, std::uint32_t timeout) {
                        asked_batch_.taken_at = now_;
                        asked_batch_.deadline = now_ + 3000;
                        unsent_bytes_ +=
                            asked_batch_.add("", name, framed, sink, reinterpret_cast<void*>(number), timeout);
                        ++unsent_;
                    },
                    [this](std::string_view command) { publishing_.ask_numsub(command); },
                    [this](std::uint32_t n) { return pick(n); }}};
    // Of what is subscribed on the present connection: up to where in the log the client has received.
    std::map<ModelRedis::Target, std::size_t> position_;
    // Confirmed or refused on the present subscribe link, or wanted since it was ready.
    std::set<ModelRedis::Target> answered_;
    // The publish link became ready when others were wanted, and has to wait for them so long.
    bool owing_ = false;
    TimeMs owing_until_ = 0;
    std::uintptr_t published_ = 0;
    std::uint64_t published_elsewhere_ = 0;
    std::map<std::uint64_t, Published> all_published_;
};

}  // namespace fanwire::core::simulation
