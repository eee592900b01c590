#include "core/base/settings.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/error.h"
#include "core/base/rules.h"
#include "core/base/text.h"
#include "core/base/url.h"

namespace fanwire::core {

namespace {

// ---- The table --------------------------------------------------------------------------------------------

struct Entry {
    std::string name;      // "namespace"
    std::string variable;  // "FANWIRE_NAMESPACE"
    const char* type;
    const char* default_value;
    std::string range;
    std::string expected;
    const char* help;
    bool secret;
    std::function<bool(Settings&, std::string_view)> assign;  // false when the text is no value; may throw for a URL
    std::function<std::string(const Settings&)> show;
};

template <class T>
Entry make_entry(const char* member_name, T Settings::*member, rules::Rule<T> rule, const char* default_value,
                 const char* help) {
    std::string name = member_name;
    if (name.ends_with('_')) name.pop_back();
    std::string variable = "FANWIRE_";
    for (char letter : name) variable += letter == '_' ? letter : static_cast<char>(letter - 'a' + 'A');

    auto assign = [member, parse = rule.parse](Settings& settings, std::string_view text) {
        std::optional<T> value = parse(text);
        if (value) settings.*member = *std::move(value);
        return value.has_value();
    };
    auto show = [member, show_value = rule.show](const Settings& settings) { return show_value(settings.*member); };
    return {std::move(name),
            std::move(variable),
            rule.type,
            default_value,
            rule.range,
            rule.expected,
            help,
            rule.secret,
            assign,
            show};
}

template <class Enum>
rules::Rule<Enum> choice();

#define FANWIRE_CHOICE(type, ...)                    \
    template <>                                      \
    rules::Rule<type> choice<type>() {               \
        return rules::choice_of<type>(#__VA_ARGS__); \
    }
#include "core/base/options.def"

std::vector<Entry> make_table() {
    using namespace rules;
    return {
#define FANWIRE_OPTION(member, type, rule, default_value, help) \
    make_entry<type>(#member, &Settings::member, rule, default_value, help),
#include "core/base/options.def"
    };
}

// Never destroyed: what it hands out must outlive every other static object.
const std::vector<Entry>& table() {
    static const auto* entries = new std::vector<Entry>(make_table());
    return *entries;
}

constexpr size_t url_index = 0;  // the other rows depend on it

[[noreturn]] void fail_unknown(std::string_view name, const std::string& context) {
    constexpr size_t close = 2;
    size_t best = close + 1;
    std::string hint;
    std::string all;
    for (const Entry& entry : table()) {
        all += (all.empty() ? "" : ", ") + entry.name;
        size_t distance = name.size() <= 64 ? edit_distance(name, entry.name) : best;
        if (distance >= best) continue;
        best = distance;
        hint = "; did you mean \"" + entry.name + "\"?";
    }
    if (hint.empty()) hint = "; there are " + all;
    throw Failure(Status::UNKNOWN_OPTION, context + "there is no setting " + quote(name) + hint);
}

size_t find_entry(std::string_view name, const std::string& context = "") {
    const std::vector<Entry>& entries = table();
    auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.name == name; });
    if (found == entries.end()) fail_unknown(name, context);
    return static_cast<size_t>(found - entries.begin());
}

// ---- Values from their four sources -----------------------------------------------------------------------

// Later ones win.
enum class Source { table, environment, url, option };
constexpr const char* source_names[] = {"default", "environment", "url", "option"};

struct Resolved {
    Settings settings;
    std::vector<Source> sources;  // one for each row of the table
};

// `context` says where the text stands, "" for an explicit setting.
void assign(Settings& settings, const Entry& entry, std::string_view text, const std::string& context) {
    try {
        if (entry.assign(settings, text)) return;
    } catch (const Failure& failure) {
        throw Failure(failure.status(), context + failure.what());
    }
    std::string value = entry.secret ? "" : ", not " + quote(text);
    throw Failure(Status::INVALID_OPTION, context + entry.name + " " + entry.expected + value);
}

// The parts of the authority and the path are not repeated in error texts: a malformed URL may have its password there.
void assign_url_part(Settings& settings, const UrlPart& part, const std::string& context) {
    std::string in_url = context + "in the URL: ";
    const Entry& entry = table()[find_entry(part.setting, in_url)];
    if (part.from_query) return assign(settings, entry, part.value, in_url);
    if (entry.assign(settings, part.value)) return;
    throw Failure(Status::INVALID_URL, in_url + entry.name + " " + entry.expected);
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
    if (url.transport == Transport::memory && (tcp || names("unix_path")))
        throw Failure(Status::INVALID_URL, context + "in the URL: memory:// takes no host, port or unix_path");
    if (tcp && !scratch.unix_path.empty())
        throw Failure(Status::INVALID_URL, context + "in the URL: host or port and unix_path exclude each other");
}

struct EnvironmentValue {
    std::string variable;
    std::string value;
};

std::optional<EnvironmentValue> read_environment(const Environment& environment, const std::string& variable) {
    std::optional<std::string> value = environment(variable.c_str());
    if (!value || value->empty()) return std::nullopt;
    return EnvironmentValue{variable, *std::move(value)};
}

std::string context_of(const EnvironmentValue& found) {
    return "environment variable " + found.variable + ": ";
}

}  // namespace

namespace {

using Explicit = std::map<std::string, std::string, std::less<>>;

Url resolve_url(Resolved& resolved, const Explicit& given, const Environment& environment) {
    const Entry& entry = table()[url_index];
    std::string text = entry.default_value;
    std::string context;
    auto explicit_url = given.find(entry.name);
    if (explicit_url != given.end()) {
        text = explicit_url->second;
        resolved.sources[url_index] = Source::option;
    } else {
        std::optional<EnvironmentValue> found = read_environment(environment, entry.variable);
        if (!found) found = read_environment(environment, "REDIS_URL");
        if (found) {
            text = found->value;
            context = context_of(*found);
            resolved.sources[url_index] = Source::environment;
        }
    }
    assign(resolved.settings, entry, text, context);
    Url url = parse_url(text);
    check_url(url, context);
    // The table's own URL says nothing that the environment could not say better.
    if (resolved.sources[url_index] == Source::table) url.parts.clear();
    return url;
}

void resolve_row(Resolved& resolved, size_t index, const Url& url, const Explicit& given,
                 const Environment& environment) {
    const Entry& entry = table()[index];
    if (auto found = given.find(entry.name); found != given.end()) {
        resolved.sources[index] = Source::option;
        return assign(resolved.settings, entry, found->second, "");
    }
    for (const UrlPart& part : url.parts) {
        if (part.setting != entry.name) continue;
        resolved.sources[index] = Source::url;
        return assign_url_part(resolved.settings, part, "");
    }
    if (std::optional<EnvironmentValue> found = read_environment(environment, entry.variable)) {
        resolved.sources[index] = Source::environment;
        return assign(resolved.settings, entry, found->value, context_of(*found));
    }
    assign(resolved.settings, entry, entry.default_value, "");
}

[[noreturn]] void fail_contradiction(const std::string& text) {
    throw Failure(Status::INVALID_OPTION, text);
}

// A unix socket and host or port exclude each other: the more explicit one wins.
void resolve_transport(Resolved& resolved, const Url& url) {
    size_t host = find_entry("host"), port = find_entry("port"), unix_path = find_entry("unix_path");
    std::vector<Source>& sources = resolved.sources;
    if (url.transport == Transport::memory) {
        resolved.settings.backend = BackendKind::memory;
        resolved.settings.memory_name = url.memory_name;
        for (size_t index : {host, port, unix_path})
            if (sources[index] == Source::option)
                fail_contradiction(table()[index].name +
                                   " is set, but the url is a memory:// one, which has no server");
        return;
    }
    if (resolved.settings.unix_path.empty()) return;
    Source tcp = std::max(sources[host], sources[port]);
    if (tcp < sources[unix_path]) return;
    if (tcp == sources[unix_path]) {
        const char* which = sources[host] == tcp ? "host" : "port";
        fail_contradiction(std::string(which) + " and unix_path are both set (" +
                           source_names[static_cast<size_t>(tcp)] + "); only one of them can be used");
    }
    resolved.settings.unix_path.clear();
    sources[unix_path] = tcp;
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
    resolved.sources.assign(table().size(), Source::table);
    Url url = resolve_url(resolved, given, environment);
    for (size_t index = 0; index < table().size(); ++index)
        if (index != url_index) resolve_row(resolved, index, url, given, environment);
    resolve_transport(resolved, url);
    check_pairs(resolved.settings);
    return resolved;
}

}  // namespace

// ---- What others call -------------------------------------------------------------------------------------

Environment process_environment() {
    return [](const char* name) -> std::optional<std::string> {
        const char* value = std::getenv(name);
        if (value == nullptr) return std::nullopt;
        return value;
    };
}

void Options::set(std::string_view name, std::string_view value) {
    size_t index = find_entry(name);
    Settings scratch;
    assign(scratch, table()[index], value, "");
    if (index == url_index) check_url(parse_url(value), "");
    explicit_.insert_or_assign(std::string(name), std::string(value));
}

Settings Options::resolve(const Environment& environment) const {
    return resolve_all(explicit_, environment).settings;
}

std::string Options::effective(std::string_view name, const Environment& environment) const {
    const Entry& entry = table()[find_entry(name)];
    return entry.show(resolve_all(explicit_, environment).settings);
}

const char* Options::source(std::string_view name, const Environment& environment) const {
    size_t index = find_entry(name);
    return source_names[static_cast<size_t>(resolve_all(explicit_, environment).sources[index])];
}

const std::vector<OptionRow>& option_rows() {
    static const auto* rows = [] {
        auto* made = new std::vector<OptionRow>;
        for (const Entry& entry : table())
            made->push_back(
                {entry.name.c_str(), entry.type, entry.default_value, entry.range, entry.help, entry.secret});
        return made;
    }();
    return *rows;
}

}  // namespace fanwire::core
