// What fanwire.h says, read as text.
#pragma once

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

namespace capi_test {

// The enumerators of an enum of fanwire.h: number -> name without FANWIRE_.
inline std::map<int, std::string> enum_of_header(const std::string& name) {
    std::ifstream file(FANWIRE_HEADER);
    std::stringstream text;
    text << file.rdbuf();
    const std::string header = text.str();
    std::smatch body;
    std::map<int, std::string> rows;
    if (!std::regex_search(header, body, std::regex("typedef enum " + name + " \\{([^}]*)\\}"))) return rows;
    const std::string list = body[1];
    const std::regex row("FANWIRE_([A-Z_]+) = ([0-9]+)");
    for (std::sregex_iterator it(list.begin(), list.end(), row), end; it != end; ++it)
        rows.emplace(std::stoi((*it)[2]), (*it)[1]);
    return rows;
}

}  // namespace capi_test
