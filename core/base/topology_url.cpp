// Each host with what surrounds the list makes a URL of one server, which parse_url() reads: so both kinds follow the
// same rules, and errors have the same words.
#include "core/base/topology_url.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/base/error.h"
#include "core/base/text.h"

namespace fanwire::core {

namespace {

constexpr std::uint16_t default_port = 6379;
constexpr std::size_t partitions_max = 16384;

[[noreturn]] void fail(const std::string& what) {
    throw Failure(Status::INVALID_URL, "the URL is not valid: " + what);
}

struct Scheme {
    std::string_view single;  // of the URL of one server
    TopologyKind kind;
};

std::optional<Scheme> scheme_of(std::string_view url) {
    const std::size_t end = url.find("://");
    if (end == std::string_view::npos) return std::nullopt;
    std::string name(url.substr(0, end));
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    for (const std::string_view single : {"redis", "rediss", "valkey", "valkeys"})
        for (const TopologyKind kind : {TopologyKind::cluster, TopologyKind::ring})
            if (name == std::string(single) + (kind == TopologyKind::cluster ? "-cluster" : "-ring"))
                return Scheme{single, kind};
    return std::nullopt;
}

// The URL's pieces, still encoded.
struct Pieces {
    std::string_view login;  // with its '@'
    std::string_view hosts;
    std::string_view rest;  // path and query
};

Pieces split(std::string_view url) {
    const std::string_view all = url.substr(url.find("://") + 3);
    const std::size_t end = std::min(all.find_first_of("/?#"), all.size());
    const std::string_view authority = all.substr(0, end);
    const std::size_t at = authority.find('@');
    const std::size_t login = at == std::string_view::npos ? 0 : at + 1;
    return {authority.substr(0, login), authority.substr(login), all.substr(end)};
}

std::string join(std::string_view single, std::string_view login, std::string_view host, std::string_view rest) {
    std::string url(single);
    url += "://";
    url += login;
    url += host;
    return url += rest;
}

// Takes the setting out of the parts.
std::optional<std::string> take(std::vector<UrlPart>& parts, std::string_view setting) {
    const auto part =
        std::find_if(parts.begin(), parts.end(), [&](const UrlPart& one) { return one.setting == setting; });
    if (part == parts.end()) return std::nullopt;
    std::string value = std::move(part->value);
    parts.erase(part);
    return value;
}

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

void add_host(TopologyUrl& url, std::vector<UrlPart>& parts) {
    const std::optional<std::string> host = take(parts, "host"), port = take(parts, "port");
    if (!host) fail("one of its servers has no name");
    const std::optional<std::uint64_t> number = port ? number_of(*port) : default_port;
    if (!number || *number < 1 || *number > 65535)
        fail("the port of " + quote(*host) + " must be a whole number from 1 to 65535");
    const ServerAddress one{*host, static_cast<std::uint16_t>(*number)};
    if (std::find(url.hosts.begin(), url.hosts.end(), one) != url.hosts.end()) fail(one.text() + " is given twice");
    url.hosts.push_back(one);
}

void read_sharding(TopologyUrl& url) {
    const std::optional<std::string> sharded = take(url.parts, "sharded"), partitions = take(url.parts, "partitions");
    if (url.kind == TopologyKind::ring && (sharded || partitions))
        fail(quote(sharded ? "sharded" : "partitions") + " is of a Cluster, and a ring is none");
    if (sharded && *sharded != "true" && *sharded != "false")
        fail("sharded must be true or false, not " + quote(*sharded));
    url.sharded = sharded == "true";
    if (!partitions) return;
    const std::optional<std::uint64_t> count = number_of(*partitions);
    if (!count || *count < 1 || *count > partitions_max)
        fail("partitions must be a whole number from 1 to " + std::to_string(partitions_max) + ", not " +
             quote(*partitions));
    if (!url.sharded) fail("partitions need sharded=true");
    url.partitions = *count;
}

}  // namespace

bool is_topology_url(std::string_view url) {
    return scheme_of(url).has_value();
}

TopologyUrl parse_topology_url(std::string_view text) {
    const std::optional<Scheme> scheme = scheme_of(text);
    if (!scheme) fail("its scheme is none of a Cluster or a ring, such as redis-cluster or redis-ring");
    // Before it is taken apart, since every part would be looked at as often as there are hosts.
    constexpr std::size_t max_size = 8192, max_hosts = 1000;
    if (text.size() > max_size) fail("it has more than " + std::to_string(max_size) + " bytes");
    const Pieces pieces = split(text);
    if (pieces.hosts.find('@') != std::string_view::npos)
        fail(
            "all servers share one login, which stands before the first; '@' in a username or password is written %40");
    if (std::count(pieces.hosts.begin(), pieces.hosts.end(), ',') >= static_cast<std::ptrdiff_t>(max_hosts))
        fail("it names more than " + std::to_string(max_hosts) + " servers");

    TopologyUrl url{scheme->kind, {}, {}};
    std::string_view hosts = pieces.hosts;
    for (bool more = true; more;) {
        const std::string_view host = hosts.substr(0, hosts.find(','));
        more = host.size() < hosts.size();
        hosts.remove_prefix(std::min(host.size() + 1, hosts.size()));
        // The first one brings what all have in common.
        const bool first = url.hosts.empty();
        std::vector<UrlPart> parts =
            parse_url(first ? join(scheme->single, pieces.login, host, pieces.rest) : join("redis", "", host, ""))
                .parts;
        add_host(url, parts);
        if (first) url.parts = std::move(parts);
    }

    for (const UrlPart& part : url.parts) {
        if (part.setting == "unix_path") fail("unix_path is of one server, and this URL names several");
        if (part.setting == "db" && url.kind == TopologyKind::cluster && number_of(part.value) != 0u)
            fail("a Cluster has no database but 0");
    }
    read_sharding(url);
    return url;
}

std::string redact_topology_url(std::string_view url) {
    try {
        parse_topology_url(url);
    } catch (const Failure&) {
        return redact_url(url);  // which then hides rather too much
    }
    const Pieces pieces = split(url);
    const std::string single = redact_url(join("redis", pieces.login, "h", pieces.rest));
    const std::string_view redacted = std::string_view(single).substr(single.find("://") + 3);
    const std::size_t host = std::min(redacted.find_first_of("/?"), redacted.size()) - 1;
    std::string text(url.substr(0, url.find("://") + 3));
    text += redacted.substr(0, host);
    text += pieces.hosts;
    return text += redacted.substr(host + 1);
}

}  // namespace fanwire::core
