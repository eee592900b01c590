#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/observed.h"
#include "bindings/cli/output.h"
#include "bindings/cli/text.h"
#include "bindings/cli/watch.h"

namespace fanwire::cli {
namespace {

struct Setting {
    fanwire_option_info row;
    std::string value;
    std::string source;
};

struct Check {
    bool wanted = false;
    bool connected = false;
    int signal = 0;              // that ended it
    std::string error;           // "": all is well
    long long milliseconds = 0;  // until it was connected, or not
    Observation seen = {};
    std::string metrics;
};

int metrics_format(const std::string& name) {
    if (name == "json") return FANWIRE_METRICS_JSON;
    if (name == "prometheus") return FANWIRE_METRICS_PROMETHEUS;
    throw usage_error("--metrics knows \"json\" and \"prometheus\", not \"" + name + "\"");
}

std::vector<std::pair<std::string, std::string>> dependencies() {
    std::vector<std::pair<std::string, std::string>> found;
    const char* name = nullptr;
    const char* version = nullptr;
    for (size_t i = 0; fanwire_dependency_at(i, &name, &version) == FANWIRE_OK; ++i) found.push_back({name, version});
    return found;
}

std::string authorities() {
    size_t size = 0;
    check(fanwire_authorities(nullptr, &size));
    std::string path(size, '\0');
    check(fanwire_authorities(path.data(), &size));
    path.resize(size - 1);
    return path;
}

std::vector<Setting> settings(const fanwire_options* options) {
    std::vector<Setting> all;
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        const char* source = nullptr;
        check(fanwire_options_source(options, row.name, &source));
        all.push_back({row, effective(options, row.name), source});
    }
    return all;
}

// How long a probe may take after connecting.
Deadline health_deadline(Arguments& arguments) {
    if (const auto given = arguments.milliseconds("timeout")) return deadline_in(given);
    const auto setting = [&](const char* name) {
        return std::strtoull(effective(arguments.options(), name).c_str(), nullptr, 10);
    };
    return deadline_in(setting("connect_timeout_ms") + setting("heartbeat_timeout_ms"));
}

Check look(Arguments& arguments) {
    Check result;
    result.wanted = true;
    const Clock::time_point start = Clock::now();
    const auto milliseconds = [&] {
        return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
    };
    Observed observed(arguments);
    try {
        const Deadline deadline = health_deadline(arguments);
        if (!observed.connect(deadline)) {
            result.signal = observed.session().signals().caught();
            result.error = result.signal != 0 ? "interrupted" : "the time limit passed";
        }
        result.milliseconds = milliseconds();
        if (result.error.empty()) {
            result.connected = true;
            observed.settle(deadline);
            result.signal = observed.session().signals().caught();
        }
    } catch (const Failure& failure) {
        result.error = failure.what();
        result.milliseconds = milliseconds();
    }
    result.seen = observed.observe();
    if (result.connected && !result.seen.ok()) result.error = result.seen.health.text;
    if (const auto format = arguments.text("metrics")) result.metrics = observed.metrics(metrics_format(*format));
    return result;
}

std::string as_text(const std::vector<Setting>& all, const Check& result) {
    std::string text = std::string("fanwire ") + fanwire_version();
    for (const auto& [name, version] : dependencies()) text += ", " + name + " " + version;
    const std::string trusted = authorities();
    text += "\nauthorities that TLS trusts: " + (trusted.empty() ? "none on this system" : trusted) + "\n\n";
    size_t name_width = 0;
    size_t value_width = 0;
    for (const Setting& setting : all) {
        name_width = std::max(name_width, std::string_view(setting.row.name).size());
        value_width = std::max(value_width, setting.value.size());
    }
    const auto cell = [&](std::string value, size_t width) {
        value.resize(std::max(value.size(), width) + 2, ' ');
        text += value;
    };
    value_width = std::min<size_t>(value_width, 48);
    cell("SETTING", name_width);
    cell("VALUE", value_width);
    cell("FROM", sizeof "environment" - 1);
    text += "WHAT IT IS\n";
    for (const Setting& setting : all) {
        cell(setting.row.name, name_width);
        cell(setting.value.empty() ? "-" : setting.value, value_width);
        cell(setting.source, sizeof "environment" - 1);
        text += std::string(setting.row.help) + "\n";
    }
    if (result.connected) {
        text += "\nconnected in " + std::to_string(result.milliseconds) + " ms\n" + "health: " + result.seen.verdict() +
                ": " + result.seen.health.text + "\n";
    }
    return text;
}

std::string as_json(const std::vector<Setting>& all, const Check& result) {
    std::string text = "{" + json_member("version", fanwire_version()) + ",\"dependencies\":{";
    bool first = true;
    for (const auto& [name, version] : dependencies()) {
        text += (first ? "" : ",") + json_member(name, version);
        first = false;
    }
    text += "}," + json_member("authorities", authorities()) + ",\"settings\":[";
    first = true;
    for (const Setting& setting : all) {
        text += std::string(first ? "" : ",") + "\n {" + json_member("name", setting.row.name) + "," +
                json_member("value", setting.value) + "," + json_member("from", setting.source) + "," +
                json_member("type", setting.row.type) + "," + json_member("default", setting.row.default_value) + "," +
                json_member("range", setting.row.range) + "," + json_member("help", setting.row.help) +
                ",\"secret\":" + (setting.row.secret != 0 ? "true" : "false") + "}";
        first = false;
    }
    text += "\n]";
    if (result.wanted) {
        const auto probe_us = result.seen.probe_us();
        text += std::string(",\"check\":{\"connected\":") + (result.connected ? "true" : "false") +
                ",\"milliseconds\":" + std::to_string(result.milliseconds) +
                ",\"error\":" + (result.error.empty() ? "null" : json_string(result.error)) + ",\"health\":{" +
                json_member("verdict", result.seen.verdict()) + "," +
                json_member("status", fanwire_status_name(result.seen.health.status)) + "," +
                json_member("text", result.seen.health.text) +
                ",\"probe_us\":" + (probe_us ? std::to_string(*probe_us) : "null") + "}}";
    }
    return text + "}\n";
}

// The reference table of capi/docs/settings.md: what the settings are, not what they are set to.
std::string as_markdown() {
    std::string text = "| setting | type | default | range | what it is |\n|---|---|---|---|---|\n";
    const auto code = [](const char* value) {
        return *value != '\0' ? "`" + markdown_cell(value) + "`" : std::string();
    };
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        text += "| " + code(row.name) + " | " + row.type + " | " + code(row.default_value) + " | " +
                markdown_cell(row.range) + " | " + markdown_cell(row.help) + " |\n";
    }
    return text;
}

// Usage errors for what is asked for and would not be done.
void refuse_contradictions(const Arguments& arguments) {
    int modes = 0;
    for (const char* mode : {"watch", "check", "metrics"}) modes += arguments.has(mode) ? 1 : 0;
    if (modes > 1) throw usage_error("only one of --watch, --check and --metrics");
    if (const auto format = arguments.text("metrics")) {
        metrics_format(*format);
        if (arguments.has("json")) throw usage_error("--json and --metrics: that is --metrics json");
    }
    for (const char* flag : {"channel", "pattern"}) {
        if (arguments.has(flag) && modes == 0) {
            throw usage_error(std::string("--") + flag + " goes with --watch, --check or --metrics");
        }
    }
    if (arguments.has("count") && !arguments.has("watch")) throw usage_error("--count goes with --watch");
}

int run_info(Arguments& arguments) {
    if (!arguments.operands().empty()) {
        // Not quoted: it may well be a URL with a password.
        throw usage_error("info takes no arguments but options; see 'fanwire info --help'");
    }
    Output output;
    if (const auto format = arguments.text("settings")) {
        if (*format != "markdown") throw usage_error("--settings knows \"markdown\" only, not \"" + *format + "\"");
        output.add(as_markdown());
        output.flush();
        return kExitOk;
    }
    refuse_contradictions(arguments);
    if (arguments.has("watch")) return run_watch(arguments);
    const std::vector<Setting> all = settings(arguments.options());
    const Check result = arguments.has("check") || arguments.has("metrics") ? look(arguments) : Check{};
    if (arguments.has("metrics")) {
        output.add(result.metrics);
        if (result.metrics.empty() || result.metrics.back() != '\n') output.add("\n");
    } else {
        output.add(arguments.has("json") ? as_json(all, result) : as_text(all, result));
    }
    output.flush();
    if (result.signal != 0) return kExitSignal + result.signal;
    if (!result.error.empty()) throw runtime_error(result.error);
    return kExitOk;
}

}  // namespace

const Command kInfo = {
    "info",
    "fanwire info [OPTION]...",
    "show versions, the settings in force and where they come from",
    R"(Prints the versions of fanwire and of the libraries it stands on, and every setting with
the value it has and where that comes from: option, url, environment or default.
Passwords read "***". Nothing is connected to unless one of these is given:

  --check      connect, tell the health, and leave with 1 unless it is ok
  --metrics    connect, and print what an engine counts, for Prometheus or as JSON
  --watch      stay connected, and show health and traffic again and again

They open an engine of their own and say how this Redis serves it; other processes' engines
are asked in those (health, stats, metrics of each language). It sends itself a probe, a
message through Redis and back, each second (--probe-interval-ms): only so it is known that
messages come through. A user whom Redis refuses the probe's channel, __fanwire:probe:*, can
do without: --probe-interval-ms 0. --channel and --pattern subscribe it to your traffic.

--watch refreshes one block on a terminal. Elsewhere it prints a line for each interval, with
NAME=VALUE words; with --json each line is a JSON object. Latencies are those of the interval,
in microseconds; "-": there was nothing. It goes on while Redis is down, and says so. Ctrl-C
ends it with 0.

Examples:
  fanwire info
  fanwire info --url 'redis://user:secret@redis.example?connect_timeout_ms=500'
  fanwire info --check && echo "messages come through"
  fanwire info --watch --pattern '*'
  fanwire info --watch 10 --count 6 --json >> minute.jsonl
  fanwire info --metrics prometheus > /var/lib/node_exporter/fanwire.prom
  fanwire info --json | python3 -m json.tool
)",
    {{"json", nullptr, "print one JSON object"},
     {"check", nullptr, "connect too, and leave with 1 when that fails or messages do not come through"},
     {"watch", "[SECONDS]", "show health and traffic every SECONDS (default 1), until Ctrl-C"},
     {"metrics", "FORMAT", "connect, and print metrics: json or prometheus"},
     {"channel", "CHANNEL", "subscribe to a channel while connected; may be repeated"},
     {"pattern", "PATTERN", "the same for a pattern (* ? [a-z] and \\ to escape)"},
     {"count", "N", "end --watch after N times"},
     {"timeout", "SECONDS", "how long it may take; default: what the settings say, and --watch has no end"},
     {"settings", "markdown", "print the reference of all settings as a Markdown table instead"}},
    run_info,
};

}  // namespace fanwire::cli
