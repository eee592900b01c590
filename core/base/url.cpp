// Follows RFC 3986, more strictly where leniency would misread a password and more leniently where it harms nobody:
//  - the scheme is matched without regard to case (3.1), "//" is required, a fragment (3.5) is refused;
//  - percent-encoding (2.1) is decoded in every part but the port; %00 and incomplete triplets are refused;
//  - '+' in the query stands for itself: that it means a space is HTML's rule;
//  - a second '@' before the path is refused (3.2.1 wants it encoded); ':' may stand in the password;
//  - spaces and control characters are refused; other bytes that want encoding, such as '^', '{' and those of UTF-8,
//    are taken as they are;
//  - IPv6 addresses stand in brackets (3.2.2), a zone is written %25eth0 (RFC 6874).
#include "core/base/url.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/base/other_clients.h"
#include "core/base/server_address.h"
#include "core/base/settings.h"
#include "core/base/text.h"

namespace fanwire::core {

namespace {

constexpr size_t max_url_size = 8192;

struct Scheme {
    std::string_view name;
    UrlTransport transport;
    bool tls;
    TopologyKind topology = TopologyKind::single;
};
constexpr Scheme schemes[] = {
    {"redis", UrlTransport::tcp, false},
    {"rediss", UrlTransport::tcp, true},
    {"valkey", UrlTransport::tcp, false},
    {"valkeys", UrlTransport::tcp, true},
    {"unix", UrlTransport::unix_socket, false},
    {"memory", UrlTransport::memory, false},
    {"redis-sentinel", UrlTransport::tcp, false, TopologyKind::sentinel},
    {"rediss-sentinel", UrlTransport::tcp, true, TopologyKind::sentinel},
    {"valkey-sentinel", UrlTransport::tcp, false, TopologyKind::sentinel},
    {"valkeys-sentinel", UrlTransport::tcp, true, TopologyKind::sentinel},
};

[[noreturn]] void fail(const std::string& what) {
    throw Failure(Status::INVALID_URL, "the URL is not valid: " + what);
}

bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
bool is_letter(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

bool all_digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), is_digit);
}

int hex_value(char byte) {
    if (is_digit(byte)) return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// nullopt for an incomplete triplet and for %00.
std::optional<std::string> try_decode(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        if (text.size() - at < 3) return std::nullopt;
        int high = hex_value(text[at + 1]), low = hex_value(text[at + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        at += 2;
    }
    return decoded;
}

// `where` is "the password" and the like.
std::string decode(std::string_view text, const char* where) {
    std::optional<std::string> decoded = try_decode(text);
    if (!decoded)
        fail(std::string(where) + " has a '%' without two hexadecimal digits, or %00; '%' itself is written %25");
    return *decoded;
}

// Whether it could be an IPv6 address, perhaps with a zone. The resolver judges the rest.
bool resembles_ipv6(std::string_view text) {
    std::string_view address = text.substr(0, text.find('%'));
    bool zone_is_empty = address.size() + 1 == text.size();
    auto fits = [](char byte) { return hex_value(byte) >= 0 || byte == ':' || byte == '.'; };
    return !zone_is_empty && std::count(address.begin(), address.end(), ':') >= 2 &&
           std::all_of(address.begin(), address.end(), fits);
}

// The URL's pieces, still encoded.
struct Pieces {
    std::string_view authority;
    std::string_view path;   // with its '/'
    std::string_view query;  // without its '?'
};

Pieces split(std::string_view after_scheme) {
    size_t path = std::min(after_scheme.find_first_of("/?"), after_scheme.size());
    size_t query = std::min(after_scheme.find('?', path), after_scheme.size());
    return {after_scheme.substr(0, path), after_scheme.substr(path, query - path),
            after_scheme.substr(std::min(query + 1, after_scheme.size()))};
}

void add(Url& url, std::string setting, std::string value, bool from_query) {
    for (const UrlPart& part : url.parts)
        if (part.setting == setting) fail(quote(setting) + " is given twice");
    url.parts.push_back({std::move(setting), std::move(value), from_query});
}

// Takes "[user][:password]@" off the front of the authority.
void read_login(Url& url, std::string_view& authority) {
    size_t end = authority.find('@');
    if (end == std::string_view::npos) return;
    std::string_view login = authority.substr(0, end);
    authority.remove_prefix(end + 1);
    if (authority.find('@') != std::string_view::npos) fail("'@' in a username or password is written %40");

    size_t colon = login.find(':');
    std::string username = decode(login.substr(0, colon), "the username");
    if (!username.empty()) add(url, "username", std::move(username), false);
    if (colon != std::string_view::npos) add(url, "password", decode(login.substr(colon + 1), "the password"), false);
}

void read_host_and_port(Url& url, std::string_view authority) {
    bool brackets = authority.starts_with('[');
    size_t host_end = std::min(brackets ? authority.find(']') : authority.find(':'), authority.size());
    if (brackets && host_end == authority.size()) fail("the '[' of an IPv6 address has no ']'");

    std::string host = decode(authority.substr(brackets ? 1 : 0, host_end - (brackets ? 1 : 0)), "the host");
    if (brackets && !resembles_ipv6(host)) fail("what stands in brackets is not an IPv6 address");
    if (!host.empty()) add(url, "host", std::move(host), false);

    authority.remove_prefix(host_end + (brackets ? 1 : 0));
    if (authority.empty()) return;
    std::string_view port = authority.substr(1);
    if (!brackets && port.find(':') != std::string_view::npos)
        fail("there is more than one ':' after the login; an IPv6 address stands in brackets");
    if (authority[0] != ':' || !all_digits(port)) fail("the port must be a whole number from 1 to 65535");
    if (!port.empty()) add(url, "port", std::string(port), false);
}

// The hosts of a group, as the setting `nodes` has them.
void read_hosts(Url& url, std::string_view authority, std::uint16_t default_port) {
    const std::string hosts = decode(authority, "the hosts");
    if (hosts.empty()) return;
    if (!parse_addresses(hosts, default_port))
        fail(
            "its hosts must be host:port,host:port...; a port is a whole number from 1 to 65535, an IPv6 address "
            "stands "
            "in brackets");
    add(url, "nodes", hosts, false);
}

void read_query(Url& url, std::string_view query, UrlUse use) {
    while (!query.empty()) {
        std::string_view pair = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(pair.size() + 1, query.size()));

        size_t equals = pair.find('=');
        if (equals == std::string_view::npos || equals == 0) fail("its query must be setting=value&setting=value...");
        std::string setting = decode(pair.substr(0, equals), "the query");
        if (setting == "url") fail("its query cannot hold another \"url\"");
        if (setting == "sentinels" && url.topology == TopologyKind::sentinel) setting = "master";  // a common spelling
        std::string value = decode(pair.substr(equals + 1), "the query");
        // Others let the query say again what stands before it, and then it counts; but never does it take TLS away.
        if (use == UrlUse::of_others)
            std::erase_if(url.parts, [&](const UrlPart& part) {
                return !part.from_query && part.setting == setting && (setting != "tls" || part.value == value);
            });
        add(url, std::move(setting), std::move(value), true);
    }
}

const Scheme& read_scheme(std::string_view name) {
    std::string known;
    for (const Scheme& scheme : schemes) known += (known.empty() ? "" : ", ") + std::string(scheme.name);

    auto allowed = [](char byte) {
        return is_letter(byte) || is_digit(byte) || byte == '+' || byte == '-' || byte == '.';
    };
    if (name.empty() || !is_letter(name[0]) || !std::all_of(name.begin(), name.end(), allowed))
        fail("it must begin with a scheme and \"://\"; the schemes are " + known);
    auto same = [](char a, char b) { return a == (is_letter(b) ? static_cast<char>(b | 0x20) : b); };
    for (const Scheme& scheme : schemes)
        if (std::equal(scheme.name.begin(), scheme.name.end(), name.begin(), name.end(), same)) return scheme;
    fail("the scheme " + quote(name) + " is not known; the schemes are " + known);
}

void read_tcp(Url& url, const Pieces& pieces) {
    // Allowed by RFC 3986, but nearly always the end of a password with a bare '/' or '?' in it: taken as a path or a
    // query it would end up in error texts.
    if (pieces.path.find('@') != std::string_view::npos || pieces.query.find('@') != std::string_view::npos)
        fail(
            "there is a bare '@' after the host; '@' is written %40, and in a username or password '/' %2F and '?' "
            "%3F");

    std::string_view authority = pieces.authority;
    read_login(url, authority);
    if (url.topology == TopologyKind::single)
        read_host_and_port(url, authority);
    else
        read_hosts(url, authority, sentinel_port);
    if (pieces.path.size() <= 1) return;
    std::string db = decode(pieces.path.substr(1), "the path");
    if (!all_digits(db)) fail("its path must be empty or the number of a database");
    add(url, "db", std::move(db), false);
}

void read_unix(Url& url, const Pieces& pieces) {
    std::string_view authority = pieces.authority;
    read_login(url, authority);
    if (!authority.empty()) fail("unix:// takes no host: the path of the socket follows as unix:///path");
    if (pieces.path.size() <= 1) fail("it names no socket: the path follows as unix:///path");
    add(url, "unix_path", decode(pieces.path, "the path"), false);
}

void read_memory(Url& url, const Pieces& pieces) {
    constexpr size_t max_name = 256;
    if (pieces.authority.find_first_of("@:") != std::string_view::npos || pieces.path.size() > 1)
        fail("memory:// takes a name and nothing else: no login, no port, no path");
    url.memory_name = decode(pieces.authority, "the name");
    if (url.memory_name.size() > max_name || !is_plain_text(url.memory_name))
        fail("the name must be UTF-8 text of at most 256 bytes without control characters");
}

// Where the text of a secret query value or password begins and ends.
struct Span {
    size_t begin;
    size_t end;
};

// `of_group`: in the URL of a Sentinel group, where `sentinels` is another spelling of `master`.
bool is_secret_setting(std::string_view encoded_name, bool of_group) {
    std::optional<std::string> name = try_decode(encoded_name);
    const std::vector<OptionRow>& rows = option_rows();
    if (of_group && name == "sentinels") return false;
    const auto shown = [&](const OptionRow& row) { return !row.secret && *name == row.name; };
    return !name || (std::none_of(rows.begin(), rows.end(), shown) && !is_shown_of_other_clients(*name));
}

bool is_url(std::string_view url) {
    try {
        parse_url(url);
        return true;
    } catch (const Failure&) {
        return false;
    }
}

bool is_url_of_group(std::string_view url) {
    return is_url(url) && parse_url(url).topology == TopologyKind::sentinel;
}

// The password before '@'; or what stands where a port should but is none, in case the '@' was forgotten.
Span find_password(std::string_view url, size_t authority, size_t authority_end) {
    size_t at = is_url(url) ? url.substr(0, authority_end).rfind('@') : url.rfind('@');
    if (at != std::string_view::npos && at >= authority) {
        size_t colon = std::min(url.find(':', authority), at);
        // No URL, and both are in what could be its query: who knows what they belong to.
        if (colon > authority_end && at > authority_end) return {authority_end + 1, url.size()};
        return {std::min(colon + 1, at), at};
    }
    // Several hosts, each with its port or none.
    if (is_url(url) && parse_addresses(url.substr(authority, authority_end - authority), sentinel_port))
        return {authority_end, authority_end};
    size_t bracket = url.substr(0, authority_end).rfind(']');
    size_t colon = url.find(':', bracket == std::string_view::npos ? authority : std::max(bracket, authority));
    if (colon >= authority_end) return {authority_end, authority_end};
    std::string_view port = url.substr(colon + 1, authority_end - colon - 1);
    if (port.size() <= 5 && all_digits(port)) return {authority_end, authority_end};
    return {colon + 1, url.size()};
}

}  // namespace

Url parse_url(std::string_view text, UrlUse use) {
    if (text.size() > max_url_size) fail("it has more than " + std::to_string(max_url_size) + " bytes");
    auto unsuitable = [](char byte) { return static_cast<unsigned char>(byte) <= 0x20 || byte == 0x7F; };
    if (std::any_of(text.begin(), text.end(), unsuitable))
        fail("it has a space or a control character; a space is written %20");
    if (text.find('#') != std::string_view::npos) fail("it has a fragment; '#' itself is written %23");

    size_t scheme_end = text.find("://");
    const Scheme& scheme = read_scheme(scheme_end == std::string_view::npos ? "" : text.substr(0, scheme_end));
    Url url{scheme.transport, scheme.topology, {}, {}};
    if (scheme.tls) add(url, "tls", "true", false);
    Pieces pieces = split(text.substr(scheme_end + 3));
    switch (url.transport) {
        case UrlTransport::tcp:
            read_tcp(url, pieces);
            break;
        case UrlTransport::unix_socket:
            read_unix(url, pieces);
            break;
        case UrlTransport::memory:
            read_memory(url, pieces);
            break;
    }
    read_query(url, pieces.query, use);
    return url;
}

std::string redact_url(std::string_view url) {
    size_t scheme_end = url.find("://");
    size_t authority = scheme_end == std::string_view::npos ? 0 : scheme_end + 3;
    size_t authority_end = std::min(url.find_first_of("/?#", authority), url.size());

    Span password = find_password(url, authority, authority_end);
    std::string redacted(url.substr(0, password.begin));
    if (password.end > password.begin) redacted += "***";

    std::string_view rest = url.substr(password.end);
    size_t query = std::min(rest.find('?'), rest.size());
    redacted += rest.substr(0, query);
    const bool of_group = is_url_of_group(url);
    for (rest.remove_prefix(query); !rest.empty();) {
        std::string_view pair = rest.substr(0, rest.find('&', 1));  // with the '?' or '&' before it
        rest.remove_prefix(pair.size());
        size_t equals = std::min(pair.find('='), pair.size());
        bool hide = equals + 1 < pair.size() && is_secret_setting(pair.substr(1, equals - 1), of_group);
        redacted += hide ? std::string(pair.substr(0, equals + 1)) + "***" : std::string(pair);
    }
    return redacted;
}

}  // namespace fanwire::core
