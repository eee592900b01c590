#include "core/base/option_table.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/other_clients.h"
#include "core/base/rules.h"
#include "core/base/text.h"

namespace fanwire::core {

namespace {

template <class T>
Option make_option(const char* member_name, T Settings::*member, rules::Rule<T> rule, const char* default_value,
                   const char* help) {
    std::string name = member_name;
    if (name.ends_with('_')) name.pop_back();
    std::string variable = "FANWIRE_";
    for (char letter : name)
        variable += letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A') : letter;

    Option option{std::move(name),
                  std::move(variable),
                  rule.type,
                  default_value,
                  rule.range,
                  rule.expected,
                  help,
                  rule.secret,
                  nullptr,
                  nullptr};
    option.assign = [member, parse = rule.parse](Settings& settings, std::string_view text) {
        std::optional<T> value = parse(text);
        if (value) settings.*member = *std::move(value);
        return value.has_value();
    };
    option.show = [member, show = rule.show](const Settings& settings) { return show(settings.*member); };
    return option;
}

template <class Enum>
rules::Rule<Enum> choice();

#define FANWIRE_CHOICE(type, ...)                    \
    template <>                                      \
    rules::Rule<type> choice<type>() {               \
        return rules::choice_of<type>(#__VA_ARGS__); \
    }
#include "core/base/options.def"

std::vector<Option> make_table() {
    using namespace rules;
    return {
#define FANWIRE_OPTION(member, type, rule, default_value, help) \
    make_option<type>(#member, &Settings::member, rule, default_value, help),
#include "core/base/options.def"
    };
}

// What follows "there is no such setting": what another client's parameter is here, the setting that was probably
// meant, or all of them.
std::string hint_for(std::string_view unknown) {
    if (std::string theirs = other_clients_hint(unknown); !theirs.empty()) return theirs;
    constexpr size_t longest = 64;
    size_t best = 3;  // three wrong letters are another word
    std::string hint;
    std::string all;
    for (const Option& option : option_table()) {
        all += (all.empty() ? "" : ", ") + option.name;
        size_t distance = unknown.size() <= longest ? edit_distance(unknown, option.name) : best;
        if (distance >= best) continue;
        best = distance;
        hint = "did you mean \"" + option.name + "\"?";
    }
    return hint.empty() ? "there are " + all : hint;
}

}  // namespace

// Neither this nor the rows below are ever destroyed: what they hand out must outlive every other static object.
const std::vector<Option>& option_table() {
    static const auto* table = new std::vector<Option>(make_table());
    return *table;
}

size_t find_option(std::string_view name, const std::string& context) {
    const std::vector<Option>& table = option_table();
    auto found = std::find_if(table.begin(), table.end(), [&](const Option& option) { return option.name == name; });
    if (found == table.end())
        throw Failure(Status::UNKNOWN_OPTION, context + "there is no setting " + quote(name) + "; " + hint_for(name));
    return static_cast<size_t>(found - table.begin());
}

const std::vector<OptionRow>& option_rows() {
    static const auto* rows = [] {
        auto* made = new std::vector<OptionRow>;
        for (const Option& option : option_table())
            made->push_back(
                {option.name.c_str(), option.type, option.default_value, option.range, option.help, option.secret});
        return made;
    }();
    return *rows;
}

}  // namespace fanwire::core
