// URLs that name several servers: a Cluster, or a ring of independent ones. Pure: text in, parts out. An engine takes
// them once its backend can serve them; parse_url() refuses them until then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/server_address.h"
#include "core/base/url.h"

namespace fanwire::core {

struct TopologyUrl {
    TopologyKind kind;
    std::vector<ServerAddress> hosts;  // at least one, none twice, in the order given
    std::vector<UrlPart> parts;  // as of Url, but without host and port, which `hosts` has, and without what follows
    bool sharded = false;        // Cluster only
    std::size_t partitions = 0;  // 0: none; sharded only
};

// Whether the scheme is one of redis-cluster, rediss-cluster, valkey-cluster, valkeys-cluster, and the same with ring.
bool is_topology_url(std::string_view url);

// SCHEME://[[user]:password@]host[:port],host[:port]...[/db][?setting=value&...]. rediss and valkeys say tls=true.
// Throws INVALID_URL with a text that never repeats anything that could be a password.
TopologyUrl parse_topology_url(std::string_view url);

// As redact_url() does it.
std::string redact_topology_url(std::string_view url);

}  // namespace fanwire::core
