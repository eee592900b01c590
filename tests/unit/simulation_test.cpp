// Both links, the tracker, the publish queue, the fan-out and an inbox against a model of Redis, in virtual time, under
// seeded schedules: bytes arrive in pieces, connections break at any byte, the server hangs, refuses, is loading.
//
// What must hold for every schedule:
//  - in the end Redis's subscriptions are the wanted ones, and all are ACTIVE;
//  - each subscription sees, from ACTIVE on, the messages that Redis executed on its channel in their order, none twice, and where some
//    are missing a GAP stands between;
//  - each publish has one outcome; OK was executed once, TIMEOUT and REDIS_ERROR never, OUTCOME_UNKNOWN at most once, and the executed
//    ones in the order of the calls.
//
// A failing schedule prints its seed; FANWIRE_SIMULATION_SEED=n runs only that one, FANWIRE_SIMULATION_COUNT=n so many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/fanout/fanout.h"
#include "core/net/event_fd.h"
#include "core/protocol/command.h"
#include "core/protocol/publisher.h"
#include "core/protocol/subscriber.h"

namespace fanwire::core {
namespace {

using Draw = std::mt19937;

// ---- The model of Redis ----

class ModelRedis {
   public:
    // One accepted connection: what it has sent us and what we have sent it, both still on their way.
    struct Connection {
        ReplyReader reader;
        std::string to_server, to_client;
        std::set<std::string> channels;
    };

    std::vector<std::shared_ptr<Connection>> connections;
    std::map<std::string, std::vector<std::string>> executed;  // channel -> payloads, in order
    std::string forbidden;                                     // a channel nobody may subscribe to
    bool hangs = false, loading = false;

    std::shared_ptr<Connection> accept() {
        connections.push_back(std::make_shared<Connection>());
        return connections.back();
    }
    void drop(const std::shared_ptr<Connection>& connection) { std::erase(connections, connection); }

    // Takes up to `size` of the bytes that have arrived.
    void take(Connection& connection, std::size_t size) {
        if (hangs) return;
        size = std::min(size, connection.to_server.size());
        for (std::size_t at = 0; at < size; at += ReplyReader::feed_max) {
            connection.reader.feed(
                std::string_view(connection.to_server).substr(at, std::min(size - at, ReplyReader::feed_max)));
            ReplyReader::Result result;
            while ((result = connection.reader.next()) == ReplyReader::Result::reply)
                run(connection, connection.reader.reply());
            EXPECT_EQ(result, ReplyReader::Result::more) << "the client sent what is no command";
        }
        connection.to_server.erase(0, size);
    }

   private:
    void run(Connection& connection, const Reply& command) {
        const std::string_view word = command[0].text();
        std::string& out = connection.to_client;
        if (loading) {
            out += "-LOADING Redis is loading the dataset in memory\r\n";
        } else if (word == "PING") {
            out += connection.channels.empty() ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
        } else if (word == "CLIENT") {
            out += "+OK\r\n";
        } else if (word == "PUBLISH") {
            const std::string channel(command[1].text()), payload(command[2].text());
            executed[channel].push_back(payload);
            int receivers = 0;
            for (const auto& other : connections) {
                if (!other->channels.contains(channel)) continue;
                append_command(other->to_client, {"message", channel, payload});
                ++receivers;
            }
            out += ":" + std::to_string(receivers) + "\r\n";
        } else {
            const bool subscribe = word == "SUBSCRIBE";
            for (std::size_t i = 1; subscribe && i < command.size(); ++i) {
                if (command[i].text() != forbidden) continue;
                out += "-NOPERM this user has no permissions to access one of the channels\r\n";
                return;
            }
            for (std::size_t i = 1; i < command.size(); ++i) {
                const std::string channel(command[i].text());
                if (subscribe)
                    connection.channels.insert(channel);
                else
                    connection.channels.erase(channel);
                out += "*3\r\n";
                append_bulk(out, subscribe ? "subscribe" : "unsubscribe");
                append_bulk(out, channel);
                append_count(out, ':', connection.channels.size());
            }
        }
    }
};

// ---- One link and its connection ----

class Wire {
   public:
    Wire(ModelRedis& redis, Link& link) : redis_(redis), link_(link) {}

    // Does what the link wishes; `writable`: how much the connection takes.
    void pump(TimeMs now, std::size_t writable) {
        switch (link_.request()) {
            case Link::Request::open: opening_ = true; break;
            case Link::Request::close: close(); break;
            case Link::Request::none: break;
        }
        if (!connection_) return;
        const std::string_view bytes = link_.output(now).substr(0, writable);
        connection_->to_server += bytes;
        link_.wrote(bytes.size(), now);
    }
    void open(TimeMs now) {
        if (!opening_) return;
        opening_ = false;
        connection_ = redis_.accept();
        link_.opened(now);
    }
    void refuse(TimeMs now) {
        if (!std::exchange(opening_, false)) return;
        link_.closed({Status::CONNECT_FAILED, "refused"}, now);
    }
    void server_takes(std::size_t size) {
        if (connection_) redis_.take(*connection_, size);
    }
    void client_takes(std::size_t size, TimeMs now) {
        if (!connection_) return;
        const std::string bytes = connection_->to_client.substr(0, size);
        connection_->to_client.erase(0, bytes.size());
        if (!bytes.empty()) link_.received(bytes, now);
    }
    void break_off(TimeMs now) {
        if (!connection_) return;
        close();
        link_.closed({Status::CONNECTION_LOST, "reset"}, now);
    }

   private:
    void close() {
        opening_ = false;
        if (connection_) redis_.drop(connection_);
        connection_ = nullptr;
    }
    ModelRedis& redis_;
    Link& link_;
    std::shared_ptr<ModelRedis::Connection> connection_;
    bool opening_ = false;
};

// ---- The engine's parts, wired without threads and sockets ----

struct Simulation : Subscriber::Listener {
    explicit Simulation(std::uint32_t seed) : random(seed) {
        inbox = std::make_shared<Inbox>(
            InboxLimits{4 + random() % 40, SIZE_MAX, random() % 2 ? Overflow::drop_oldest : Overflow::drop_newest},
            make_event_fd);
    }

    // Link::Listener of the subscribing link; the publishing one has nothing to tell here.
    void link_ready() override {}
    void link_lost(const Error& why) override { fanout.lost(why); }
    void link_failed(const Error&, bool) override {}
    void link_retry(std::uint32_t, TimeMs) override {}
    void confirmed(TargetKind kind, const NameRef& name) override { fanout.active(kind, name->view()); }
    void refused(TargetKind kind, const NameRef& name, const Error& why) override {
        fanout.failed(kind, name->view(), why);
    }
    void message(TargetKind kind, std::string_view target, std::string_view channel,
                 std::string_view payload) override {
        MessageRef unshared;
        fanout.message(kind, target, channel, payload, 0, unshared);
    }

    struct Silent : Publisher::Listener {
        void link_ready() override {}
        void link_lost(const Error&) override {}
        void link_failed(const Error&, bool) override {}
        void link_retry(std::uint32_t, TimeMs) override {}
    };

    static LinkConfig config() {
        LinkConfig c;
        c.handshake = {"", "", "simulated", 0};
        c.reconnect_delay_max = 2000;
        return c;
    }

    Draw random;
    TimeMs now = 0;
    ModelRedis redis;
    std::shared_ptr<Monitor> monitor = std::make_shared<Monitor>();
    Fanout fanout{monitor->metrics, 0};
    Silent silent;
    std::map<std::uintptr_t, std::vector<Status>> outcomes;
    Publisher publisher{config(), Offline::queue, [this] { return draw(); }, silent,
                        [this](const PublishRecord& record, const Outcome& outcome) {
                            outcomes[reinterpret_cast<std::uintptr_t>(record.user_data)].push_back(
                                outcome.error.status);
                        },
                        [](std::size_t, std::size_t) {}};
    Subscriber subscriber{config(), 300, [this] { return draw(); }, *this};
    Wire publish_wire{redis, publisher}, subscribe_wire{redis, subscriber};
    std::shared_ptr<Inbox> inbox;

    double draw() { return std::uniform_real_distribution<double>(0.0, 1.0)(random); }
    std::uint32_t pick(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }
    static std::string channel(std::uint32_t i) { return "c" + std::to_string(i); }

    // ---- The application ----

    // What one subscription must see next: payloads on a channel are the numbers of the publishes, 1, 2, ...
    struct Watched {
        SubscriptionRef subscription;
        std::string channel;
        std::size_t next = 0;  // index into what Redis executed on the channel; meaningful once `known`
        bool known = false;    // false until the first message, and where a GAP stands
        bool active = false, ended = false;
    };
    std::vector<std::unique_ptr<Watched>> watched;
    std::uintptr_t published = 0;
    std::map<std::uintptr_t, std::string> published_on;

    void subscribe(const std::string& name) {
        auto fresh = std::make_unique<Watched>();
        fresh->channel = name;
        fresh->subscription = SubscriptionRef::adopt(
            new Subscription(TargetKind::channel, {Name::make(name), 0}, inbox, fresh.get(), monitor));
        if (const NameRef first = fanout.add(fresh->subscription)) subscriber.want(TargetKind::channel, first, now);
        watched.push_back(std::move(fresh));
    }
    void unsubscribe(Watched& one) {
        if (!one.subscription->give_up()) return;
        if (const NameRef last = fanout.remove(*one.subscription, {Status::UNSUBSCRIBED, "unsubscribed"}))
            subscriber.unwant(TargetKind::channel, last->view(), now);
    }
    void publish(const std::string& name) {
        PublishBatch batch;
        PublishRecord record;
        record.deadline = now + 3000;
        record.user_data = reinterpret_cast<void*>(++published);
        published_on[published] = name;
        batch.add(name, std::to_string(published) + std::string(pick(200), ' '), record);
        publisher.publish(std::move(batch));
    }
    void drain(std::size_t capacity) {
        fanout.commit();
        std::vector<Event> events;
        inbox->drain(events, capacity);
        for (const Event& event : events) see(*static_cast<Watched*>(event.user_data), event);
    }
    void see(Watched& one, const Event& event) {
        ASSERT_FALSE(one.ended) << "an event after ENDED";
        switch (event.kind) {
            case EventKind::active:
            case EventKind::resumed: one.active = true; break;
            case EventKind::lost:
            case EventKind::failed: one.active = false; break;
            case EventKind::ended: one.ended = true; break;
            case EventKind::gap:
                if (event.count == count_unknown)
                    one.known = false;
                else if (one.known)
                    one.next += event.count;
                break;
            case EventKind::message: {
                ASSERT_TRUE(one.active) << one.channel << ": a message before ACTIVE";
                const auto& all = redis.executed[one.channel];
                const std::string payload(event.message->payload());
                const std::size_t from = one.next;
                std::size_t at = from;
                while (at < all.size() && all[at] != payload) ++at;
                ASSERT_LT(at, all.size()) << one.channel << ": out of order, or twice: " << payload;
                if (one.known) {
                    ASSERT_EQ(at, from) << one.channel << ": messages are missing without a GAP";
                }
                one.next = at + 1;
                one.known = true;
                break;
            }
            default: FAIL() << "an event of another kind";
        }
    }

    // ---- The schedule ----

    void pump() {
        publish_wire.pump(now, pick(4) ? SIZE_MAX : pick(100));
        subscribe_wire.pump(now, pick(4) ? SIZE_MAX : pick(100));
    }
    Wire& either() { return pick(2) ? publish_wire : subscribe_wire; }

    void step() {
        switch (pick(18)) {
            case 0: subscribe(channel(pick(4))); break;
            case 1:
                if (!watched.empty()) unsubscribe(*watched[pick(static_cast<std::uint32_t>(watched.size()))]);
                break;
            case 2: case 3: case 4: publish(channel(pick(4))); break;
            case 5: case 6: either().server_takes(pick(3) ? SIZE_MAX : 1 + pick(60)); break;
            case 7: case 8: either().client_takes(pick(3) ? SIZE_MAX : 1 + pick(60), now); break;
            case 9: drain(pick(20)); break;
            case 10: case 11: either().open(now); break;
            case 12:
                if (pick(4) == 0) either().break_off(now);
                break;
            case 13: either().refuse(now); break;
            case 14:
                if (pick(6) == 0) redis.hangs = !redis.hangs;
                break;
            case 15:
                if (pick(6) == 0) redis.forbidden = redis.forbidden.empty() ? channel(0) : "";
                break;
            case 16:
                if (pick(10) == 0) redis.loading = !redis.loading;
                break;
            case 17: advance(pick(1200)); break;
        }
        pump();
    }
    void advance(TimeMs by) {
        now += by;
        publisher.tick(now);
        subscriber.tick(now);
    }
    void settle() {
        redis.hangs = redis.loading = false;
        redis.forbidden.clear();
        for (int round = 0; round < 400; ++round) {
            for (Wire* wire : {&publish_wire, &subscribe_wire}) {
                wire->open(now);
                wire->server_takes(SIZE_MAX);
                wire->client_takes(SIZE_MAX, now);
            }
            publish_wire.pump(now, SIZE_MAX);
            subscribe_wire.pump(now, SIZE_MAX);
            drain(SIZE_MAX);
            if (publisher.queue().unsettled() == 0 && subscriber.tracker().settled()) return;
            advance(100);
        }
        FAIL() << "it does not come to rest";
    }

    void check() {
        std::set<std::string> wanted, subscribed;
        for (const auto& one : watched) {
            if (one->subscription->given_up()) {
                EXPECT_TRUE(one->ended);
                continue;
            }
            wanted.insert(one->channel);
            EXPECT_TRUE(one->active) << one->channel;
            EXPECT_EQ(one->subscription->state(), SubscriptionState::active);
            // Nothing may be missing at the end either.
            if (one->known) {
                EXPECT_EQ(one->next, redis.executed[one->channel].size()) << one->channel;
            }
        }
        for (const auto& connection : redis.connections) subscribed.insert(connection->channels.begin(), connection->channels.end());
        EXPECT_EQ(subscribed, wanted);

        std::map<std::uintptr_t, int> times;
        for (const auto& [name, payloads] : redis.executed) {
            std::uintptr_t last = 0;
            for (const std::string& payload : payloads) {
                const std::uintptr_t number = std::stoul(payload);
                EXPECT_EQ(published_on[number], name);
                EXPECT_GT(number, last) << "executed out of order";
                last = number;
                ++times[number];
            }
        }
        EXPECT_EQ(outcomes.size(), published);
        for (const auto& [number, all] : outcomes) {
            ASSERT_EQ(all.size(), 1u) << "publish " << number;
            switch (all[0]) {
                case Status::OK: EXPECT_EQ(times[number], 1) << "publish " << number; break;
                case Status::REDIS_ERROR:  // LOADING
                case Status::TIMEOUT: EXPECT_EQ(times[number], 0) << "publish " << number; break;
                case Status::OUTCOME_UNKNOWN: EXPECT_LE(times[number], 1) << "publish " << number; break;
                default: ADD_FAILURE() << "publish " << number << " ended otherwise";
            }
        }
    }

    void run(int steps) {
        publisher.start(now);
        subscriber.start(now);
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
        if (testing::Test::HasFailure()) return;
        settle();
        if (testing::Test::HasFailure()) return;
        // One more to everybody: what was missing before it shows now.
        for (std::uint32_t i = 0; i < 4; ++i) publish(channel(i));
        settle();
        if (!testing::Test::HasFailure()) check();
        fanout.remove_all({Status::CLOSED, "closed"});
        drain(SIZE_MAX);
    }
};

std::uint32_t from_environment(const char* name, std::uint32_t otherwise) {
    const char* text = std::getenv(name);
    return text ? static_cast<std::uint32_t>(std::stoul(text)) : otherwise;
}

TEST(Simulation, EveryScheduleKeepsTheContract) {
    const bool one = std::getenv("FANWIRE_SIMULATION_SEED") != nullptr;
    const std::uint32_t first = from_environment("FANWIRE_SIMULATION_SEED", 0);
    const std::uint32_t count = one ? 1 : from_environment("FANWIRE_SIMULATION_COUNT", 5000);
    for (std::uint32_t seed = first; seed < first + count; ++seed) {
        SCOPED_TRACE("replay with FANWIRE_SIMULATION_SEED=" + std::to_string(seed));
        Simulation simulation(seed);
        simulation.run(400);
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace fanwire::core
