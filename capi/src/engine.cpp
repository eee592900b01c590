// Engines and publishing.
#include <algorithm>

#include "capi/src/handle.h"
#include "core/base/text.h"
#include "core/engine/metrics_text.h"

using namespace fanwire::capi;
using namespace fanwire::core;

namespace {
constexpr uint64_t timeout_max = UINT32_MAX;

// With an outcome.
void publish_to(Engine& engine, std::string_view channel, std::string_view payload, const std::shared_ptr<Inbox>& sink,
                void* user_data, std::uint32_t timeout) {
    if (!sink->reserve_outcome()) throw Failure(outcomes_full());
    try {
        engine.publish(channel, payload, sink, user_data, timeout);
    } catch (...) {
        sink->cancel_outcome();
        throw;
    }
}

Outbox::Publish publish_of(const Engine& engine, const fanwire_publish_args* args, size_t args_size) {
    const auto asked = copy_in(args, args_size, "args");
    Outbox::Publish publish{bytes(asked.channel, asked.channel_size, "channel"),
                            bytes(asked.payload, asked.payload_size, "payload"), nullptr, nullptr,
                            static_cast<std::uint32_t>(std::min(asked.timeout_ms, timeout_max))};
    if (asked.inbox) {
        publish.sink = checked_beside(engine, asked.inbox).inbox;
        publish.user_data = asked.user_data;
    }
    return publish;
}

Inbox& inbox_of(const Outbox::Publish& publish) {
    return static_cast<Inbox&>(*publish.sink);
}

// Slots for the outcomes, one lock for each run of publishes with the same inbox. Returns for how many publishes, from
// the first one on, there are slots; if not for all, `why`.
size_t reserve_slots(std::span<const Outbox::Publish> row, Error& why) {
    for (size_t from = 0, to; from < row.size(); from = to) {
        for (to = from + 1; to < row.size() && row[to].sink == row[from].sink;) ++to;
        if (!row[from].sink) continue;
        size_t kept = 0;
        try {
            kept = inbox_of(row[from]).reserve_outcomes(to - from);
            if (kept == to - from) continue;
            why = outcomes_full();
        } catch (const std::bad_alloc&) {
            why = {Status::NO_MEMORY, "out of memory"};
        }
        return from + kept;
    }
    return row.size();
}

// Under one lock of the outbox.
constexpr size_t row_max = 64;

// Publishes a row of `count`, from args on. Adds to `accepted`; throws why the next one was refused.
void publish_row(Engine& engine, const fanwire_publish_args* args, size_t args_size, size_t count, size_t& accepted) {
    std::vector<Outbox::Publish> row;
    row.reserve(count);
    Error why;
    try {
        for (const char* at = reinterpret_cast<const char*>(args); row.size() < count; at += args_size)
            row.push_back(publish_of(engine, reinterpret_cast<const fanwire_publish_args*>(at), args_size));
    } catch (const Failure& failure) {  // those before it are published
        why = failure.error();
    }
    const size_t slots = reserve_slots(row, why);
    Error refused;
    const size_t done = engine.publish_many(std::span(row).first(slots), refused);
    for (size_t i = done; i < slots; ++i)
        if (row[i].sink) inbox_of(row[i]).cancel_outcome();
    accepted += done;
    if (refused) throw Failure(refused);
    if (why) throw Failure(why);
}

}  // namespace

int fanwire_engine_open(fanwire_engine** engine, const fanwire_options* options) {
    return guarded_wait([&] {
        required(engine, "engine");
        const Options none;
        Settings settings = (options ? checked(options).options : none).resolve(process_environment());
        LogSink log;
        EventTarget events;
        std::unique_ptr<Broker> broker;
        if (options) {
            if (options->log)
                log = [fn = options->log, user_data = options->log_user_data](LogLevel level, const std::string& text) {
                    fn(user_data, static_cast<int>(level), text.c_str());
                };
            events = options->events;
            broker = broker_of(*options);
            if (broker) settings.backend = BackendKind::custom;
        }
        auto handle = std::make_unique<fanwire_engine>();
        handle->engine =
            std::make_shared<Engine>(std::move(settings), std::move(log), std::move(events), std::move(broker));
        *engine = handle.release();
    });
}

int fanwire_engine_wait_connected(fanwire_engine* engine, uint64_t timeout_ms) {
    return guarded_wait([&] { checked(engine).engine->wait_connected(deadline_in(timeout_ms)); });
}

int fanwire_engine_close(fanwire_engine* engine, uint64_t timeout_ms) {
    return guarded_wait([&] {
        if (const Error left = checked(engine).engine->close(deadline_in(timeout_ms))) throw Failure(left);
    });
}

void fanwire_engine_destroy(fanwire_engine** engine) {
    // On the IO thread it would wait for itself: better a handle that stays.
    if (guarded([] { refuse_io_thread("engine_destroy"); }) == FANWIRE_OK) destroy(engine);
}

fanwire_engine::~fanwire_engine() {
    guarded_wait([&] {
        if (forked()) {
            engine->close_inherited();
            leak(std::move(engine));
        } else if (engine) {
            engine->close(deadline_in(0));
        }
    });
}

int fanwire_publish(fanwire_engine* engine, const char* channel, size_t channel_size, const char* payload,
                    size_t payload_size) {
    return guarded([&] {
        checked(engine).engine->publish(bytes(channel, channel_size, "channel"),
                                        bytes(payload, payload_size, "payload"));
    });
}

int fanwire_publish_async(fanwire_engine* engine, const char* channel, size_t channel_size, const char* payload,
                          size_t payload_size, fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        Engine& target = *checked(engine).engine;
        publish_to(target, bytes(channel, channel_size, "channel"), bytes(payload, payload_size, "payload"),
                   checked_beside(target, inbox).inbox, user_data, 0);
    });
}

int fanwire_publish_with(fanwire_engine* engine, const fanwire_publish_args* args, size_t args_size) {
    return guarded([&] {
        Engine& target = *checked(engine).engine;
        const auto asked = copy_in(args, args_size, "args");
        const auto timeout = static_cast<std::uint32_t>(std::min(asked.timeout_ms, timeout_max));
        const std::string_view channel = bytes(asked.channel, asked.channel_size, "channel");
        const std::string_view payload = bytes(asked.payload, asked.payload_size, "payload");
        if (asked.inbox)
            publish_to(target, channel, payload, checked_beside(target, asked.inbox).inbox, asked.user_data, timeout);
        else
            target.publish(channel, payload, nullptr, nullptr, timeout);
    });
}

int fanwire_publish_many(fanwire_engine* engine, const fanwire_publish_args* args, size_t args_size, size_t count,
                         size_t* accepted) {
    size_t done = 0;
    const int status = guarded([&] {
        Engine& target = *checked(engine).engine;
        while (done < count) {
            const auto* const from = reinterpret_cast<const char*>(&required(args, "args")) + done * args_size;
            publish_row(target, reinterpret_cast<const fanwire_publish_args*>(from), args_size,
                        std::min(count - done, row_max), done);
        }
    });
    if (accepted) *accepted = done;
    return status;
}

int fanwire_publish_wait(fanwire_engine* engine, const char* channel, size_t channel_size, const char* payload,
                         size_t payload_size, uint64_t timeout_ms, uint64_t* receivers) {
    return guarded_wait([&] {
        const uint64_t count = checked(engine).engine->publish_wait(
            bytes(channel, channel_size, "channel"), bytes(payload, payload_size, "payload"), deadline_in(timeout_ms));
        if (receivers) *receivers = count;
    });
}

int fanwire_engine_set_credentials(fanwire_engine* engine, const char* username, const char* password) {
    return guarded([&] {
        Engine& target = *checked(engine).engine;
        Options limits;  // what the settings of these names may be
        limits.set("username", username ? username : "");
        limits.set("password", password ? password : "");
        target.set_credentials(username ? username : "", password ? password : "");
    });
}

int fanwire_engine_reconnect(fanwire_engine* engine) {
    return guarded([&] { checked(engine).engine->reconnect(); });
}

int fanwire_engine_state_get(const fanwire_engine* engine, int* state) {
    return guarded([&] { required(state, "state") = static_cast<int>(checked(engine).engine->state()); });
}

int fanwire_engine_health(const fanwire_engine* engine, fanwire_health* health, size_t health_size) {
    return guarded([&] {
        const Health now = checked(engine).engine->health();
        fanwire_health out{};
        out.verdict = static_cast<int>(now.verdict);
        out.status = static_cast<int>(now.status);
        out.publish_link = now.publish_link ? 1 : 0;
        out.subscribe_link = now.subscribe_link ? 1 : 0;
        out.unconfirmed = now.unconfirmed;
        out.refused = now.refused;
        out.silence_ms = now.silence_ms;
        out.probe_age_ms = now.probe_age_ms;
        out.probe_us = now.probe_us;
        const std::string_view text = cut_utf8(now.text, sizeof out.text - 1);
        std::copy(text.begin(), text.end(), out.text);
        copy_out(health, health_size, out, "health");
    });
}

int fanwire_engine_stats_get(const fanwire_engine* engine, fanwire_engine_stats* stats, size_t stats_size) {
    return guarded([&] {
        const Metrics& metrics = checked(engine).engine->metrics();
        // The fields are those of the table, in its order, as the compiler checks here.
        const fanwire_engine_stats out{
#define FANWIRE_METRIC(member, kind, help) .member = metrics.member.get(),
#include "core/base/metrics.def"
#undef FANWIRE_METRIC
        };
        copy_out(stats, stats_size, out, "stats");
    });
}

int fanwire_engine_latency(const fanwire_engine* engine, int kind, fanwire_latency* latency, size_t latency_size) {
    return guarded([&] {
        const Metrics& metrics = checked(engine).engine->metrics();
        if (kind != FANWIRE_LATENCY_PUBLISH && kind != FANWIRE_LATENCY_DELIVERY)
            reject("there is no latency of kind " + std::to_string(kind));
        const LatencySnapshot now =
            (kind == FANWIRE_LATENCY_PUBLISH ? metrics.publish_latency : metrics.delivery_latency).snapshot();
        fanwire_latency out{now.count, now.sum_us, now.max_us, {}};
        static_assert(FANWIRE_LATENCY_BUCKETS == LatencySnapshot::bucket_count);
        std::copy(now.buckets.begin(), now.buckets.end(), out.buckets);
        copy_out(latency, latency_size, out, "latency");
    });
}

int fanwire_engine_metrics(const fanwire_engine* engine, int format, char* buffer, size_t* size) {
    return guarded([&] {
        const Engine& target = *checked(engine).engine;
        required(size, "size");
        std::string text;
        if (format == FANWIRE_METRICS_JSON)
            text = metrics_json(target.metrics(), target.health());
        else if (format == FANWIRE_METRICS_PROMETHEUS)
            text = metrics_prometheus(target.metrics(), target.health(), target.settings().client_name,
                                      target.settings().namespace_);
        else
            reject("there is no metrics format " + std::to_string(format));
        copy_text(text, buffer, size, "the text");
    });
}
