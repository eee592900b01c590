// The table of settings (options.def) as code sees it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/settings.h"

namespace fanwire::core {

// One row.
struct Option {
    std::string name;      // "namespace"
    std::string variable;  // "FANWIRE_NAMESPACE"
    const char* type;
    const char* default_value;
    std::string range;
    std::string expected;  // "must be ...", for error texts
    const char* help;
    bool secret;
    std::function<bool(Settings&, std::string_view)> assign;  // false when the text is no value; may throw for a URL
    std::function<std::string(const Settings&)> show;
};

const std::vector<Option>& option_table();

// Index of a setting. Throws UNKNOWN_OPTION with a text that begins with `context`.
size_t find_option(std::string_view name, const std::string& context = "");

}  // namespace fanwire::core
