#include "bindings/cli/help.h"

#include <algorithm>

#include "bindings/cli/commands.h"
#include "fanwire/fanwire.h"

namespace fanwire::cli {
namespace {

std::string padded(std::string text, size_t width) {
    if (text.size() < width) text.append(width - text.size(), ' ');
    return text;
}

// Two columns, the second one aligned.
std::string columns(const std::vector<std::pair<std::string, std::string>>& rows) {
    size_t width = 0;
    for (const auto& row : rows) width = std::max(width, row.first.size());
    std::string text;
    for (const auto& row : rows) text += "  " + padded(row.first, width + 2) + row.second + "\n";
    return text;
}

std::string setting_help(const fanwire_option_info& row) {
    std::string text = row.help;
    std::string facts;
    if (*row.range != '\0') facts = row.range;
    if (*row.default_value != '\0') facts += std::string(facts.empty() ? "" : "; ") + "default " + row.default_value;
    return facts.empty() ? text : text + " (" + facts + ")";
}

// How its value is given.
std::string value_help(const std::string& type) {
    if (type == "string") return " TEXT";
    return type == "enum" ? " NAME" : " N";
}

std::string settings_help() {
    std::vector<std::pair<std::string, std::string>> rows;
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        rows.push_back({"--" + flag_of(row.name) + (says_true(row) ? "" : value_help(row.type)), setting_help(row)});
    }
    rows.push_back({"--set NAME=VALUE", "any of these by its name: --set connect_timeout_ms=500"});
    return columns(rows);
}

constexpr char kExitCodes[] = R"(Exit codes:
  0    done
  1    it failed while running: no server, refused, a publish without success
  2    the command line is wrong: unknown option, malformed URL or value, bad channel name
  130  ended by SIGINT (Ctrl-C);  143  ended by SIGTERM
Errors are one line on stderr that begins with "fanwire: ". With --log-level the engine's log goes there, too, each line
beginning with "fanwire: log: ".
)";

}  // namespace

std::string version_text() {
    return std::string("fanwire ") + fanwire_version() + "\n";
}

std::string general_help() {
    std::string text = R"(fanwire: publish and receive Redis pub/sub messages from the shell.

Usage:
)";
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Command* command : kCommands) rows.push_back({command->synopsis, command->summary});
    text += columns(rows);
    text += R"(
In one terminal                     in another
  fanwire sub chat                    fanwire pub chat hello

The server is --url, else FANWIRE_URL, else REDIS_URL, else redis://127.0.0.1:6379. A channel "chat" is
"ws:chat" in Redis, so that fanwire's channels stay among themselves; --namespace '' does away with that.
Every setting is an option, an environment variable (FANWIRE_CONNECT_TIMEOUT_MS) and a parameter of the URL
(redis://localhost?connect_timeout_ms=500); the option wins, then the URL. 'fanwire info' shows what is in force.

)";
    text += kExitCodes;
    text += "\n'fanwire COMMAND --help' says more about a command, with examples, and lists all settings.\n";
    return text;
}

std::string command_help(const Command& command) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const Flag& flag : command.flags) {
        const std::string value = flag.value != nullptr ? std::string(" ") + flag.value : "";
        rows.push_back({std::string("--") + flag.name + value, flag.help});
    }
    rows.push_back({"--help", "this text"});
    return std::string("Usage: ") + command.synopsis + "\n\n" + command.about + "\nOptions:\n" + columns(rows) +
           "\nSettings, the same for every command:\n" + settings_help() + "\n" + kExitCodes;
}

}  // namespace fanwire::cli
