#include "cases.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "core/backend/memory.h"
#include "core/fanout/fanout.h"
#include "core/fanout/inbox.h"
#include "core/message/json_guard.h"
#include "core/net/event_fd.h"
#include "core/protocol/command.h"
#include "core/protocol/publish_queue.h"
#include "core/protocol/reply.h"
#include "core/protocol/subscriber.h"

namespace fanwire::bench {

namespace {

using namespace core;

constexpr std::size_t batch = 128;  // messages in one call of a body
constexpr std::size_t prefix_size = 3;

// A benchmark that does not do its work is no benchmark.
void must(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "micro-benchmark: %s\n", what);
    std::abort();
}

std::string channel_name(std::size_t i) {
    char name[32];
    std::snprintf(name, sizeof name, "ws:room:%012zu", i);
    return name;
}

std::string payload_of(std::size_t size) { return std::string(size, 'x'); }

// As Redis sends them.
std::string frames(std::size_t count) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i) append_command(bytes, {"message", channel_name(i), payload_of(128)});
    return bytes;
}

// ---- Reading ----

std::function<void()> parse_replies() {
    auto reader = std::make_shared<ReplyReader>();
    return [reader, bytes = frames(batch)] {
        std::size_t seen = 0;
        for (std::string_view rest = bytes; !rest.empty();) {
            const std::string_view part = rest.substr(0, ReplyReader::feed_max);
            rest.remove_prefix(part.size());
            reader->feed(part);
            while (reader->next() == ReplyReader::Result::reply) seen += reader->reply()[2].text().size() == 128;
        }
        must(seen == batch, "not every reply was read");
    };
}

class CountingListener : public Subscriber::Listener {
   public:
    void link_ready() override {}
    void link_lost(const Error&) override { must(false, "the link was lost"); }
    void link_failed(const Error&, bool) override { must(false, "the link failed"); }
    void link_retry(std::uint32_t, TimeMs) override {}
    void confirmed(TargetKind, const NameRef&) override { ++confirmations; }
    void refused(TargetKind, const NameRef&, const Error&) override { must(false, "refused"); }
    void message(TargetKind, std::string_view, std::string_view, std::string_view payload) override {
        messages += payload.size() == 128;
    }
    std::size_t confirmations = 0, messages = 0;
};

// A subscribed link that is given what was read from its socket.
struct SubscribedLink {
    CountingListener listener;
    Subscriber link;

    static LinkConfig config() {
        LinkConfig config;
        config.handshake = {"", "", "fanwire", 0};
        return config;
    }
    SubscribedLink() : link(config(), 0, [] { return 0.5; }, listener) {
        std::string answers = "+OK\r\n+PONG\r\n";
        link.start(0);
        link.request();
        link.opened(0);
        link.wrote(link.output(0).size(), 0);
        link.received(answers, 0);
        answers.clear();
        for (std::size_t i = 0; i < batch; ++i) {
            link.want(TargetKind::channel, Name::make(channel_name(i)), 0);
            answers += "*3\r\n$9\r\nsubscribe\r\n";
            append_bulk(answers, channel_name(i));
            append_count(answers, ':', i + 1);
        }
        for (std::size_t size; (size = link.output(0).size()) > 0;) link.wrote(size, 0);
        link.received(answers, 0);
        must(listener.confirmations == batch, "not subscribed");
    }
};

std::function<void()> receive_on_link() {
    auto subscribed = std::make_shared<SubscribedLink>();
    return [subscribed, bytes = frames(batch)] {
        const std::size_t before = subscribed->listener.messages;
        subscribed->link.received(bytes, 0);
        must(subscribed->listener.messages == before + batch, "not every message came");
    };
}

// ---- Delivering ----

InboxLimits no_limits() { return {SIZE_MAX, SIZE_MAX, Overflow::drop_oldest}; }

struct Consumer {
    std::shared_ptr<Inbox> inbox = std::make_shared<Inbox>(no_limits(), make_event_fd);
    std::vector<Event> events;

    // Everything that waits.
    std::size_t drain() {
        std::size_t all = 0;
        do {
            events.clear();
            inbox->drain(events, 1024);
            all += events.size();
        } while (!events.empty());
        return all;
    }
};

struct Registry {
    Consumer consumer;
    std::shared_ptr<Monitor> monitor = std::make_shared<Monitor>();
    Fanout fanout{monitor->metrics, prefix_size};

    void add(TargetKind kind, const std::string& name) {
        fanout.add(SubscriptionRef::adopt(
            new Subscription(kind, {Name::make(name), prefix_size}, consumer.inbox, nullptr, monitor)));
        fanout.active(kind, name);
    }
    ~Registry() {
        fanout.remove_all({});
        fanout.commit();
        consumer.drain();
    }
};

std::function<void()> deliver(std::size_t channels) {
    auto registry = std::make_shared<Registry>();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < channels; ++i) registry->add(TargetKind::channel, channel_name(i));
    // Scattered over all of them, as messages are.
    for (std::size_t i = 0; i < batch; ++i) names.push_back(channel_name(i * 7919 % channels));
    registry->fanout.commit();
    registry->consumer.drain();
    return [registry, names, payload = payload_of(128)] {
        for (const std::string& name : names) {
            MessageRef shared;
            registry->fanout.message(TargetKind::channel, name, name, payload, 1, shared);
        }
        registry->fanout.commit();
        must(registry->consumer.drain() == batch, "not every message was delivered");
    };
}

std::function<void()> push_and_drain() {
    auto consumer = std::make_shared<Consumer>();
    auto monitor = std::make_shared<Monitor>();
    const auto subscription = SubscriptionRef::adopt(
        new Subscription(TargetKind::channel, {Name::make(channel_name(0)), prefix_size}, consumer->inbox, nullptr, monitor));
    const MessageRef message = Message::make(subscription->target(), {}, payload_of(128));
    return [consumer, subscription, message] {
        bool wake = false;
        for (std::size_t i = 0; i < batch; ++i) {
            Event event = Event::of(EventKind::message);
            event.message = message;
            if (consumer->inbox->push(*subscription, std::move(event))) wake = true;
        }
        if (wake) consumer->inbox->signal();
        must(consumer->drain() == batch, "not every event was drained");
    };
}

// ---- Patterns: the in-process backend matches them itself ----

class CountingBackendListener : public BackendListener {
   public:
    void on_message(TargetKind, std::string_view, std::string_view, std::string_view, MessageRef&) override { ++messages; }
    void on_confirmed(TargetKind, const NameRef&) override {}
    void on_refused(TargetKind, const NameRef&, const Error&) override {}
    void on_subscriptions_lost(const Error&) override {}
    void on_settled(const PublishRecord&, const Outcome&) override {}
    void on_unqueued(std::size_t, std::size_t) override {}
    void on_publishable(bool) override {}
    void on_connected() override {}
    void on_disconnected(const Error&) override {}
    void on_connect_failed(const Error&, bool) override {}
    void on_reconnecting(std::uint32_t, TimeMs) override {}
    void on_login_refused(const Error&) override {}
    void on_links(bool, bool) override {}
    void on_gap_reason(GapReason) override {}
    void on_probe_sent() override {}
    void on_probe_returned(std::uint64_t) override {}
    void on_probe_failed(const Error&, bool) override {}
    void on_probe_reset() override {}
    void on_heard() override {}
    void on_bytes(std::size_t, std::size_t) override {}
    void on_turn_end() override {}
    std::size_t messages = 0;
};

struct Matching {
    CountingBackendListener listener;
    MemoryBackend backend{listener};
};

std::function<void()> match_patterns() {
    auto matching = std::make_shared<Matching>();
    for (std::size_t i = 0; i < 1000; ++i)
        matching->backend.subscribe(TargetKind::pattern, Name::make("ws:tenant" + std::to_string(i) + ":*"));
    return [matching] {
        PublishBatch publishes;
        for (std::size_t i = 0; i < batch; ++i)
            publishes.add("ws:tenant" + std::to_string(i * 7) + ":room", "x", PublishRecord{});
        const std::size_t before = matching->listener.messages;
        matching->backend.publish(std::move(publishes));
        must(matching->listener.messages == before + batch, "not every message matched once");
    };
}

// ---- Publishing ----

std::function<void()> encode_publishes() {
    auto publishes = std::make_shared<PublishBatch>();
    return [publishes, channel = channel_name(1), payload = payload_of(128)] {
        publishes->bytes.clear();
        publishes->records.clear();
        for (std::size_t i = 0; i < batch; ++i) publishes->add(channel, payload, PublishRecord{});
        must(publishes->bytes.size() > batch * 128, "not encoded");
    };
}

// ---- JSON ----

std::string json_text(bool dirty) {
    std::string text = "{\"type\":\"chat\",\"room\":\"lobby\",";
    if (dirty) text += "\"__proto__\":{\"admin\":true},";
    text += "\"entries\":[";
    for (int i = 0; i < 16; ++i)
        text += (i ? "," : "") + std::string("{\"id\":") + std::to_string(i) + ",\"text\":\"a line of a usual length\",\"ok\":true}";
    return text + "]}";
}

std::function<void()> guard_json(bool dirty) {
    return [text = json_text(dirty), dirty] {
        JsonGuard guard(text);
        must(guard.changes() == dirty, "the guard is wrong");
        if (!dirty) return;
        std::string out(guard.size(), 0);
        guard.write(out.data());
    };
}

}  // namespace

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {"reader: 128-byte message frames", batch, parse_replies},
        {"subscribe link: 128-byte message frames", batch, receive_on_link},
        {"registry and inbox: one of 100,000 channels", batch, [] { return deliver(100000); }},
        {"registry and inbox: one channel", batch, [] { return deliver(1); }},
        {"inbox: push and drain", batch, push_and_drain},
        {"memory backend: one of 1,000 patterns", batch, match_patterns},
        {"publish: encode 128 bytes", batch, encode_publishes},
        {"JSON guard: 1 KB, clean", 1, [] { return guard_json(false); }},
        {"JSON guard: 1 KB, with __proto__", 1, [] { return guard_json(true); }},
    };
    return all;
}

}  // namespace fanwire::bench
