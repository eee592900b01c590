// Settings from every source. Steps of the script: s NAME=VALUE sets one, e NAME=VALUE puts it into the environment.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/error.h"
#include "core/base/settings.h"
#include "tests/fuzz/script.h"

using namespace fanwire::core;
using fanwire::fuzz::require;

namespace {

void require_known(Status status, std::string_view what) {
    require(status == Status::UNKNOWN_OPTION || status == Status::INVALID_OPTION || status == Status::INVALID_URL,
            "a status of settings", what);
}

// What a row shows: its value or the failure.
std::string shown(const Options& options, const char* name, const Environment& environment) {
    try {
        return "value " + options.effective(name, environment);
    } catch (const Failure& failure) {
        require_known(failure.status(), failure.what());
        return "failure " + failure.error().text;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fanwire::fuzz::Script script(fanwire::fuzz::text_of(data, size));
    fanwire::fuzz::Script::Step step;
    std::map<std::string, std::string> variables;
    const Environment environment = [&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
    };
    Options options;
    std::set<std::string, std::less<>> touched;
    while (script.next(step)) {
        const std::size_t equals = std::min(step.argument.find('='), step.argument.size());
        const std::string name(step.argument.substr(0, equals));
        const std::string value(equals < step.argument.size() ? step.argument.substr(equals + 1) : std::string_view());
        if (step.verb == 'e') {
            variables[name] = value;
        } else if (step.verb == 's') {
            touched.insert(name);
            const Options before = options;
            try {
                options.set(name, value);
            } catch (const Failure& failure) {
                require_known(failure.status(), failure.what());
                for (const char* row : {"url", "port"})
                    require(shown(options, row, environment) == shown(before, row, environment),
                            "a refused setting changes nothing", name);
            }
        }
    }

    bool resolves = true;
    Settings settings;
    try {
        settings = options.resolve(environment);
    } catch (const Failure& failure) {
        require_known(failure.status(), failure.what());
        resolves = false;
    }
    if (resolves) {
        require(settings.port >= 1 && settings.port <= 65535, "the port is one");
        require(settings.heartbeat_timeout_ms > settings.heartbeat_interval_ms, "the timeout is above the interval");
    }
    std::size_t number = 0;
    for (const OptionRow& row : option_rows()) {
        // Each run a few of the others, as resolving takes its time.
        if (!touched.contains(row.name) && ++number % 8 != size % 8) continue;
        const std::string text = shown(options, row.name, environment);
        require(text.starts_with("value ") == resolves, "all rows are shown, or none", row.name);
        if (!resolves) continue;
        const std::string value = text.substr(6);
        if (row.secret) {
            require(value.empty() || value == "***", "a secret is not shown", row.name);
            continue;
        }
        options.source(row.name, environment);
        // What is shown can be set, and is shown the same way then. (A URL may bring contradictions with it.)
        Options again;
        again.set(row.name, value);
        if (std::string_view(row.name) == "url") continue;
        const Environment nothing = [](const char*) { return std::nullopt; };
        const std::string shown_again = shown(again, row.name, nothing);
        require(shown_again == text || shown_again.starts_with("failure "), "shown as it was", row.name);
    }
    return 0;
}
