#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/output.h"
#include "bindings/cli/session.h"
#include "bindings/cli/text.h"

namespace fanwire::cli {
namespace {

struct Setting {
    fanwire_option_info row;
    std::string value;
    std::string source;
};

struct Check {
    bool wanted = false;
    int signal = 0;     // that ended it
    std::string error;  // "": connected
    long long milliseconds = 0;
};

std::vector<std::pair<std::string, std::string>> dependencies() {
    std::vector<std::pair<std::string, std::string>> found;
    const char* name = nullptr;
    const char* version = nullptr;
    for (size_t i = 0; fanwire_dependency_at(i, &name, &version) == FANWIRE_OK; ++i) found.push_back({name, version});
    return found;
}

std::string effective(const fanwire_options* options, const char* name) {
    size_t size = 0;
    const int status = fanwire_options_get(options, name, nullptr, &size);
    if (status != FANWIRE_LIMIT_REACHED) check(status);
    std::string value(size, '\0');
    if (size != 0) check(fanwire_options_get(options, name, value.data(), &size));
    return value.c_str();
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

Check connect(Arguments& arguments) {
    Check result;
    result.wanted = true;
    const Clock::time_point start = Clock::now();
    try {
        Session session(arguments);
        if (!session.connect(deadline_in(arguments.milliseconds("timeout")))) {
            result.signal = session.signals().caught();
            result.error = result.signal != 0 ? "interrupted" : "the time limit passed";
        }
    } catch (const Failure& failure) {
        result.error = failure.what();
    }
    result.milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
    return result;
}

std::string as_text(const std::vector<Setting>& all, const Check& result) {
    std::string text = std::string("fanwire ") + fanwire_version();
    for (const auto& [name, version] : dependencies()) text += ", " + name + " " + version;
    text += "\n\n";
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
    if (result.wanted && result.error.empty()) {
        text += "\nconnected in " + std::to_string(result.milliseconds) + " ms\n";
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
    text += "},\"settings\":[";
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
        text += std::string(",\"check\":{\"connected\":") + (result.error.empty() ? "true" : "false") +
                ",\"milliseconds\":" + std::to_string(result.milliseconds) +
                ",\"error\":" + (result.error.empty() ? "null" : json_string(result.error)) + "}";
    }
    return text + "}\n";
}

// The reference table of the README: what the settings are, not what they are set to.
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
    const std::vector<Setting> all = settings(arguments.options());
    const Check result = arguments.has("check") ? connect(arguments) : Check{};
    output.add(arguments.has("json") ? as_json(all, result) : as_text(all, result));
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
Passwords read "***". Nothing is connected to unless --check is given.

Examples:
  fanwire info
  fanwire info --url 'redis://user:secret@redis.example?connect_timeout_ms=500'
  fanwire info --check && echo "Redis is there"
  fanwire info --json | python3 -m json.tool
)",
    {{"json", nullptr, "print one JSON object"},
     {"check", nullptr, "connect too, and leave with 1 when that fails"},
     {"timeout", "SECONDS", "how long --check may take; default: what the settings say"},
     {"settings", "markdown", "print the reference of all settings as a Markdown table instead"}},
    run_info,
};

}  // namespace fanwire::cli
