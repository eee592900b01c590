// Questions to other subscribers by way of the engine.
#include <span>

#include "capi/src/handle.h"

using namespace fanwire::capi;
using namespace fanwire::core;

namespace {

std::vector<std::string_view> names_of(const char* const* channels, const size_t* channel_sizes, size_t count) {
    if (count > Numsub::channels_max)  // before anything is made of that size
        throw Failure(Status::LIMIT_REACHED, std::to_string(count) + " channels: NUMSUB takes at most " +
                                                 std::to_string(Numsub::channels_max) + " at once");
    if (count > 0) {
        required(channels, "channels");
        required(channel_sizes, "channel_sizes");
    }
    std::vector<std::string_view> names;
    for (size_t i = 0; i < count; ++i) names.push_back(bytes(channels[i], channel_sizes[i], "a channel"));
    return names;
}

}  // namespace

int fanwire_numsub(fanwire_engine* engine, const char* const* channels, const size_t* channel_sizes, size_t count,
                   uint64_t* counts, uint64_t timeout_ms) {
    return guarded_wait([&] {
        Engine& target = *checked(engine).engine;
        if (count > 0) required(counts, "counts");
        target.numsub_wait(names_of(channels, channel_sizes, count), counts, deadline_in(timeout_ms));
    });
}

int fanwire_numsub_async(fanwire_engine* engine, const char* const* channels, const size_t* channel_sizes, size_t count,
                         fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        Engine& target = *checked(engine).engine;
        const std::shared_ptr<Inbox>& sink = checked_beside(target, inbox).inbox;
        const auto names = names_of(channels, channel_sizes, count);
        OutcomeSlot slot(*sink);
        target.numsub(names, sink, user_data);
        slot.keep();
    });
}

int fanwire_request_open(fanwire_request** request, fanwire_engine* engine, const fanwire_request_args* args,
                         size_t args_size) {
    return guarded([&] {
        required(request, "request");
        const auto& target = checked(engine).engine;
        const auto asked = copy_in(args, args_size, "args");
        fanwire_inbox& inbox = checked_beside(*target, asked.inbox);
        const std::string_view channel = bytes(asked.channel, asked.channel_size, "channel");
        const std::string_view payload = bytes(asked.payload, asked.payload_size, "payload");
        outlet_of(inbox, target);
        auto handle = std::make_unique<fanwire_request>();
        OutcomeSlot slot(*inbox.inbox);
        handle->engine = target;
        handle->request =
            target->request(channel, payload, asked.expect, asked.timeout_ms, inbox.inbox, asked.user_data);
        slot.keep();
        *request = handle.release();
    });
}

int fanwire_request_cancel(fanwire_request* request) {
    return guarded([&] {
        fanwire_request& handle = checked(request);
        const std::shared_ptr<Engine> engine = handle.engine.lock();
        if (!engine || !engine->cancel(handle.request)) throw Failure(Status::UNSUBSCRIBED, "the request has ended");
    });
}

void fanwire_request_destroy(fanwire_request** request) {
    destroy(request);
}

fanwire_request::~fanwire_request() {
    if (!request) return;  // it could not be opened
    if (forked()) {
        guarded([&] {
            leak(std::move(request));
            leak(std::move(engine));
        });
        return;
    }
    if (const auto owner = engine.lock()) owner->cancel(request);
}

int fanwire_reply(fanwire_engine* engine, const fanwire_message* message, const char* payload, size_t payload_size) {
    return guarded(
        [&] { checked(engine).engine->reply(message_of(message), bytes(payload, payload_size, "payload")); });
}
