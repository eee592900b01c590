// URLs that say where Redis is. Pure: text in, parts out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fanwire::core {

// Whom it was written for: other clients let the query say again what stands before it.
enum class UrlUse { ours, of_others };

enum class UrlTransport { tcp, unix_socket, memory };

// What the hosts of a URL are: the one server, the sentinels of a group, nodes of a Cluster, or independent servers.
enum class TopologyKind { single, sentinel, cluster, ring };

// What a URL says about one setting, percent-decoded. Whether the value suits the setting is not checked here.
struct UrlPart {
    std::string setting;
    std::string value;
    bool from_query;  // named by the URL itself; not when its place in the URL says what it is
};

struct Url {
    UrlTransport transport;
    TopologyKind topology = TopologyKind::single;
    std::string memory_name;     // of memory://name
    std::vector<UrlPart> parts;  // no setting twice
};

// scheme://[[user]:password@]host[:port][/db][?setting=value&...] and its forms unix://[...@]/path[?...] and
// memory://[name][?...]; and of a Sentinel group
// redis-sentinel://[login@]host[:port][,host[:port]...][/db]?master=name (or sentinels=name), whose hosts are sentinels
// and whose login is the server's. rediss:// and valkeys:// (rediss-sentinel://, ...) say tls=true; redis:// and
// valkey:// leave it to others. Throws
// INVALID_URL with a text that never repeats anything that could be a password.
Url parse_url(std::string_view url, UrlUse use = UrlUse::ours);

// The URL with "***" for the password and for all in the query that is not known to be no secret. For what is no URL at
// all it rather hides too much than too little.
std::string redact_url(std::string_view url);

}  // namespace fanwire::core
