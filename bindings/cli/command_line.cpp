#include "bindings/cli/command_line.h"

#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "bindings/cli/commands.h"
#include "bindings/cli/descriptors.h"
#include "bindings/cli/failure.h"
#include "bindings/cli/help.h"
#include "bindings/cli/output.h"
#include "fanwire/fanwire.h"

namespace fanwire::cli {
namespace {

void print(const std::string& text) {
    Output output;
    output.add(text);
    output.flush();
}

const Command* find_command(const std::string& name) {
    for (const Command* command : kCommands) {
        if (name == command->name) return command;
    }
    return nullptr;
}

int run(const std::vector<std::string>& words) {
    check(FANWIRE_CHECK_VERSION());
    if (words.empty()) throw usage_error("what shall it do: sub, pub, request, numsub or info? See 'fanwire --help'");
    const std::string& first = words[0];
    if (first == "--version" || first == "-V") return print(version_text()), kExitOk;
    if (first == "--help" || first == "-h") return print(general_help()), kExitOk;
    if (first == "help") {
        const Command* topic = words.size() > 1 ? find_command(words[1]) : nullptr;
        return print(topic != nullptr ? command_help(*topic) : general_help()), kExitOk;
    }
    const Command* command = find_command(first);
    if (command == nullptr) {
        const std::string unknown = first[0] == '-' ? "unknown option" + quoted(first) + " before the command"
                                                    : "unknown command" + quoted(first);
        throw usage_error(unknown + "; there are sub, pub, request, numsub and info, see 'fanwire --help'");
    }
    Arguments arguments(*command, {words.begin() + 1, words.end()});
    if (arguments.help_wanted()) return print(command_help(*command)), kExitOk;
    return command->run(arguments);
}

}  // namespace

int run_command_line(const std::vector<std::string>& words) {
    fill_standard_descriptors();
    std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of write()
    try {
        return run(words);
    } catch (const ReaderGone&) {
        return kExitOk;
    } catch (const Failure& failure) {
        say(failure.what());
        return failure.exit_code();
    } catch (const std::exception& error) {
        say(error.what());
        return kExitFailure;
    }
}

}  // namespace fanwire::cli
