#include "core/base/service_links.h"

#include <algorithm>

namespace fanwire::core {

namespace {

bool names_variable(std::string_view alias, std::string_view prefix) {
    return std::equal(alias.begin(), alias.end(), prefix.begin(), prefix.end(), [](char a, char p) {
        return p == (a == '-' ? '_' : a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a);
    });
}

}  // namespace

bool is_service_link(std::string_view variable, std::string_view value) {
    // {SERVICE}_PORT; {SERVICE}_PORT_6379_TCP is no name of a setting.
    if (variable.ends_with("_PORT"))
        return value.starts_with("tcp://") || value.starts_with("udp://") || value.starts_with("sctp://");
    // {ALIAS}_NAME=/container/alias
    constexpr std::string_view name = "_NAME";
    if (!variable.ends_with(name) || !value.starts_with('/')) return false;
    const std::size_t slash = value.rfind('/');
    return slash > 0 && names_variable(value.substr(slash + 1), variable.substr(0, variable.size() - name.size()));
}

}  // namespace fanwire::core
