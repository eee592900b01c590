#include "cases.h"

#include <fanwire/fanwire.h>

#include <array>
#include <initializer_list>
#include <memory>
#include <string_view>
#include <utility>

#include "core/protocol/reply.h"
#include "fake_redis.h"
#include "hub_cases.h"
#include "must.h"

namespace fanwire::bench {

namespace {

constexpr std::size_t batch = 128;  // messages in one call of a body
constexpr std::size_t few = 16;     // ... where each of them costs much
constexpr std::uint64_t patience_ms = 60000;

std::string channel_name(std::size_t i) {
    char name[32];
    std::snprintf(name, sizeof name, "room:%012zu", i);
    return name;
}

std::string payload() {
    return std::string(128, 'x');
}

// As Redis sends them, scattered over `channels`.
std::string frames(std::size_t channels) {
    std::string bytes;
    for (std::size_t i = 0; i < batch; ++i)
        bytes += "*3\r\n$7\r\nmessage\r\n$20\r\nws:" + channel_name(i * 7919 % channels) + "\r\n$128\r\n" + payload() +
                 "\r\n";
    return bytes;
}

// ---- An engine and its consumer ----

class Client {
 public:
    explicit Client(const std::string& url, std::size_t inboxes = 1) : inboxes_(inboxes) {
        fanwire_options* options = nullptr;
        ok(fanwire_options_create(&options));
        // No heartbeat between the messages.
        for (const auto& [name, value] :
             std::initializer_list<std::pair<const char*, const char*>>{{"url", url.c_str()},
                                                                        {"heartbeat_interval_ms", "3000000"},
                                                                        {"heartbeat_timeout_ms", "3600000"},
                                                                        {"inbox_count", "10000000"}})
            ok(fanwire_options_set(options, name, value));
        for (fanwire_inbox*& inbox : inboxes_) ok(fanwire_inbox_create(&inbox, options));
        ok(fanwire_engine_open(&engine_, options));
        ok(fanwire_engine_wait_connected(engine_, patience_ms));
        fanwire_options_destroy(&options);
    }
    ~Client() {
        fanwire_engine_destroy(&engine_);
        for (fanwire_subscription*& subscription : subscriptions_) fanwire_subscription_destroy(&subscription);
        for (fanwire_inbox*& inbox : inboxes_) fanwire_inbox_destroy(&inbox);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void subscribe(const std::string& channel) { add(fanwire_subscribe, channel); }
    void psubscribe(const std::string& pattern) { add(fanwire_psubscribe, pattern); }
    void publish(std::string_view channel, std::string_view text) {
        ok(fanwire_publish(engine_, channel.data(), channel.size(), text.data(), text.size()));
    }
    // Publishes, and waits for the outcome: all before it have theirs.
    void publish_and_wait(std::string_view channel, std::string_view text) {
        ok(fanwire_publish_wait(engine_, channel.data(), channel.size(), text.data(), text.size(), patience_ms,
                                nullptr));
    }
    // Drains so many events from each inbox, which must all be of this kind.
    void await(std::size_t count, int kind) {
        for (fanwire_inbox* const inbox : inboxes_) await(inbox, count, kind);
    }
    void await_active() { await(subscriptions_.size() / inboxes_.size(), FANWIRE_EVENT_ACTIVE); }

 private:
    static void ok(int status) { must(status == FANWIRE_OK, fanwire_last_error()); }
    void await(fanwire_inbox* inbox, std::size_t count, int kind) {
        while (count > 0) {
            std::size_t got = 0;
            ok(fanwire_inbox_wait(inbox, patience_ms));
            ok(fanwire_inbox_drain(inbox, events_.data(), sizeof events_[0], events_.size(), &got));
            for (std::size_t i = 0; i < got; ++i) must(events_[i].kind == kind, "an event of another kind");
            ok(fanwire_events_release(events_.data(), sizeof events_[0], got));
            must(got <= count, "more events than expected");
            count -= got;
        }
    }
    // The inboxes get one in turn.
    template <class Function>
    void add(Function function, const std::string& name) {
        subscriptions_.push_back(nullptr);
        fanwire_inbox* const inbox = inboxes_[(subscriptions_.size() - 1) % inboxes_.size()];
        ok(function(&subscriptions_.back(), engine_, name.data(), name.size(), inbox, nullptr));
    }

    fanwire_engine* engine_ = nullptr;
    std::vector<fanwire_inbox*> inboxes_;
    std::vector<fanwire_subscription*> subscriptions_;
    std::array<fanwire_event, 256> events_;
};

// ---- The cases ----

std::function<void()> parse_replies() {
    auto reader = std::make_shared<core::ReplyReader>();
    return [reader, bytes = frames(batch)] {
        std::size_t seen = 0;
        for (std::string_view rest = bytes; !rest.empty();) {
            const std::string_view part = rest.substr(0, core::ReplyReader::feed_max);
            rest.remove_prefix(part.size());
            reader->feed(part);
            while (reader->next() == core::ReplyReader::Result::reply) seen += reader->reply()[2].text().size() == 128;
        }
        must(seen == batch, "not every reply was read");
    };
}

struct Receiver {
    explicit Receiver(std::size_t inboxes = 1) : client(redis.url(), inboxes) {}
    FakeRedis redis;
    Client client;
};

std::function<void()> receive(std::size_t channels) {
    auto receiver = std::make_shared<Receiver>();
    for (std::size_t i = 0; i < channels; ++i) receiver->client.subscribe(channel_name(i));
    receiver->client.await_active();
    return [receiver, bytes = frames(channels)] {
        receiver->redis.send(bytes);
        receiver->client.await(batch, FANWIRE_EVENT_MESSAGE);
    };
}

std::function<void()> fan_out() {
    auto client = std::make_shared<Client>("memory://");
    for (std::size_t i = 0; i < batch; ++i) client->subscribe("room");
    client->await_active();
    return [client, text = payload()] {
        client->publish("room", text);
        client->await(batch, FANWIRE_EVENT_MESSAGE);
    };
}

// To as many inboxes as a server has streams: each is locked once for many messages, not for each.
std::function<void()> receive_in(std::size_t inboxes) {
    auto receiver = std::make_shared<Receiver>(inboxes);
    for (std::size_t i = 0; i < inboxes; ++i) receiver->client.subscribe(channel_name(0));
    receiver->client.await_active();
    return [receiver, bytes = frames(1)] {
        receiver->redis.send(bytes);
        receiver->client.await(batch, FANWIRE_EVENT_MESSAGE);
    };
}

std::function<void()> match_patterns() {
    auto client = std::make_shared<Client>("memory://");
    std::vector<std::string> channels;
    for (std::size_t i = 0; i < 1000; ++i) client->psubscribe("tenant" + std::to_string(i) + ":*");
    client->await_active();
    for (std::size_t i = 0; i < few; ++i) channels.push_back("tenant" + std::to_string(i * 61) + ":room");
    return [client, channels, text = payload()] {
        for (const std::string& channel : channels) client->publish(channel, text);
        client->await(few, FANWIRE_EVENT_MESSAGE);
    };
}

std::function<void()> publish() {
    auto client = std::make_shared<Client>("memory://");
    return [client, channel = channel_name(1), text = payload()] {
        for (std::size_t i = 1; i < batch; ++i) client->publish(channel, text);
        client->publish_and_wait(channel, text);
    };
}

std::string json_text(bool dirty) {
    std::string text = "{\"type\":\"chat\",\"room\":\"lobby\",";
    if (dirty) text += "\"__proto__\":{\"admin\":true},";
    text += "\"entries\":[";
    for (int i = 0; i < 16; ++i)
        text += (i ? "," : "") + std::string("{\"id\":") + std::to_string(i) +
                ",\"text\":\"a line of a usual length\",\"ok\":true}";
    return text + "]}";
}

std::function<void()> guard_json(bool dirty) {
    const std::string text = json_text(dirty);
    return [text, out = std::string(text.size(), 0), dirty]() mutable {
        std::size_t size = out.size();
        int changed = -1;
        must(fanwire_json_clean(text.data(), text.size(), out.data(), &size, &changed) == FANWIRE_OK,
             fanwire_last_error());
        must(changed == dirty, "the guard is wrong");
    };
}

}  // namespace

const std::vector<Case>& cases() {
    static const std::vector<Case> all = [] {
        std::vector<Case> cases = {
            {"reader: a 128-byte message frame", batch, parse_replies},
            {"receive: socket to drained event, one channel", batch, [] { return receive(1); }},
            {"receive: socket to drained event, 100,000 channels", batch, [] { return receive(100000); }},
            {"inbox: one message to one of 128 subscriptions, drained", batch, fan_out},
            {"inbox: one message to one of 32 inboxes, drained", batch * 32, [] { return receive_in(32); }},
            {"inbox: one message to one of 200 inboxes, drained", batch * 200, [] { return receive_in(200); }},
            {"patterns: publish to drained event, 1,000 patterns", few, match_patterns},
            {"publish: 128 bytes, accepted, encoded and settled", batch, publish},
            {"JSON guard: 1 KB, clean", 1, [] { return guard_json(false); }},
            {"JSON guard: 1 KB, with __proto__", 1, [] { return guard_json(true); }},
        };
        for (Case& one : hub_cases()) cases.push_back(std::move(one));
        return cases;
    }();
    return all;
}

}  // namespace fanwire::bench
