// Reading tests/vectors.
#pragma once

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace fanwire::test {

using Json = nlohmann::ordered_json;

// The cases of one file. Throws when there are none.
inline Json read_vectors(const std::string& file) {
    std::ifstream stream(std::string(FANWIRE_VECTORS) + "/" + file);
    Json cases = Json::parse(stream).at("cases");
    if (cases.empty()) throw std::runtime_error(file + " has no cases");
    return cases;
}

inline std::string from_hex(const std::string& hex) {
    std::string bytes;
    for (size_t at = 0; at + 1 < hex.size(); at += 2)
        bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
    return bytes;
}

// The field `name`, or `name`_hex decoded.
inline std::string bytes_of(const Json& item, const std::string& name) {
    if (item.contains(name)) return item.at(name).get<std::string>();
    return from_hex(item.at(name + "_hex").get<std::string>());
}

}  // namespace fanwire::test
