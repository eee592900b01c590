#include "bindings/cli/arguments.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "bindings/cli/failure.h"

namespace fanwire::cli {
namespace {

// The setting that a flag's name means, "" when none. Underscores are accepted too, as the settings are spelled so
// everywhere else.
std::string setting_of(std::string flag) {
    std::replace(flag.begin(), flag.end(), '-', '_');
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        if (flag == row.name) return row.name;
    }
    return "";
}

// Whether true and false are values of it, so that the flag may stand alone.
bool is_boolean(const std::string& setting) {
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        if (setting == row.name) return says_true(row);
    }
    return false;
}

// Whether the word is one of a setting's that has others than true and false: "--tls-verify ca".
bool is_choice(const std::string& setting, const std::string& word) {
    for (size_t i = 0; i < fanwire_option_count(); ++i) {
        const fanwire_option_info row = setting_at(i);
        if (setting != row.name) continue;
        const std::string choices = "|" + std::string(row.range) + "|";
        return std::string(row.type) == "enum" && choices.find("|" + word + "|") != std::string::npos;
    }
    return false;
}

// "--watch" and "--watch 2" are both said; the value of such a flag is a number.
bool is_optional(const Flag& flag) {
    return flag.value != nullptr && flag.value[0] == '[';
}

bool starts_number(const std::vector<std::string>& words, size_t index) {
    return index < words.size() && !words[index].empty() &&
           std::string_view("0123456789.").find(words[index][0]) != std::string_view::npos;
}

const Flag* find_flag(const Command& command, const std::string& name) {
    for (const Flag& flag : command.flags) {
        if (name == flag.name) return &flag;
    }
    return nullptr;
}

}  // namespace

std::string quoted(const std::string& word) {
    const std::string name = word.substr(0, word.find('='));
    return name.find_first_of(":@") == std::string::npos ? " " + name : "";
}

bool says_true(const fanwire_option_info& row) {
    return std::string("|" + std::string(row.range) + "|").find("|true|") != std::string::npos;
}

fanwire_option_info setting_at(size_t index) {
    fanwire_option_info row = {};
    check(fanwire_option_at(index, &row, sizeof row));
    return row;
}

std::string effective(const fanwire_options* options, const char* name) {
    size_t size = 0;
    const int status = fanwire_options_get(options, name, nullptr, &size);
    if (status != FANWIRE_LIMIT_REACHED) check(status);
    std::string value(size, '\0');
    if (size != 0) check(fanwire_options_get(options, name, value.data(), &size));
    return value.c_str();
}

size_t effective_size(const fanwire_options* options, const char* name) {
    const std::string value = effective(options, name);
    char* unit = nullptr;
    const unsigned long long number = std::strtoull(value.c_str(), &unit, 10);
    const int shift = *unit == 'K' ? 10 : *unit == 'M' ? 20 : *unit == 'G' ? 30 : 0;
    return static_cast<size_t>(number << shift);
}

std::string flag_of(const std::string& setting) {
    std::string flag = setting;
    std::replace(flag.begin(), flag.end(), '_', '-');
    return flag;
}

Arguments::Arguments(const Command& command, const std::vector<std::string>& words) {
    fanwire_options* created = nullptr;
    check(fanwire_options_create(&created));
    options_.reset(created);

    const std::string see_help = std::string("; see 'fanwire ") + command.name + " --help'";
    bool only_operands = false;
    for (size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (only_operands || word == "-" || word.empty() || word[0] != '-') {
            operands_.push_back(word);
            continue;
        }
        if (word == "--") {
            only_operands = true;
            dashes_ = operands_.size();
            continue;
        }
        if (word == "-h" || word == "--help") {
            help_wanted_ = true;
            return;
        }
        if (word.compare(0, 2, "--") != 0) throw usage_error("unknown option" + quoted(word) + see_help);

        const size_t equals = word.find('=');
        const bool has_value = equals != std::string::npos;
        const std::string name = word.substr(2, has_value ? equals - 2 : std::string::npos);
        const auto value = [&]() -> std::string {
            if (has_value) return word.substr(equals + 1);
            if (i + 1 == words.size()) throw usage_error("--" + name + " needs a value" + see_help);
            return words[++i];
        };

        if (const Flag* flag = find_flag(command, name)) {
            if (flag->value == nullptr && has_value) throw usage_error("--" + name + " takes no value" + see_help);
            if (is_optional(*flag) && !has_value && !starts_number(words, i + 1)) {
                flags_[name].push_back("");
                continue;
            }
            if (flag->value != nullptr && has_value && equals + 1 == word.size()) {
                throw usage_error("--" + name + " needs a value" + see_help);
            }
            flags_[name].push_back(flag->value != nullptr ? value() : "");
        } else if (name == "set") {
            const std::string pair = value();
            const size_t split = pair.find('=');
            // Not quoted: it may hold a password, as a URL given here does.
            if (split == std::string::npos || pair.find_first_of(":@") < split) {
                throw usage_error("--set needs NAME=VALUE, such as connect_timeout_ms=500");
            }
            set(pair.substr(0, split), pair.substr(split + 1));
        } else if (const std::string setting = setting_of(name); !setting.empty()) {
            const bool alone =
                !has_value && is_boolean(setting) && !(i + 1 < words.size() && is_choice(setting, words[i + 1]));
            set(setting, alone ? "true" : value());
        } else if (const std::string negated = name.compare(0, 3, "no-") == 0 ? setting_of(name.substr(3)) : "";
                   !negated.empty() && is_boolean(negated) && !has_value) {
            set(negated, "false");
        } else {
            throw usage_error("unknown option" + quoted(word) + see_help);
        }
    }
}

void Arguments::set(const std::string& name, const std::string& value) {
    const int status = fanwire_options_set(options_.get(), name.c_str(), value.c_str());
    // Whatever the library dislikes here was typed by the user.
    if (status != FANWIRE_OK) throw usage_error(fanwire_last_error());
}

std::vector<std::string> Arguments::all(const std::string& flag) const {
    const auto found = flags_.find(flag);
    return found == flags_.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::string> Arguments::text(const std::string& flag) const {
    const auto found = flags_.find(flag);
    if (found == flags_.end()) return std::nullopt;
    return found->second.back();
}

std::optional<unsigned long long> Arguments::count(const std::string& flag) const {
    const std::optional<std::string> given = text(flag);
    if (!given) return std::nullopt;
    errno = 0;
    char* end = nullptr;
    const unsigned long long number = std::strtoull(given->c_str(), &end, 10);
    // strtoull takes blanks and signs; a count has neither.
    const bool starts_with_digit = !given->empty() && (*given)[0] >= '0' && (*given)[0] <= '9';
    if (!starts_with_digit || *end != '\0' || errno != 0 || number == 0) {
        throw usage_error("--" + flag + " needs a whole number from 1, not \"" + *given + "\"");
    }
    return number;
}

std::optional<unsigned long long> Arguments::milliseconds(const std::string& flag) const {
    const std::optional<std::string> given = text(flag);
    if (!given) return std::nullopt;
    constexpr double kSecondsMax = 1e9;
    const bool plain = !given->empty() && given->find_first_not_of("0123456789.") == std::string::npos;
    char* end = nullptr;
    const double seconds = plain ? std::strtod(given->c_str(), &end) : 0.0;
    if (!plain || *end != '\0' || !(seconds > 0) || seconds > kSecondsMax) {
        throw usage_error("--" + flag + " needs a number of seconds above 0, such as 2 or 0.5, not \"" + *given + "\"");
    }
    return static_cast<unsigned long long>(std::ceil(seconds * 1000));
}

}  // namespace fanwire::cli
