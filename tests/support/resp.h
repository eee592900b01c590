// Replies written down: what a server sends, for tests that read them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/protocol/reply.h"

namespace fanwire::test::resp {

inline std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
inline std::string integer(std::int64_t number) {
    return ":" + std::to_string(number) + "\r\n";
}
inline std::string nil() {
    return "$-1\r\n";
}
inline std::string error(std::string_view text) {
    return "-" + std::string(text) + "\r\n";
}
inline std::string array(const std::vector<std::string>& elements) {
    std::string bytes = "*" + std::to_string(elements.size()) + "\r\n";
    for (const std::string& element : elements) bytes += element;
    return bytes;
}

// Reads one reply, which lives as long as this.
class Read {
 public:
    explicit Read(std::string_view bytes) {
        reader_.limit_elements(1000 * 1000);
        while (!bytes.empty()) {
            const std::string_view piece = bytes.substr(0, core::ReplyReader::feed_max);
            reader_.feed(piece);
            bytes.remove_prefix(piece.size());
        }
        if (reader_.next() != core::ReplyReader::Result::reply) throw std::runtime_error("not one reply");
    }
    core::Reply reply() const { return reader_.reply(); }

 private:
    core::ReplyReader reader_;
};

}  // namespace fanwire::test::resp
