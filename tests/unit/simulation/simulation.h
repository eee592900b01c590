// The engine's parts without its threads, sockets and time: the Redis backend over simulated wires, the fan-out,
// inboxes, requests and questions against the model of Redis, wired as the engine wires them. A seed decides
// everything.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/backend/redis.h"
#include "core/fanout/fanout.h"
#include "core/protocol/publish_command.h"
#include "tests/unit/simulation/asking.h"
#include "tests/unit/simulation/consumers.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"
#include "tests/unit/simulation/network.h"
#include "tests/unit/simulation/payload.h"
#include "tests/unit/simulation/wire.h"

namespace fanwire::core::simulation {

class Simulation : private BackendSink {
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
        backend_.start();
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
        if (first && subscribe_ready_) answered_.insert(one.target);
        if (!first) {
            if (one.subscription->state() == SubscriptionState::active) one.activated(position_.at(one.target));
        } else {
            backend_.subscribe(*first);
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
            backend_.unsubscribe(*last);
            look_what_is_owed();
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
            unsent_bytes_ +=
                batch_.add(publish_command, "", name, payload, nullptr, reinterpret_cast<void*>(published_), timeout);
            ++unsent_;
        }
        backend_.publish(batch_);
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
        backend_.reconnect();
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
        pump(SIZE_MAX, SIZE_MAX);
        while (!redis.due.empty()) answer(false, false);
    }
    static std::string channel(std::uint32_t i) { return "c" + std::to_string(i); }

 private:
    static constexpr std::uint32_t channels = 4;
    static constexpr std::uint64_t elsewhere = 1'000'000'000'000;  // numbers beyond are not of our calls

    struct Drawn {
        Settings engine;
        Consumers::Limits inboxes;
    };
    struct Published {
        std::string channel;
        std::size_t size = 0;
    };
    Drawn draw_settings() {
        static const Settings usual = [] {
            Options options;
            for (const auto& [name, value] :
                 std::initializer_list<std::pair<const char*, const char*>>{{"host", "redis.test"},
                                                                            {"client_name", "simulated"},
                                                                            {"server_info", "false"},
                                                                            {"max_reconnect_delay_ms", "2000"},
                                                                            {"unsubscribe_linger_ms", "300"},
                                                                            {"drain_wait_ms", "1000"}})
                options.set(name, value);
            return options.resolve([](const char*) { return std::nullopt; });
        }();
        Drawn drawn{usual, {}};
        if (steady_) return drawn;
        Settings& engine = drawn.engine;
        engine.heartbeat_interval_ms = 200 + pick(1000);
        engine.heartbeat_timeout_ms = engine.heartbeat_interval_ms + 100 + pick(3000);
        engine.probe_interval_ms = pick(3) ? 0 : 500 + pick(3000);
        engine.max_reconnect_attempts = pick(8) ? 0 : 1 + pick(6);
        engine.offline = pick(4) ? Offline::queue : Offline::fail;
        engine.unsubscribe_linger_ms = pick(3) ? 300 : 0;
        engine.drain_wait_ms = pick(4) ? 1 + pick(2000) : 0;
        engine.revive_on_use = rarely(2);
        for (InboxLimits& limits : drawn.inboxes) {
            limits.overflow = pick(3) == 0 ? Overflow::conflate
                              : pick(2)    ? Overflow::drop_oldest
                                           : Overflow::drop_newest;
            if (pick(3) == 0) continue;  // never full
            limits.count = 1 + pick(40);
            if (pick(3) == 0) limits.bytes = pick(2) ? 100 + pick(8000) : 20000 + pick(200000);
        }
        return drawn;
    }

    // ---- What the backend reports, passed on as the engine does it ----

    // The model speaks the protocol faultlessly: who understands it otherwise has spoilt it.
    void expect_fault(const char* what, const Error& why) {
        note(what, why.text);
        EXPECT_TRUE(why.status != Status::PROTOCOL_ERROR) << why.text;
    }
    void on_event(const BackendEvent& event) override {
        using Kind = BackendEvent::Kind;
        switch (event.kind) {
            case Kind::links:
                note("links", event.publish, event.subscribe);
                publish_ready_ = event.publish;
                if (std::exchange(subscribe_ready_, event.subscribe) && !event.subscribe) {
                    position_.clear();
                    answered_.clear();
                }
                return;
            case Kind::publishable:
                return begin_to_owe();
            case Kind::connected:
                EXPECT_TRUE(publish_ready_ && subscribe_ready_ && !std::exchange(connected_, true));
                return;
            case Kind::disconnected:
                EXPECT_TRUE(std::exchange(connected_, false));
                return expect_fault("disconnected:", event.why);
            case Kind::connect_failed:
                return expect_fault("an attempt failed:", event.why);
            case Kind::gave_up:
                return gave_up(event.why);
            case Kind::revived:
                return revived();
            case Kind::reply_channel_confirmed:
                answered_.insert(reply_target_);
                asking_.confirmed();
                return look_what_is_owed();
            case Kind::reply_channel_refused:
                answered_.insert(reply_target_);
                asking_.refused(event.why);
                return look_what_is_owed();
            case Kind::reply_channel_lost:
                return asking_.lost();
            case Kind::probe_returned:
                return coverage("a probe comes back");
            case Kind::probe_failed:
                return coverage("a probe fails");
            case Kind::unpublishable:
            case Kind::reconnecting:
            case Kind::output_buffer:
            case Kind::login_refused:
            case Kind::probe_sent:
            case Kind::probe_refused:
            case Kind::probe_reset:
                return;
        }
    }
    void gave_up(const Error& why) {
        EXPECT_FALSE(given_up_);
        coverage("given up");
        connected_ = false;
        given_up_ = why;
        answered_.clear();
        asking_.give_up(why, settings_.engine.revive_on_use);
        fanout_.failed_all(why);
    }
    void revived() {
        coverage("revived");
        given_up_ = {};
        asking_.revive();
        fanout_.wanted_again();
    }
    void on_lost(std::span<Topic* const> topics, const Error& why, GapReason reason) override {
        expect_fault("subscriptions are lost:", why);
        fanout_.lost(topics, why, reason);
    }
    void on_confirmed(Topic& topic, GapReason reason) override {
        const ModelRedis::Target target{topic.kind(), std::string(topic.view())};
        note("confirmed", target.second);
        answered_.insert(target);
        const auto at = subscribe_wire.connection()->subscribed.find(target);
        ASSERT_NE(at, subscribe_wire.connection()->subscribed.end()) << target.second << " is not subscribed";
        position_[target] = std::max(position_[target], at->second);
        std::set<Watched*> inactive;
        for (const auto& one : consumers_.all())
            if (one->target == target && one->subscription->state() != SubscriptionState::active)
                inactive.insert(one.get());
        fanout_.active(topic, reason);
        for (Watched* one : inactive)
            if (one->subscription->state() == SubscriptionState::active) one->activated(position_[target]);
        look_what_is_owed();
    }
    void on_refused(Topic& topic, const Error& why) override {
        note("refused", why.text);
        coverage(status_label(why.status));
        answered_.insert({topic.kind(), std::string(topic.view())});
        fanout_.failed(topic, why);
        look_what_is_owed();
    }
    void on_reply(std::string_view payload) override { asking_.receive(payload); }
    void on_message(Topic* topic, std::string_view channel, std::string_view framed, MessageRef* shared) override {
        EXPECT_FALSE(frame::is_reply_channel(channel) || ModelRedis::is_probe(channel)) << channel << " is our own";
        std::string_view payload = framed;  // without what stands in front of a request's
        if (const auto head = frame::head_of(framed)) {
            payload.remove_prefix(head->size);
            if (shared) coverage("a large request");
        }
        const auto place = redis.place.find(number_of(payload));
        ASSERT_TRUE(place != redis.place.end()) << "received what nobody has published";
        if (!topic) return;
        position_[{topic->kind(), std::string(topic->view())}] = place->second + 1;
        consumers_.expect(*topic, channel, payload, shared != nullptr);
        fanout_.message(*topic, channel, framed, 0, shared);
    }
    void on_settled(const SettledRun& run) override {
        if (run.sink) return asking_.settled(run);
        for (const Settled& publish : run.publishes)
            outcomes_[reinterpret_cast<std::uintptr_t>(publish.user_data)].push_back(run.error.status);
    }
    void on_unqueued(std::size_t count, std::size_t bytes) override {
        EXPECT_GE(unsent_, count);
        unsent_ -= count;
        unsent_bytes_ -= bytes;
    }
    void on_heard(NodeNumber) override { heard_ = true; }
    void on_bytes(std::size_t in, std::size_t) override { bytes_in_ += in; }
    void on_turn_end() override { fanout_.commit(); }

    // ---- What is published in a break is for our own subscriptions, too ----

    void begin_to_owe() {
        owing_ = settings_.engine.drain_wait_ms > 0 && owes();
        owing_until_ = now_ + settings_.engine.drain_wait_ms;
        if (owing_ && unsent_ > 0) coverage("queued publishes wait for subscriptions");
    }
    void look_what_is_owed() {
        if (owing_) owing_ = owes();
    }
    // Whether Redis has not answered yet for one of those that were wanted before the subscribe link was ready.
    bool owes() const {
        for (const auto& one : consumers_.all())
            if (!one->subscription->abandoned() && !answered_.contains(one->target)) return true;
        return reply_topic_ && !answered_.contains(reply_target_);
    }
    void check_written(std::string_view bytes) {
        constexpr std::string_view head = "\r\nPUBLISH\r\n";
        std::size_t at = owing_ ? bytes.find(head) : std::string_view::npos;
        for (; at != std::string_view::npos; at = bytes.find(head, at + 1)) {
            const std::string_view channel = bytes.substr(bytes.find('\n', at + head.size()) + 1);
            if (ModelRedis::is_probe(channel)) continue;  // goes in front of what is held
            EXPECT_GE(now_, owing_until_) << "publishes are sent before our own subscriptions are confirmed";
            return coverage("publishes are sent when drain_wait_ms has passed");
        }
    }

    // The channel for replies is none of the fan-out's topics.
    void listen() {
        note("the reply channel", "is wanted");
        reply_topic_ = Topic::make(TargetKind::channel, reply_target_.second, 0);
        if (subscribe_ready_) answered_.insert(reply_target_);
        backend_.listen(reply_topic_);
    }
    // What requests are to be published goes to the queue with the turn.
    void take_asked() {
        if (!asked_batch_.empty()) backend_.publish(asked_batch_);
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
    void pump() { pump(pick(4) ? SIZE_MAX : pick(100), pick(4) ? SIZE_MAX : pick(100)); }
    // What was asked for is sent, as far as the wires take it.
    void pump(std::size_t publish_takes, std::size_t subscribe_takes) {
        take_asked();
        publish_wire.take(publish_takes);
        subscribe_wire.take(subscribe_takes);
        backend_.flush();
        // What has all been answered in the very turn in which the subscribe link is lost is owed again: the backend
        // acts at the turn's end. The probe's channel is awaited as well, which is the backend's own.
        const bool waits = now_ < owing_until_ && (owing_ || owes() || settings_.engine.probe_interval_ms > 0);
        if (!waits && publish_ready_) {
            EXPECT_TRUE(unsent_ == 0 || publish_wire.blocked()) << "publishes wait for nothing";
        }
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
        if (rarely(4)) {  // both links are renewed when this is found out
            note("probes", redis.loses_probes ? "come back" : "are lost");
            redis.loses_probes = !redis.loses_probes;
            return;
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
        redis.hangs = redis.full = redis.loses_probes = false;
        redis.error.clear();
        redis.publish_error.clear();
        redis.numsub_error.clear();
        redis.forbidden.clear();
        redis.zombies.clear();
        for (int round = 0; round < 400; ++round) {
            flow();
            drain_all();
            if (testing::Test::HasFailure()) return;
            if (backend_.unsettled() == 0 && (given_up_ || is_ready()) && asking_.at_rest()) return;
            advance(100);
        }
        FAIL() << "it does not come to rest";
    }

    bool is_ready() const {
        if (!connected_ || subscribed() != wanted()) return false;
        return std::all_of(consumers_.all().begin(), consumers_.all().end(), [](const auto& one) {
            return one->subscription->abandoned() || one->subscription->state() == SubscriptionState::active;
        });
    }
    std::set<ModelRedis::Target> wanted() const {
        std::set<ModelRedis::Target> all;
        if (given_up_) return all;
        if (reply_topic_) all.insert(reply_target_);
        for (const auto& one : consumers_.all())
            if (!one->subscription->abandoned()) all.insert(one->target);
        return all;
    }
    // But for the probe's channel, which is the backend's own.
    std::set<ModelRedis::Target> subscribed() const {
        std::set<ModelRedis::Target> all;
        for (const auto& connection : redis.connections)
            for (const auto& [target, since] : connection->subscribed)
                if (!ModelRedis::is_probe(target.second)) all.insert(target);
        return all;
    }

    void close() {
        note("the engine", "closes");
        if (subscribe_wire.collecting()) coverage("closed inside a large message");
        take_asked();
        asking_.close();
        backend_.stop({Status::CLOSED, "closed"});
        fanout_.remove_all({Status::CLOSED, "closed"});
        drain_all();
        for (const auto& one : consumers_.all()) EXPECT_TRUE(one->ended) << one->target.second << " has no ENDED";
        EXPECT_EQ(backend_.unsettled(), 0u);
        asking_.check();
        check_publishes();
        consumers_.check_kept();
    }

    void check_subscriptions() {
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
            EXPECT_TRUE(one->active) << one->target.second;
            EXPECT_EQ(one->subscription->state(), SubscriptionState::active);
            consumers_.check_end(*one);
        }
        EXPECT_TRUE(subscribed() == wanted())
            << subscribed().size() << " are subscribed, " << wanted().size() << " wanted";
        if (redis.pattern_matched_replies > 0) coverage("a pattern matches the reply channel");
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
        EXPECT_EQ(bytes_in_, publish_wire.in_passed + subscribe_wire.in_passed);
        EXPECT_EQ(heard_, subscribe_wire.in_passed > 0);
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
    const Drawn settings_;

 public:
    ModelRedis redis;

 private:
    const std::shared_ptr<EngineShare> share_ = std::make_shared<EngineShare>();
    Topics topics_;
    Fanout fanout_{topics_, share_->metrics, 0};
    std::map<std::uintptr_t, std::vector<Status>> outcomes_;
    std::size_t unsent_ = 0, unsent_bytes_ = 0;
    PublishBatch batch_;
    Error given_up_;
    SimulatedNetwork network_{now_, redis, random_, coverage};
    RedisBackend backend_{settings_.engine, network_, [this] { return draw(); }, 7, topics_, fanout_.pool(), *this};
    bool publish_ready_ = false, subscribe_ready_ = false, connected_ = false;
    std::size_t bytes_in_ = 0;
    bool heard_ = false;  // anything on the subscribe link

 public:
    SimulatedWire &publish_wire = network_.wire(0), &subscribe_wire = network_.wire(1);

 private:
    Consumers consumers_{settings_.inboxes, redis, coverage, trace_};
    const ModelRedis::Target reply_target_{TargetKind::channel, frame::reply_channel(Asking::id())};
    TopicRef reply_topic_;  // null until it is wanted
    PublishBatch asked_batch_;
    Asking asking_{steady_,
                   now_,
                   redis,
                   coverage,
                   trace_,
                   {[this] { listen(); }, [this] { backend_.needed(); },
                    [this](const std::string& name, const std::string& framed, const std::shared_ptr<OutcomeSink>& sink,
                           std::uint64_t number, std::uint32_t timeout) {
                        asked_batch_.taken_at = now_;
                        asked_batch_.deadline = now_ + 3000;
                        unsent_bytes_ += asked_batch_.add(publish_command, "", name, framed, sink,
                                                          reinterpret_cast<void*>(number), timeout);
                        ++unsent_;
                    },
                    [this](std::unique_ptr<Numsub>& question) { backend_.ask(question); },
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
