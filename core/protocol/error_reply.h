// What an error reply of Redis means to us: its first word decides.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fanwire::core {

// `what` names the command it answers and stands before Redis's own words.
inline Error error_of_reply(std::string_view what, std::string_view reply) {
    const std::string_view word = reply.substr(0, reply.find(' '));
    Status status = Status::REDIS_ERROR;
    if (word == "NOPERM")
        status = Status::NO_PERMISSION;
    else if (word == "NOAUTH" || word == "WRONGPASS")
        status = Status::AUTH_FAILED;
    std::string text = std::string(what) + ": ";
    for (const char c : reply.substr(0, 500)) text += c >= 0x20 && c < 0x7f ? c : '?';  // Redis's words are ASCII
    return {status, text};
}

}  // namespace fanwire::core
