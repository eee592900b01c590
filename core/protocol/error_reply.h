// What an error reply of Redis means to us: its first word decides.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace fanwire::core {

// `what` names the command it answers and stands before Redis's own words.
inline Error error_of_reply(std::string_view what, std::string_view reply) noexcept {
    const std::string_view word = reply.substr(0, reply.find(' '));
    Status status = Status::REDIS_ERROR;
    if (word == "NOPERM")
        status = Status::NO_PERMISSION;
    else if (word == "NOAUTH" || word == "WRONGPASS")
        status = Status::AUTH_FAILED;
    const bool sentinel = reply.find("accepted by Sentinel") != reply.npos;  // what it says to PUBLISH
    if (sentinel) status = Status::WRONG_SERVER;
    Error error =
        Error::of(status, {what, ": ", reply.substr(0, 500),
                           sentinel ? " It is a sentinel: the URL is redis-sentinel://host?master=name" : ""});
    for (std::size_t i = what.size(); i < error.text.size(); ++i)
        if (error.text[i] < 0x20 || error.text[i] >= 0x7f) error.text[i] = '?';  // Redis's words are ASCII
    return error;
}

}  // namespace fanwire::core
