#include "core/base/settings.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/error.h"
#include "core/base/option_table.h"
#include "core/base/other_clients.h"
#include "core/base/server_address.h"
#include "core/base/service_links.h"
#include "core/base/text.h"
#include "core/base/url.h"

namespace fanwire::core {

namespace {

// Later ones win.
enum class Source { table, environment, url, option };
constexpr const char* source_names[] = {"default", "environment", "url", "option"};

struct Resolved {
    Settings settings;
    std::vector<Source> sources;  // one for each row of the table
    bool redis_url = false;       // the URL is that of others
};

// `context` says where the text stands, "" for an explicit setting.
void assign(Settings& settings, const Option& option, std::string_view text, const std::string& context) {
    try {
        if (option.assign(settings, text)) return;
    } catch (const Failure& failure) {
        throw Failure(failure.status(), context + failure.what());
    }
    std::string value = option.secret ? "" : ", not " + quote(text);
    throw Failure(Status::INVALID_OPTION, context + option.name + " " + option.expected + value);
}

// The parts of the authority and the path are not repeated in error texts: a malformed URL may have its password there.
void assign_url_part(Settings& settings, const UrlPart& part, const std::string& context) {
    std::string in_url = context + "in the URL: ";
    const Option& option = option_table()[find_option(part.setting, in_url)];
    if (part.from_query) return assign(settings, option, part.value, in_url);
    if (option.assign(settings, part.value)) return;
    throw Failure(Status::INVALID_URL, context + "the URL is not valid: " + option.name + " " + option.expected);
}

// Checks what parse_url() leaves to us. `url` has been parsed from text standing in `context`.
void check_url(const Url& url, const std::string& context) {
    Settings scratch;
    auto names = [&](const char* setting) {
        return std::any_of(url.parts.begin(), url.parts.end(),
                           [&](const UrlPart& part) { return part.setting == setting; });
    };
    for (const UrlPart& part : url.parts) assign_url_part(scratch, part, context);

    bool tcp = names("host") || names("port");
    if (url.topology == TopologyKind::sentinel && (tcp || names("unix_path")))
        throw Failure(Status::INVALID_URL,
                      context +
                          "the URL is not valid: the server of redis-sentinel:// is found by its sentinels, and it "
                          "takes no host, port or unix_path");
    if (url.transport == UrlTransport::memory && (tcp || names("unix_path")))
        throw Failure(Status::INVALID_URL,
                      context + "the URL is not valid: memory:// takes no host, port or unix_path");
    if (tcp && !scratch.unix_path.empty())
        throw Failure(Status::INVALID_URL,
                      context + "the URL is not valid: host or port and unix_path exclude each other");
    if (scratch.tls && url.transport == UrlTransport::memory)
        throw Failure(Status::INVALID_URL, context + "the URL is not valid: memory:// takes no tls");
    if (scratch.tls && !scratch.unix_path.empty())
        throw Failure(
            Status::INVALID_URL,
            context + "the URL is not valid: tls and unix_path exclude each other; Redis speaks TLS over TCP only");
}

struct EnvironmentValue {
    std::string variable;
    std::string value;
};

std::string context_of(const EnvironmentValue& found) {
    return "environment variable " + found.variable + ": ";
}

std::optional<EnvironmentValue> read_environment(Settings& settings, const Environment& environment,
                                                 const std::string& variable) {
    std::optional<std::string> value = environment(variable.c_str());
    if (!value || value->empty()) return std::nullopt;
    EnvironmentValue found{variable, *std::move(value)};
    if (!is_service_link(found.variable, found.value)) return found;
    settings.notes.push_back(context_of(found) + quote(found.value) +
                             " is ignored: Kubernetes and Docker set it for a service of that name");
    return std::nullopt;
}

// REDIS_URL, which is written for other clients as well.
Url their_url(Settings& settings, const std::string& text, const std::string& context) {
    try {
        Url url = parse_url(text, UrlUse::of_others);
        settings.url = text;
        understand_other_clients(url, context, settings.notes);
        return url;
    } catch (const Failure& failure) {
        throw Failure(failure.status(), context + failure.what());
    }
}

using Explicit = std::map<std::string, std::string, std::less<>>;

Url resolve_url(Resolved& resolved, const Explicit& given, const Environment& environment) {
    size_t url_index = find_option("url");
    const Option& option = option_table()[url_index];
    std::string text = option.default_value;
    std::string context;
    auto explicit_url = given.find(option.name);
    if (explicit_url != given.end()) {
        text = explicit_url->second;
        resolved.sources[url_index] = Source::option;
    } else {
        std::optional<EnvironmentValue> found = read_environment(resolved.settings, environment, option.variable);
        if (!found) {
            found = read_environment(resolved.settings, environment, "REDIS_URL");
            resolved.redis_url = found.has_value();
        }
        if (found) {
            text = found->value;
            context = context_of(*found);
            resolved.sources[url_index] = Source::environment;
        }
    }
    if (!resolved.redis_url) assign(resolved.settings, option, text, context);
    Url url = resolved.redis_url ? their_url(resolved.settings, text, context) : parse_url(text);
    check_url(url, context);
    // The table's own URL says nothing that the environment could not say better.
    if (resolved.sources[url_index] == Source::table) url.parts.clear();
    return url;
}

void resolve_row(Resolved& resolved, size_t index, const Url& url, const Explicit& given,
                 const Environment& environment) {
    const Option& option = option_table()[index];
    if (auto found = given.find(option.name); found != given.end()) {
        resolved.sources[index] = Source::option;
        return assign(resolved.settings, option, found->second, "");
    }
    for (const UrlPart& part : url.parts) {
        if (part.setting != option.name) continue;
        resolved.sources[index] = Source::url;
        return assign_url_part(resolved.settings, part, "");
    }
    if (std::optional<EnvironmentValue> found = read_environment(resolved.settings, environment, option.variable)) {
        resolved.sources[index] = Source::environment;
        return assign(resolved.settings, option, found->value, context_of(*found));
    }
    assign(resolved.settings, option, option.default_value, "");
}

[[noreturn]] void fail_contradiction(const std::string& text) {
    throw Failure(Status::INVALID_OPTION, text);
}

const char* name_of(Source source) {
    return source_names[static_cast<size_t>(source)];
}

// A unix socket and host or port exclude each other: the more explicit one wins.
void resolve_transport(Resolved& resolved, const Url& url) {
    size_t host = find_option("host"), port = find_option("port"), unix_path = find_option("unix_path");
    std::vector<Source>& sources = resolved.sources;
    if (url.transport == UrlTransport::memory) {
        resolved.settings.backend = BackendKind::memory;
        resolved.settings.memory_name = url.memory_name;
        for (size_t index : {host, port, unix_path})
            if (sources[index] == Source::option)
                fail_contradiction(option_table()[index].name +
                                   " is set, but the url is a memory:// one, which has no server");
        return;
    }
    if (resolved.settings.unix_path.empty()) return;
    Source tcp = std::max(sources[host], sources[port]);
    if (tcp < sources[unix_path]) return;
    if (tcp == sources[unix_path]) {
        const char* which = sources[host] == tcp ? "host" : "port";
        fail_contradiction(std::string(which) + " and unix_path are both set (" + name_of(tcp) +
                           "); only one of them can be used");
    }
    resolved.settings.unix_path.clear();
    sources[unix_path] = tcp;
}

// What belongs to one topology was given for this engine, and would not be used with another one: a mistake. The
// environment may hold it for others.
void resolve_topology(Resolved& resolved, const Url& url) {
    Settings& settings = resolved.settings;
    settings.topology = url.topology;
    const bool sentinel = settings.topology == TopologyKind::sentinel;
    const auto given = [&](const char* name) { return resolved.sources[find_option(name)] > Source::environment; };
    for (const char* name : {"host", "port", "unix_path"})
        if (sentinel && given(name))
            fail_contradiction(std::string(name) +
                               " is set, but the server of redis-sentinel:// is found by its sentinels");
    for (const char* name : {"nodes", "master", "sentinel_username", "sentinel_password"})
        if (!sentinel && given(name))
            fail_contradiction(std::string(name) + " is set, but the url is not a redis-sentinel:// one");
    if (!sentinel) return;
    settings.unix_path.clear();
    if (settings.master.empty())
        fail_contradiction(
            "master is not set; redis-sentinel:// needs the name of the group, as in "
            "redis-sentinel://host:26379?master=mymaster");
    if (resolved.sources[find_option("write_pause_ms")] == Source::table) settings.write_pause_ms = 10000;  // failovers
    if (settings.nodes.empty()) settings.nodes = "127.0.0.1:" + std::to_string(sentinel_port);
}

// TLS is for TCP. What asks for it ranks against a unix socket as host and port do; details of TLS that were given for
// this engine and would not be used are a mistake, while the environment may hold them for others.
void resolve_tls(Resolved& resolved) {
    Settings& settings = resolved.settings;
    std::vector<Source>& sources = resolved.sources;
    Source& tls = sources[find_option("tls")];
    bool memory = settings.backend == BackendKind::memory;
    if (settings.tls && memory) {
        if (tls >= Source::url) fail_contradiction("tls is set, but the url is a memory:// one, which has no server");
        settings.tls = false;
    } else if (settings.tls && !settings.unix_path.empty()) {
        Source unix_path = sources[find_option("unix_path")];
        if (tls >= unix_path)
            fail_contradiction(std::string("tls (") + name_of(tls) + ") and unix_path (" + name_of(unix_path) +
                               ") are both set; Redis speaks TLS over TCP only");
        settings.tls = false;
        tls = unix_path;
    }

    if (settings.tls) {
        if (settings.tls_cert_file.empty() != settings.tls_key_file.empty()) {
            bool cert = settings.tls_key_file.empty();
            fail_contradiction(std::string(cert ? "tls_cert_file" : "tls_key_file") + " is set, but " +
                               (cert ? "tls_key_file" : "tls_cert_file") +
                               " is not; a client certificate needs both, which may be one file");
        }
        return;
    }
    for (const char* name : {"tls_ca_file", "tls_cert_file", "tls_key_file", "tls_server_name"}) {
        size_t index = find_option(name);
        const bool for_others = resolved.redis_url && sources[index] == Source::url;
        const Source source = for_others ? Source::environment : sources[index];
        if (source <= std::max(tls, Source::environment) || option_table()[index].show(settings).empty()) continue;
        fail_contradiction(std::string(name) + " is set, but " +
                           (memory ? "the url is a memory:// one, which has no server"
                                   : "tls is not; rediss:// or tls=true turns it on"));
    }
}

void check_pairs(const Settings& settings) {
    if (settings.reconnect_delay_ms > settings.max_reconnect_delay_ms)
        fail_contradiction("reconnect_delay_ms (" + std::to_string(settings.reconnect_delay_ms) +
                           ") must not be above max_reconnect_delay_ms (" +
                           std::to_string(settings.max_reconnect_delay_ms) + ")");
    if (settings.heartbeat_timeout_ms <= settings.heartbeat_interval_ms)
        fail_contradiction("heartbeat_timeout_ms (" + std::to_string(settings.heartbeat_timeout_ms) +
                           ") must be above heartbeat_interval_ms (" + std::to_string(settings.heartbeat_interval_ms) +
                           ")");
}

Resolved resolve_all(const Explicit& given, const Environment& environment) {
    Resolved resolved;
    resolved.sources.assign(option_table().size(), Source::table);
    Url url = resolve_url(resolved, given, environment);
    for (size_t index = 0; index < option_table().size(); ++index)
        if (index != find_option("url")) resolve_row(resolved, index, url, given, environment);
    resolve_topology(resolved, url);
    resolve_transport(resolved, url);
    resolve_tls(resolved);
    check_pairs(resolved.settings);
    return resolved;
}

}  // namespace

Environment process_environment() {
    return [](const char* name) -> std::optional<std::string> {
        const char* value = std::getenv(name);
        if (value == nullptr) return std::nullopt;
        return value;
    };
}

void Options::set(std::string_view name, std::string_view value) {
    size_t index = find_option(name);
    Settings scratch;
    assign(scratch, option_table()[index], value, "");
    if (name == "url") check_url(parse_url(value), "");
    explicit_.insert_or_assign(std::string(name), std::string(value));
}

Settings Options::resolve(const Environment& environment) const {
    return resolve_all(explicit_, environment).settings;
}

std::string Options::effective(std::string_view name, const Environment& environment) const {
    const Option& option = option_table()[find_option(name)];
    return option.show(resolve_all(explicit_, environment).settings);
}

const char* Options::source(std::string_view name, const Environment& environment) const {
    size_t index = find_option(name);
    return name_of(resolve_all(explicit_, environment).sources[index]);
}

}  // namespace fanwire::core
