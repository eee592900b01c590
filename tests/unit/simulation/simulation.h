// The engine's parts, wired as the engine and its Redis backend wire them but without threads, sockets and time: both
// links, the tracker, the publish queue, the fan-out and inboxes against the model of Redis. A seed decides everything.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/fanout/fanout.h"
#include "core/net/event_fd.h"
#include "core/protocol/publisher.h"
#include "core/protocol/subscriber.h"
#include "tests/support/drained.h"
#include "tests/support/topics.h"
#include "tests/unit/simulation/wire.h"

namespace fanwire::core::simulation {

// What a set of schedules has come to: one that never came to it proves nothing.
struct Coverage {
    std::map<std::string, std::uint64_t> times;
    void operator()(const char* what) { ++times[what]; }
};

class Simulation : private Subscriber::Listener {
   public:
    Coverage coverage;

    // `steady`: no inbox overflows, no attempt is the last, nothing is left to chance that the caller wants to decide.
    explicit Simulation(std::uint32_t seed, bool steady = false, bool verbose = false)
        : steady_(steady), verbose_(verbose), random_(seed), settings_(draw_settings()) {
        inboxes_[0] = std::make_shared<Inbox>(settings_.limits[0], make_event_fd);
        inboxes_[1] = std::make_shared<Inbox>(settings_.limits[1], make_event_fd);
        publisher_.start(now_);
        subscriber_.start(now_);
        pump();
    }
    ~Simulation() override {
        fanout_.remove_all({Status::CLOSED, "closed"});
        for (const auto& inbox : inboxes_) inbox->close();
    }
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    // A schedule of its own making, from beginning to end.
    void run(int steps) {
        const int closes_at = pick(6) ? steps : static_cast<int>(pick(static_cast<std::uint32_t>(steps)));
        for (int i = 0; i < closes_at && !testing::Test::HasFailure(); ++i) step();
        if (testing::Test::HasFailure()) return;
        if (closes_at < steps) {
            close();
        } else {
            finish();
        }
    }

    // Everything works again: it must come to rest, and then all must be well.
    void finish() {
        settle();
        if (testing::Test::HasFailure()) return;
        // One more to everybody: what was missing before it shows now.
        for (std::uint32_t i = 0; i < channels; ++i) publish(channel(i));
        settle();
        if (testing::Test::HasFailure()) return;
        check_subscriptions();
        check_publishes();
    }

    // ---- What may happen ----

    void subscribe(TargetKind kind, const std::string& name) {
        note("subscribe", name);
        auto fresh = std::make_unique<Watched>();
        fresh->target = {kind, name};
        const std::size_t which = pick(2);
        fresh->inbox = inboxes_[which].get();
        fresh->conflates = settings_.limits[which].overflow == Overflow::conflate;
        fresh->subscription = make_subscription(kind, name, inboxes_[which], fresh.get(), monitor_);
        watched_.push_back(std::move(fresh));
        Watched& one = *watched_.back();
        Topic* const first = fanout_.add(one.subscription);
        if (!first) {
            if (one.subscription->state() == SubscriptionState::active) one.activated(position_.at(one.target));
        } else if (given_up_) {
            fanout_.failed(*first, given_up_);
        } else {
            subscriber_.want(*first, now_);
        }
    }
    void unsubscribe(std::size_t which) {
        Watched& one = *watched_[which];
        if (!one.subscription->give_up()) return;
        note("unsubscribe", one.target.second);
        if (const TopicRef last = fanout_.remove(*one.subscription, {Status::UNSUBSCRIBED, "unsubscribed"})) {
            subscriber_.unwant(*last, now_);
            topics_.forget_if_unused(*last);
        }
    }
    void publish(const std::string& name) {
        note("publish " + std::to_string(published_ + 1) + " on", name);
        batch_.deadline = now_ + 3000;
        for (std::uint32_t i = pick(8) ? 1 : 1 + pick(4); i > 0; --i) {
            ++published_;
            published_on_[published_] = name;
            // Some are too large for the chunk that they begin in.
            const std::size_t filling = pick(1000) ? pick(200) : 70000;
            unsent_bytes_ += batch_.add("", name, std::to_string(published_) + std::string(filling, ' '), nullptr,
                                        reinterpret_cast<void*>(published_));
            ++unsent_;
        }
        publisher_.publish(batch_);
    }
    void drain(std::size_t which, std::size_t capacity) {
        fanout_.commit();
        const Drained drained(*inboxes_[which], capacity);
        EXPECT_LE(drained.events.size(), capacity);
        for (const Event& event : drained.events) see(*static_cast<Watched*>(event.user_data), event);
    }
    void drain_all() {
        drain(0, SIZE_MAX);
        drain(1, SIZE_MAX);
    }
    void advance(TimeMs by) {
        now_ += by;
        publisher_.tick(now_);
        subscriber_.tick(now_);
    }
    // All that is under way arrives, and what that leads to is sent.
    void flow() {
        for (Wire* wire : {&publish_wire, &subscribe_wire}) {
            wire->open(now_);
            wire->server_takes(SIZE_MAX, now_);
            wire->client_takes(SIZE_MAX, now_);
        }
        publish_wire.pump(now_, SIZE_MAX);
        subscribe_wire.pump(now_, SIZE_MAX);
    }
    static std::string channel(std::uint32_t i) { return "c" + std::to_string(i); }

   private:
    static constexpr std::uint32_t channels = 4;

    struct Settings {
        LinkConfig link;
        Offline offline = Offline::queue;
        TimeMs linger = 300;
        InboxLimits limits[2];
    };
    // One subscription and what it must see next.
    struct Watched {
        SubscriptionRef subscription;
        ModelRedis::Target target;
        Inbox* inbox = nullptr;
        std::size_t next = 0;  // index into Redis's log: nothing before it may come, once `known` nothing may be passed over
        bool known = false;
        bool active = false, ended = false;
        std::size_t activations = 0, seen_activations = 0, begins_at = 0;
        // With conflate the order is that of each channel, and what is told adds up.
        bool conflates = false, adds_up = false;
        std::map<std::string, std::size_t> last;  // of each channel: behind the last message
        std::uint64_t told = 0;                   // messages, and those that GAPs count

        void activated(std::size_t at) {
            ++activations;
            begins_at = at;
        }
    };

    Settings draw_settings() {
        Settings drawn;
        drawn.link.handshake = {"", "", "simulated", 0};
        drawn.link.reconnect_delay_max = 2000;
        if (steady_) return drawn;
        drawn.link.heartbeat_interval = 200 + pick(1000);
        drawn.link.heartbeat_timeout = drawn.link.heartbeat_interval + 100 + pick(3000);
        drawn.link.reconnect_attempts_max = pick(8) ? 0 : 1 + pick(6);
        drawn.offline = pick(4) ? Offline::queue : Offline::fail;
        drawn.linger = pick(3) ? 300 : 0;
        for (InboxLimits& limits : drawn.limits) {
            limits.overflow = pick(3) == 0 ? Overflow::conflate : pick(2) ? Overflow::drop_oldest : Overflow::drop_newest;
            if (pick(3) == 0) continue;  // never full
            limits.count = 1 + pick(40);
            if (pick(3) == 0) limits.bytes = 100 + pick(8000);
        }
        return drawn;
    }

    // ---- Of the links, as the Redis backend does it ----

    struct PublishSide : Publisher::Listener {
        explicit PublishSide(Simulation& s) : simulation(s) {}
        void link_ready() override { simulation.note("publish link", "ready"); }
        void link_lost(const Error& why) override { simulation.note("publish link lost:", why.text); }
        void link_failed(const Error& why, bool will_retry) override {
            simulation.note("publish link failed:", why.text);
            if (!will_retry) simulation.give_up(why);
        }
        void link_retry(std::uint32_t, TimeMs) override {}
        Simulation& simulation;
    };
    void link_ready() override { note("subscribe link", "ready"); }
    void link_lost(const Error& why) override {
        note("subscribe link lost:", why.text);
        position_.clear();
        fanout_.lost(why);
    }
    void link_failed(const Error& why, bool will_retry) override {
        note("subscribe link failed:", why.text);
        if (!will_retry) give_up(why);
    }
    void link_retry(std::uint32_t, TimeMs) override {}
    void give_up(const Error& why) {
        if (given_up_) return;
        coverage("given up");
        given_up_ = why;
        if (subscriber_.state() == Link::State::ready) fanout_.lost(why);
        publisher_.give_up(why);
        publisher_.stop();
        subscriber_.stop();
        fanout_.failed_all(why);
    }
    void confirmed(Topic& topic) override {
        const ModelRedis::Target target{topic.kind(), std::string(topic.view())};
        note("confirmed", target.second);
        const auto at = subscribe_wire.connection()->subscribed.find(target);
        ASSERT_NE(at, subscribe_wire.connection()->subscribed.end()) << target.second << " is not subscribed";
        position_[target] = std::max(position_[target], at->second);
        std::set<Watched*> inactive;
        for (const auto& one : watched_)
            if (one->target == target && one->subscription->state() != SubscriptionState::active) inactive.insert(one.get());
        fanout_.active(topic);
        for (Watched* one : inactive)
            if (one->subscription->state() == SubscriptionState::active) one->activated(position_[target]);
    }
    void refused(Topic& topic, const Error& why) override {
        note("refused", why.text);
        coverage(status_label(why.status));
        fanout_.failed(topic, why);
    }
    void message(const PushFrame& frame, Topic* topic) override {
        position_[{frame.kind, std::string(frame.target)}] = redis.place.at(std::stoull(std::string(frame.payload))) + 1;
        if (topic) fanout_.message(*topic, frame.channel, frame.payload, 0, nullptr);
    }

    // ---- What a consumer sees ----

    bool is_for(const Watched& one, std::size_t at) const {
        return goes_to(one.target.first, one.target.second, redis.log[at].channel);
    }
    void pass(Watched& one, std::uint64_t count) {
        for (; count > 0; ++one.next) {
            ASSERT_LT(one.next, redis.log.size()) << one.target.second << ": a GAP counts more than there was";
            if (is_for(one, one.next)) --count;
        }
    }
    void see(Watched& one, const Event& event) {
        ASSERT_FALSE(one.ended) << "an event after ENDED";
        const std::string& name = one.target.second;
        switch (event.kind) {
            case EventKind::active:
            case EventKind::resumed:
                note("sees ACTIVE", name);
                one.active = true;
                // Nothing was folded and nothing more has happened: here the stream begins, with exactly this message.
                if (++one.seen_activations == one.activations && one.inbox->stats().dropped == 0) {
                    one.next = std::max(one.next, one.begins_at);
                    one.known = one.adds_up = true;
                    one.told = 0;
                    coverage(event.kind == EventKind::active ? "ACTIVE, exact" : "RESUMED, exact");
                }
                break;
            case EventKind::lost:
            case EventKind::failed:
                note("sees LOST or FAILED", name);
                one.active = false;
                break;
            case EventKind::ended: one.ended = true; break;
            case EventKind::gap:
                note("sees GAP of " + (event.count == count_unknown ? "unknown size" : std::to_string(event.count)), name);
                if (event.count == count_unknown) {
                    EXPECT_EQ(event.reason, GapReason::reconnect);
                    one.known = one.adds_up = false;
                    coverage("GAP of unknown size");
                } else {
                    EXPECT_EQ(event.reason, GapReason::overflow);
                    EXPECT_GT(event.count, 0u);
                    one.told += event.count;
                    if (one.known && !one.conflates) {
                        pass(one, event.count);
                        coverage("GAP counted");
                    }
                }
                break;
            case EventKind::message: {
                const std::uint64_t number = std::stoull(std::string(event.message->payload()));
                note("sees " + std::to_string(number), name);
                ASSERT_TRUE(redis.place.contains(number));
                const std::size_t at = redis.place[number];
                ASSERT_TRUE(is_for(one, at)) << name << ": a message of " << redis.log[at].channel;
                ASSERT_EQ(event.message->channel(), redis.log[at].channel);
                ASSERT_EQ(event.message->has_pattern(), one.target.first == TargetKind::pattern);
                ++one.told;
                if (one.conflates) {
                    std::size_t& last = one.last[redis.log[at].channel];
                    ASSERT_GE(at, last) << name << ": out of order, or twice: " << number;
                    last = at + 1;
                    break;
                }
                ASSERT_GE(at, one.next) << name << ": out of order, or twice: " << number;
                while (one.known && one.next < at) {
                    ASSERT_FALSE(is_for(one, one.next))
                        << name << ": " << redis.log[one.next].number << " is missing without a GAP, before " << number;
                    ++one.next;
                }
                if (one.known) coverage(one.target.first == TargetKind::pattern ? "message by pattern" : "message");
                one.next = at + 1;
                one.known = true;
                break;
            }
            default: FAIL() << "an event of another kind";
        }
    }

    // ---- The schedule ----

    std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }
    bool rarely(std::uint32_t n) { return pick(n) == 0; }
    std::size_t some() { return pick(3) ? SIZE_MAX : 1 + pick(60); }
    Wire& either() { return pick(2) ? publish_wire : subscribe_wire; }
    ModelRedis::Target any_target() {
        static const std::string patterns[] = {"c*", "c[01]", "c?", "*3"};
        if (pick(3)) return {TargetKind::channel, channel(pick(channels))};
        return {TargetKind::pattern, patterns[pick(4)]};
    }
    void pump() {
        publish_wire.pump(now_, pick(4) ? SIZE_MAX : pick(100));
        subscribe_wire.pump(now_, pick(4) ? SIZE_MAX : pick(100));
    }

    void step() {
        switch (pick(24)) {
            case 0: case 1: {
                const auto [kind, name] = any_target();
                for (std::uint32_t i = rarely(8) ? pick(6) : 1; i > 0; --i) subscribe(kind, name);
                break;
            }
            case 2: case 3:
                for (std::uint32_t i = rarely(8) ? pick(6) : 1; i > 0 && !watched_.empty(); --i)
                    unsubscribe(pick(static_cast<std::uint32_t>(watched_.size())));
                break;
            case 4: case 5: case 6: case 7: publish(channel(pick(channels))); break;
            case 8: case 9: case 10: either().server_takes(some(), now_); break;
            case 11: case 12: case 13: either().client_takes(some(), now_); break;
            case 14: drain(pick(2), pick(20)); break;
            case 15: case 16: either().open(now_); break;
            case 17:
                if (rarely(5)) break_off();
                break;
            case 18:
                if (rarely(2)) either().refuse(now_);
                break;
            case 19:
                if (rarely(6)) redis.hangs = !redis.hangs;
                break;
            case 20:
                if (rarely(4)) change_acl();
                break;
            case 21:
                if (rarely(6)) change_errors();
                break;
            case 22: zombie_moves(); break;
            case 23: advance(pick(rarely(8) ? 5000 : 800)); break;
        }
        // The network goes on by itself, too.
        for (Wire* wire : {&publish_wire, &subscribe_wire}) {
            if (rarely(2)) continue;
            wire->open(now_);
            wire->server_takes(some(), now_);
            wire->client_takes(some(), now_);
        }
        pump();
    }
    void break_off() {
        const bool restart = rarely(3);
        note(restart ? "the server" : "a connection", restart ? "restarts" : "breaks");
        Wire& first = either();
        first.closes_at_once = !rarely(3);
        first.break_off(now_);
        if (!restart) return;
        redis.zombies.clear();
        redis.hangs = false;
        redis.error = rarely(2) ? "" : "LOADING Redis is loading the dataset in memory";
        publish_wire.closes_at_once = subscribe_wire.closes_at_once = true;
        publish_wire.break_off(now_);
        subscribe_wire.break_off(now_);
    }
    // A revocation ends the connections that use what is revoked, as ACL SETUSER does.
    void change_acl() {
        const ModelRedis::Target target = any_target();
        note(redis.forbidden.contains(target.second) ? "the ACL grants" : "the ACL revokes", target.second);
        if (redis.forbidden.erase(target.second) > 0) return;
        redis.forbidden.insert(target.second);
        if (subscribe_wire.connection() && subscribe_wire.connection()->subscribed.contains(target))
            subscribe_wire.break_off(now_);
    }
    void change_errors() {
        static const std::string all[] = {"LOADING Redis is loading the dataset in memory", "NOAUTH Authentication required.",
                                          "ERR some other fault"};
        static const std::string publish[] = {"MISCONF Redis is configured to save RDB snapshots, but cannot",
                                              "READONLY You can't write against a read only replica.",
                                              "NOPERM this user has no permissions to access the channel"};
        switch (pick(3)) {
            case 0: redis.error = redis.error.empty() ? all[pick(3)] : ""; break;
            case 1: redis.publish_error = redis.publish_error.empty() ? publish[pick(3)] : ""; break;
            case 2: redis.full = !redis.full; break;
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
        redis.forbidden.clear();
        redis.zombies.clear();
        for (int round = 0; round < 400; ++round) {
            flow();
            drain_all();
            if (testing::Test::HasFailure()) return;
            if (publisher_.queue().unsettled() == 0 && (given_up_ || subscriber_.tracker().settled())) return;
            advance(100);
        }
        FAIL() << "it does not come to rest";
    }

    void close() {
        note("the engine", "closes");
        publisher_.fail_all({Status::CLOSED, "closed"});
        publisher_.stop();
        subscriber_.stop();
        fanout_.remove_all({Status::CLOSED, "closed"});
        drain_all();
        for (const auto& one : watched_) EXPECT_TRUE(one->ended) << one->target.second << " has no ENDED";
        EXPECT_EQ(publisher_.queue().unsettled(), 0u);
        check_publishes();
    }

    void check_subscriptions() {
        std::set<ModelRedis::Target> wanted, subscribed;
        for (const auto& one : watched_) {
            if (one->subscription->given_up()) {
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
            // Nothing may be missing at the end either.
            if (one->conflates) {
                std::uint64_t all = 0;
                for (std::size_t at = one->begins_at; at < redis.log.size(); ++at) all += is_for(*one, at) ? 1 : 0;
                if (!one->adds_up) continue;
                EXPECT_EQ(one->told, all) << one->target.second << ": conflated messages do not add up";
                coverage("conflated, adds up");
                continue;
            }
            for (std::size_t at = one->next; one->known && at < redis.log.size(); ++at)
                EXPECT_FALSE(is_for(*one, at)) << one->target.second << ": " << redis.log[at].number << " is missing at the end";
        }
        for (const auto& connection : redis.connections)
            for (const auto& [target, since] : connection->subscribed) subscribed.insert(target);
        EXPECT_TRUE(subscribed == wanted) << subscribed.size() << " are subscribed, " << wanted.size() << " wanted";
    }

    void check_publishes() {
        for (const ModelRedis::Executed& executed : redis.log) EXPECT_EQ(published_on_[executed.number], executed.channel);
        EXPECT_EQ(unsent_, 0u);
        EXPECT_EQ(unsent_bytes_, 0u);
        EXPECT_EQ(outcomes_.size(), published_);
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
                case Status::OUTCOME_UNKNOWN: break;
                // Unsent when it failed, or refused by Redis.
                case Status::CLOSED:
                case Status::NOT_CONNECTED:
                case Status::NO_PERMISSION:
                case Status::AUTH_FAILED:
                case Status::REDIS_ERROR:
                case Status::TIMEOUT: EXPECT_FALSE(executed) << "publish " << number << " failed and was executed"; break;
                default: ADD_FAILURE() << "publish " << number << " ended otherwise";
            }
        }
    }

    static const char* status_label(Status status) { return find_status(static_cast<int>(status))->name; }
    void note(const std::string& what, const std::string& of) const {
        if (verbose_) std::printf("%7lld  %s %s\n", static_cast<long long>(now_), what.c_str(), of.c_str());
    }

    const bool steady_, verbose_;
    std::mt19937 random_;
    const Settings settings_;
    TimeMs now_ = 0;

   public:
    ModelRedis redis;

   private:
    const std::shared_ptr<Monitor> monitor_ = std::make_shared<Monitor>();
    Topics topics_;
    Fanout fanout_{topics_, monitor_->metrics, 0};
    PublishSide publish_side_{*this};
    std::map<std::uintptr_t, std::vector<Status>> outcomes_;
    std::size_t unsent_ = 0, unsent_bytes_ = 0;
    PublishBatch batch_;
    Error given_up_;
    Publisher publisher_{settings_.link, settings_.offline, [this] { return draw(); }, publish_side_,
                         [this](const SettledRun& run) {
                             for (const Settled& publish : run.publishes)
                                 outcomes_[reinterpret_cast<std::uintptr_t>(publish.user_data)].push_back(
                                     run.error.status);
                         },
                         [this](std::size_t count, std::size_t bytes) {
                             EXPECT_GE(unsent_, count);
                             unsent_ -= count;
                             unsent_bytes_ -= bytes;
                         }};
    Subscriber subscriber_{settings_.link, settings_.linger, [this] { return draw(); }, topics_, *this};

   public:
    Wire publish_wire{redis, publisher_}, subscribe_wire{redis, subscriber_};

   private:
    std::shared_ptr<Inbox> inboxes_[2];
    std::vector<std::unique_ptr<Watched>> watched_;
    // Of what is subscribed on the present connection: up to where in the log the client has received.
    std::map<ModelRedis::Target, std::size_t> position_;
    std::uintptr_t published_ = 0;
    std::map<std::uint64_t, std::string> published_on_;
};

}  // namespace fanwire::core::simulation
