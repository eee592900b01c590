#include "core/base/other_clients.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/base/decimal.h"
#include "core/base/option_table.h"
#include "core/base/text.h"

namespace fanwire::core {

namespace {

// How a value becomes one of ours.
enum class Meaning {
    nothing,   // passed over
    same,      // as it is
    name,      // of connections; empty: none given
    database,  // perhaps as a path, "/1"
    seconds,   // "0.5"
    milliseconds,
    duration,     // "5s", "500ms"; a bare number is seconds
    yes,          // a word for true or false
    skip_verify,  // true: tls_verify=false
    verify,       // false: tls_verify=false
    check_name,   // false: tls_verify=ca
    cert_reqs,    // none, optional, required
    verify_peer,  // NONE, CA, FULL
};

struct Row {
    std::string_view name;
    const char* client;   // whose it is
    const char* setting;  // ours; of what is passed over, the setting to look at, or nullptr
    Meaning meaning;
    const char* why = nullptr;  // what is passed over has no setting
};

constexpr const char* py = "redis-py";
constexpr const char* node = "ioredis";
constexpr const char* go = "go-redis";
constexpr const char* java = "Lettuce";
constexpr const char* celery = "Celery";
constexpr const char* php = "PHP clients";
constexpr const char* several = "several clients";
constexpr const char* bytes = "names and payloads are bytes here";
constexpr const char* pool = "there are two connections here, and no pool";
constexpr const char* resp = "only RESP2 is spoken here";
constexpr const char* no_keys = "there are only channels here";
constexpr const char* library = "only the connection is named";
constexpr const char* addresses = "every address of the host is tried";

// THE table.
constexpr Row rows[] = {
    // TLS
    {"ssl", several, "tls", Meaning::yes},
    {"ssl_cert_reqs", py, "tls_verify", Meaning::cert_reqs},
    {"ssl_check_hostname", py, "tls_verify", Meaning::check_name},
    {"ssl_ca_certs", py, "tls_ca_file", Meaning::same},
    {"ssl_certfile", py, "tls_cert_file", Meaning::same},
    {"ssl_keyfile", py, "tls_key_file", Meaning::same},
    {"ssl_ca_path", py, "tls_ca_file", Meaning::nothing},
    {"ssl_ca_data", py, "tls_ca_file", Meaning::nothing},
    {"ssl_password", py, "tls_key_file", Meaning::nothing},
    {"ssl_min_version", py, nullptr, Meaning::nothing, "TLS is 1.2 or 1.3"},
    {"ssl_ciphers", py, nullptr, Meaning::nothing, "the ciphers are those of OpenSSL's configuration"},
    {"ssl_validate_ocsp", py, nullptr, Meaning::nothing, "OCSP is not asked"},
    {"ssl_validate_ocsp_stapled", py, nullptr, Meaning::nothing, "OCSP is not asked"},
    {"skip_verify", go, "tls_verify", Meaning::skip_verify},
    {"insecure_skip_verify", go, "tls_verify", Meaning::skip_verify},
    {"verifyPeer", java, "tls_verify", Meaning::verify_peer},
    {"verify_peer", php, "tls_verify", Meaning::verify},
    {"verify_peer_name", php, "tls_verify", Meaning::check_name},
    {"rejectUnauthorized", node, "tls_verify", Meaning::verify},
    {"servername", node, "tls_server_name", Meaning::same},
    {"startTls", java, "tls", Meaning::nothing},

    // Whom to log in as, and where
    {"user", several, "username", Meaning::same},
    {"pass", several, "password", Meaning::same},
    {"auth", php, "password", Meaning::same},
    {"database", several, "db", Meaning::database},
    {"dbindex", php, "db", Meaning::database},
    {"virtual_host", celery, "db", Meaning::database},
    {"clientName", java, "client_name", Meaning::name},
    {"connectionName", node, "client_name", Meaning::name},
    {"family", node, nullptr, Meaning::nothing, addresses},
    {"socket_type", py, nullptr, Meaning::nothing, addresses},

    // Times
    {"socket_connect_timeout", py, "connect_timeout_ms", Meaning::seconds},
    {"connectTimeout", node, "connect_timeout_ms", Meaning::milliseconds},
    {"connect_timeout", several, "connect_timeout_ms", Meaning::seconds},
    {"dial_timeout", go, "connect_timeout_ms", Meaning::duration},
    {"socket_timeout", py, "heartbeat_timeout_ms", Meaning::nothing},
    {"timeout", several, "connect_timeout_ms", Meaning::nothing},
    {"commandTimeout", node, "publish_timeout_ms", Meaning::nothing},
    {"socketTimeout", node, "heartbeat_timeout_ms", Meaning::nothing},
    {"read_timeout", several, "heartbeat_timeout_ms", Meaning::nothing},
    {"write_timeout", go, "publish_timeout_ms", Meaning::nothing},
    {"read_write_timeout", php, "heartbeat_timeout_ms", Meaning::nothing},
    {"health_check_interval", py, "heartbeat_interval_ms", Meaning::nothing},
    {"pingInterval", "node-redis", "heartbeat_interval_ms", Meaning::nothing},
    {"socket_keepalive", py, "heartbeat_interval_ms", Meaning::nothing},
    {"socket_keepalive_options", py, "heartbeat_interval_ms", Meaning::nothing},
    {"keepAlive", node, "heartbeat_interval_ms", Meaning::nothing},
    {"tcp_keepalive", php, "heartbeat_interval_ms", Meaning::nothing},

    // Trying again
    {"retry_on_timeout", py, "max_reconnect_attempts", Meaning::nothing},
    {"retry_on_error", py, "max_reconnect_attempts", Meaning::nothing},
    {"retry", py, "max_reconnect_attempts", Meaning::nothing},
    {"max_retries", go, "max_reconnect_attempts", Meaning::nothing},
    {"maxRetriesPerRequest", node, "max_reconnect_attempts", Meaning::nothing},
    {"retryStrategy", node, "reconnect_delay_ms", Meaning::nothing},
    {"retry_interval", php, "reconnect_delay_ms", Meaning::nothing},
    {"min_retry_backoff", go, "reconnect_delay_ms", Meaning::nothing},
    {"max_retry_backoff", go, "max_reconnect_delay_ms", Meaning::nothing},
    {"enableOfflineQueue", node, "offline", Meaning::nothing},
    {"enableReadyCheck", node, "server_info", Meaning::nothing},
    {"lazyConnect", node, nullptr, Meaning::nothing, "an engine connects when it is opened"},
    {"lazy", php, nullptr, Meaning::nothing, "an engine connects when it is opened"},
    {"autoResubscribe", node, nullptr, Meaning::nothing, "what is wanted is always subscribed again"},
    {"autoResendUnfulfilledCommands", node, nullptr, Meaning::nothing,
     "what may have been executed is never sent again"},

    // Pools
    {"max_connections", py, nullptr, Meaning::nothing, pool},
    {"connection_pool", py, nullptr, Meaning::nothing, pool},
    {"single_connection_client", py, nullptr, Meaning::nothing, pool},
    {"pool_fifo", go, nullptr, Meaning::nothing, pool},
    {"pool_size", go, nullptr, Meaning::nothing, pool},
    {"pool_timeout", go, nullptr, Meaning::nothing, pool},
    {"min_idle_conns", go, nullptr, Meaning::nothing, pool},
    {"max_idle_conns", go, nullptr, Meaning::nothing, pool},
    {"max_active_conns", go, nullptr, Meaning::nothing, pool},
    {"conn_max_idle_time", go, nullptr, Meaning::nothing, pool},
    {"conn_max_lifetime", go, nullptr, Meaning::nothing, pool},
    {"idle_timeout", go, nullptr, Meaning::nothing, pool},
    {"idle_check_frequency", go, nullptr, Meaning::nothing, pool},
    {"max_conn_age", go, nullptr, Meaning::nothing, pool},
    {"minsize", "aioredis", nullptr, Meaning::nothing, pool},
    {"maxsize", "aioredis", nullptr, Meaning::nothing, pool},
    {"persistent", php, nullptr, Meaning::nothing, pool},
    {"persistent_id", php, nullptr, Meaning::nothing, pool},

    // What is said, and how
    {"protocol", several, nullptr, Meaning::nothing, resp},
    {"unstable_resp3", go, nullptr, Meaning::nothing, resp},
    {"decode_responses", py, nullptr, Meaning::nothing, bytes},
    {"encoding", py, nullptr, Meaning::nothing, bytes},
    {"encoding_errors", py, nullptr, Meaning::nothing, bytes},
    {"stringNumbers", node, nullptr, Meaning::nothing, bytes},
    {"keyPrefix", node, "namespace", Meaning::nothing},
    {"prefix", php, "namespace", Meaning::nothing},
    {"global_keyprefix", celery, "namespace", Meaning::nothing},
    {"fanout_prefix", celery, "namespace", Meaning::nothing},
    {"fanout_patterns", celery, "namespace", Meaning::nothing},
    {"visibility_timeout", celery, nullptr, Meaning::nothing, no_keys},
    {"queue_order_strategy", celery, nullptr, Meaning::nothing, no_keys},
    {"priority_steps", celery, nullptr, Meaning::nothing, no_keys},
    {"lib_name", py, nullptr, Meaning::nothing, library},
    {"lib_version", py, nullptr, Meaning::nothing, library},
    {"libraryName", java, nullptr, Meaning::nothing, library},
    {"libraryVersion", java, nullptr, Meaning::nothing, library},
    {"identity_suffix", go, nullptr, Meaning::nothing, library},
    {"socket_read_size", py, nullptr, Meaning::nothing, "there is nothing to choose"},
    {"noDelay", node, nullptr, Meaning::nothing, "TCP_NODELAY is always set"},
    {"tcp_nodelay", php, nullptr, Meaning::nothing, "TCP_NODELAY is always set"},
    {"enableAutoPipelining", node, nullptr, Meaning::nothing, "publishes are always pipelined"},
    {"context_timeout_enabled", go, nullptr, Meaning::nothing, "there is nothing to choose"},
    {"alias", php, nullptr, Meaning::nothing, "there is one server"},
    {"weight", php, nullptr, Meaning::nothing, "there is one server"},
};

constexpr std::string_view secret_names[] = {"ssl_password", "pass", "auth"};

const Row* find_row(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(rows), std::end(rows), [&](const Row& row) { return row.name == name; });
    return found == std::end(rows) ? nullptr : found;
}

const Option* find_ours(std::string_view name) {
    const std::vector<Option>& table = option_table();
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const Option& option) { return option.name == name; });
    return found == table.end() ? nullptr : &*found;
}

std::string lower(std::string_view text) {
    std::string small(text);
    for (char& letter : small)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter | 0x20);
    return small;
}

std::optional<bool> boolean_of(std::string_view text) {
    const std::string word = lower(text);
    for (const char* yes : {"true", "1", "yes", "on", "t", "y"})
        if (word == yes) return true;
    for (const char* no : {"false", "0", "no", "off", "f", "n"})
        if (word == no) return false;
    return std::nullopt;
}

// "1.5" and what follows it.
std::optional<double> number_of(std::string_view& text) {
    const std::optional<double> number = take_decimal(text);
    return number && *number <= 1e9 ? number : std::nullopt;
}

// So that what is not nothing is at least one.
std::string rounded_up(double ms) {
    const auto whole = static_cast<std::int64_t>(ms);
    return std::to_string(whole + (static_cast<double>(whole) < ms ? 1 : 0));
}

std::optional<std::string> milliseconds_of(std::string_view text, double unit) {
    const std::optional<double> number = number_of(text);
    if (!number || !text.empty()) return std::nullopt;
    return rounded_up(*number * unit);
}

// Of Go and Lettuce: "1m30s", "500ms", "5".
std::optional<std::string> duration_of(std::string_view text) {
    struct Unit {
        std::string_view suffix;
        double ms;
    };
    constexpr Unit units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    if (std::optional<std::string> seconds = milliseconds_of(text, 1000)) return seconds;
    double sum = 0;
    do {
        const std::optional<double> number = number_of(text);
        const auto* unit = std::find_if(std::begin(units), std::end(units),
                                        [&](const Unit& one) { return text.starts_with(one.suffix); });
        if (!number || unit == std::end(units)) return std::nullopt;
        sum += *number * unit->ms;
        text.remove_prefix(unit->suffix.size());
    } while (!text.empty());
    if (sum > 1e12) return std::nullopt;
    return rounded_up(sum);
}

const char* word_for(bool yes, const char* if_yes, const char* if_not) {
    return yes ? if_yes : if_not;
}

// The value of our setting; nothing when it cannot be read.
std::optional<std::string> translate(Meaning meaning, std::string_view value) {
    const std::string word = lower(value);
    const std::optional<bool> boolean = boolean_of(value);
    switch (meaning) {
        case Meaning::nothing:
            return std::nullopt;
        case Meaning::same:
        case Meaning::name:
            return std::string(value);
        case Meaning::database:
            return std::string(value.starts_with('/') ? value.substr(1) : value);
        case Meaning::seconds:
            return milliseconds_of(value, 1000);
        case Meaning::milliseconds:
            return milliseconds_of(value, 1);
        case Meaning::duration:
            return duration_of(value);
        case Meaning::yes:
            if (boolean) return word_for(*boolean, "true", "false");
            return std::nullopt;
        case Meaning::skip_verify:
            if (boolean) return word_for(*boolean, "false", "true");
            return std::nullopt;
        case Meaning::verify:
            if (boolean) return word_for(*boolean, "true", "false");
            return std::nullopt;
        case Meaning::check_name:
            if (boolean) return word_for(*boolean, "true", "ca");
            return std::nullopt;
        case Meaning::cert_reqs:
            if (word == "none" || word == "cert_none" || word == "0") return "false";
            // Of a client, "optional" means the same as "required".
            if (word == "optional" || word == "cert_optional" || word == "1") return "true";
            if (word == "required" || word == "cert_required" || word == "2") return "true";
            return std::nullopt;
        case Meaning::verify_peer:
            if (word == "none") return "false";
            if (word == "ca") return "ca";
            if (word == "full") return "true";
            if (boolean) return word_for(*boolean, "true", "false");
            return std::nullopt;
    }
    return std::nullopt;
}

int leniency(std::string_view tls_verify) {
    return tls_verify == "true" ? 0 : tls_verify == "ca" ? 1 : 2;
}

UrlPart* find_part(std::vector<UrlPart>& parts, std::string_view setting) {
    const auto found =
        std::find_if(parts.begin(), parts.end(), [&](const UrlPart& part) { return part.setting == setting; });
    return found == parts.end() ? nullptr : &*found;
}

// "redis-py's ssl_cert_reqs"
std::string name_of(const Row& row) {
    const std::string client = row.client;
    return client + (client.ends_with("clients") ? "' " : "'s ") + std::string(row.name);
}

}  // namespace

void understand_other_clients(Url& url, const std::string& context, std::vector<std::string>& notes) {
    std::vector<UrlPart> understood;  // in addition to our own parameters
    std::vector<UrlPart> given = std::exchange(url.parts, {});
    std::vector<std::pair<const Row*, std::string>> theirs;
    for (UrlPart& part : given) {
        const Row* row = part.from_query && !find_ours(part.setting) ? find_row(part.setting) : nullptr;
        if (row)
            theirs.emplace_back(row, std::move(part.value));
        else
            url.parts.push_back(std::move(part));
    }
    for (auto& [row, value] : theirs) {
        const auto note = [&, name = name_of(*row)](const std::string& why) {
            notes.push_back(context + name + " has no effect: " + why);
        };
        if (row->meaning == Meaning::nothing) {
            note(row->setting ? std::string("see our setting ") + row->setting : row->why);
            continue;
        }
        const Option& option = *find_ours(row->setting);
        const std::optional<std::string> ours = translate(row->meaning, value);
        Settings scratch;
        if (!ours || !option.assign(scratch, *ours)) {
            const bool shown = !option.secret && is_shown_of_other_clients(row->name);
            note(std::string("its value") + (shown ? " " + quote(value) : "") + " is none of our setting " +
                 option.name);
            continue;
        }
        const UrlPart* mine = find_part(url.parts, option.name);
        if (mine) {
            if (mine->value != *ours) note(option.name + " is in the URL already");
            continue;
        }
        UrlPart* before = find_part(understood, option.name);
        if (!before)
            understood.push_back({option.name, *ours, true});
        else if (option.name == "tls_verify")  // which several parameters make up: each takes something away
            before->value = leniency(*ours) > leniency(before->value) ? *ours : before->value;
        else if (before->value != *ours)
            note(option.name + " is in the URL already");
    }
    // The file of a certificate may hold its key too.
    if (const UrlPart* cert = find_part(understood, "tls_cert_file");
        cert && !find_part(understood, "tls_key_file") && !find_part(url.parts, "tls_key_file"))
        understood.push_back({"tls_key_file", cert->value, true});
    for (UrlPart& part : understood) url.parts.push_back(std::move(part));
}

std::string other_clients_hint(std::string_view name) {
    const Row* row = find_row(name);
    if (!row) return "";
    if (!row->setting) return name_of(*row) + " has no like here: " + row->why;
    const Option& option = *find_ours(row->setting);
    const std::string range = option.range.empty() ? "" : " (" + option.range + ")";
    if (row->meaning == Meaning::nothing)
        return "in the place of " + name_of(*row) + " see our setting " + option.name + range;
    return name_of(*row) + " is our setting " + option.name + range;
}

bool is_shown_of_other_clients(std::string_view name) {
    return find_row(name) &&
           std::find(std::begin(secret_names), std::end(secret_names), name) == std::end(secret_names);
}

}  // namespace fanwire::core
