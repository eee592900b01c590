// JSON for JavaScript.
#include "capi/src/handle.h"
#include "core/message/json_guard.h"

using namespace fanwire::capi;

int fanwire_json_clean(const char* json, size_t json_size, char* buffer, size_t* size, int* changed) {
    return guarded([&] {
        const std::string_view text = bytes(json, json_size, "json");
        required(size, "size");
        required(changed, "changed");
        fanwire::core::JsonGuard guard(text);
        const size_t room = buffer ? *size : 0;
        *size = guard.size();
        *changed = guard.changes() ? 1 : 0;
        if (!guard.changes() || (!buffer && room == 0)) return;
        if (room < guard.size())
            throw Failure(Status::LIMIT_REACHED, "the buffer has " + std::to_string(room) + " bytes, the JSON needs " +
                                                     std::to_string(guard.size()));
        guard.write(buffer);
    });
}
