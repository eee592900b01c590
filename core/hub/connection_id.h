// What a connection is called throughout a fleet: a UUID of version 4.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/message/envelope.h"

namespace fanwire::core {

using ConnectionId = Envelope::Id;

// Throws what std::random_device throws.
ConnectionId make_connection_id();

// Whether the bytes are a UUID of version 4.
bool is_connection_id(const ConnectionId& id);

// 32 hexadecimal digits, of either case, with hyphens behind the 8th, 12th, 16th and 20th. None: it is no such UUID.
std::optional<ConnectionId> parse_connection_id(std::string_view text);

// In lower case.
std::string to_text(const ConnectionId& id);

}  // namespace fanwire::core
