// The command line: a command's own flags, and one flag for every setting of the library.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bindings/cli/handles.h"

namespace fanwire::cli {

class Arguments;

// A flag of a command. The parser and the help are both made from these rows.
struct Flag {
    const char* name;   // "count", given as --count
    const char* value;  // what stands for its value in the help: "N", or "[N]" if it may be left out; null for none
    const char* help;
};

struct Command {
    const char* name;
    const char* synopsis;
    const char* summary;  // one line
    const char* about;    // what it prints, examples, exit codes
    std::vector<Flag> flags;
    int (*run)(Arguments& arguments);
};

class Arguments {
 public:
    // Parses what follows the command's name. Throws a usage error that names the argument at fault.
    Arguments(const Command& command, const std::vector<std::string>& words);

    bool help_wanted() const { return help_wanted_; }
    const fanwire_options* options() const { return options_.get(); }
    fanwire_options* options() { return options_.get(); }
    const std::vector<std::string>& operands() const { return operands_; }
    bool after_dashes(size_t operand) const { return operand >= dashes_; }  // it stood after "--"

    bool has(const std::string& flag) const { return flags_.count(flag) != 0; }
    std::vector<std::string> all(const std::string& flag) const;  // in the order given

    // The last one given. Usage errors name the flag.
    std::optional<std::string> text(const std::string& flag) const;
    std::optional<unsigned long long> count(const std::string& flag) const;         // a whole number from 1
    std::optional<unsigned long long> milliseconds(const std::string& flag) const;  // from seconds, "2" or "0.5"

 private:
    void set(const std::string& name, const std::string& value);

    Handle<fanwire_options> options_;
    std::vector<std::string> operands_;
    size_t dashes_ = SIZE_MAX;  // operands before "--"
    std::map<std::string, std::vector<std::string>> flags_;
    bool help_wanted_ = false;
};

// A mistaken word for an error message, after a blank: without its value, and "" for what may be a URL with a password.
std::string quoted(const std::string& word);

// Row `index` of the library's table of settings.
fanwire_option_info setting_at(size_t index);

// Whether "true" is one of its values, which a flag without a value means.
bool says_true(const fanwire_option_info& row);

// The value that a setting would have now; passwords read "***".
std::string effective(const fanwire_options* options, const char* name);

// The same of a size, in bytes: the library shows 8388608 as "8MiB".
size_t effective_size(const fanwire_options* options, const char* name);

// "connect_timeout_ms" -> "connect-timeout-ms"
std::string flag_of(const std::string& setting);

}  // namespace fanwire::cli
