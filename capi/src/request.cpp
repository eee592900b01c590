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
    return guarded([&] {
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
