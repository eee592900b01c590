// Engines and publishing.
#include "capi/src/handle.h"

using namespace fanwire::capi;
using namespace fanwire::core;

int fanwire_engine_open(fanwire_engine** engine, const fanwire_options* options) {
    return guarded([&] {
        required(engine, "engine");
        const Options none;
        Settings settings = (options ? checked(options).options : none).resolve(process_environment());
        LogSink log;
        EventTarget events;
        if (options) {
            if (options->log)
                log = [fn = options->log, user_data = options->log_user_data](LogLevel level, const std::string& text) {
                    fn(user_data, static_cast<int>(level), text.c_str());
                };
            events = options->events;
        }
        auto handle = std::make_unique<fanwire_engine>();
        handle->engine = std::make_shared<Engine>(std::move(settings), std::move(log), std::move(events));
        *engine = handle.release();
    });
}

int fanwire_engine_wait_connected(fanwire_engine* engine, uint64_t timeout_ms) {
    return guarded([&] { checked(engine).engine->wait_connected(deadline_in(timeout_ms)); });
}

int fanwire_engine_close(fanwire_engine* engine, uint64_t timeout_ms) {
    return guarded([&] {
        if (const Error left = checked(engine).engine->close(deadline_in(timeout_ms))) throw Failure(left);
    });
}

void fanwire_engine_destroy(fanwire_engine** engine) {
    // On the IO thread it would wait for itself: better a handle that stays.
    if (guarded([] { refuse_io_thread("engine_destroy"); }) == FANWIRE_OK) destroy(engine);
}

fanwire_engine::~fanwire_engine() {
    guarded([&] {
        if (engine) engine->close(deadline_in(0));
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
        const std::shared_ptr<Inbox>& sink = checked(inbox).inbox;
        if (!sink->reserve_outcome())
            throw Failure(Status::QUEUE_FULL, "the inbox waits for " + std::to_string(Inbox::outcomes_max) +
                                                  " outcomes that were not drained");
        try {
            target.publish(bytes(channel, channel_size, "channel"), bytes(payload, payload_size, "payload"), sink,
                           user_data);
        } catch (...) {
            sink->cancel_outcome();
            throw;
        }
    });
}

int fanwire_publish_wait(fanwire_engine* engine, const char* channel, size_t channel_size, const char* payload,
                         size_t payload_size, uint64_t timeout_ms, uint64_t* receivers) {
    return guarded([&] {
        const uint64_t count = checked(engine).engine->publish_wait(bytes(channel, channel_size, "channel"),
                                                                    bytes(payload, payload_size, "payload"),
                                                                    deadline_in(timeout_ms));
        if (receivers) *receivers = count;
    });
}

int fanwire_engine_stats_get(const fanwire_engine* engine, fanwire_engine_stats* stats, size_t stats_size) {
    return guarded([&] {
        const Metrics& m = checked(engine).engine->metrics();
        fanwire_engine_stats out{};
        out.connected = m.connected.get();
        out.connects = m.connects.get();
        out.disconnects = m.disconnects.get();
        out.connect_errors = m.connect_errors.get();
        out.published = m.published.get();
        out.publish_ok = m.publish_ok.get();
        out.publish_failed = m.publish_failed.get();
        out.publish_unknown = m.publish_unknown.get();
        out.publish_queued = m.publish_queued.get();
        out.received = m.received.get();
        out.delivered = m.delivered.get();
        out.dropped = m.dropped.get();
        out.gaps = m.gaps.get();
        out.bytes_in = m.bytes_in.get();
        out.bytes_out = m.bytes_out.get();
        out.subscriptions = m.subscriptions.get();
        out.subscriptions_desired = m.subscriptions_desired.get();
        out.subscriptions_confirmed = m.subscriptions_confirmed.get();
        copy_out<sizeof out>(stats, stats_size, out, "stats");
    });
}
