// What a node of a Cluster answers for a slot that it does not serve.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/server_address.h"
#include "core/topology/slots.h"

namespace fanwire::core {

struct Redirect {
    // `ask`: this command only, after an ASKING; the slot is on its way.
    enum class Kind : std::uint8_t { moved, ask };

    Kind kind;
    Slot slot;
    ServerAddress address;  // not known() when the node cannot say it
};

// "MOVED 3999 127.0.0.1:6381" and the like, by the node at `asked`: that is also where an empty host is. nullopt for
// all other errors, and for one with a slot or a port that cannot be.
std::optional<Redirect> redirect_of(std::string_view error, const ServerAddress& asked);

}  // namespace fanwire::core
