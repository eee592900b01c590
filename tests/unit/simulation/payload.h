// Payloads that say who they are: a number, then bytes that depend on it and on their place. So one that is shifted,
// stale or of another message is seen.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace fanwire::core::simulation {

constexpr std::size_t filling_max = std::size_t{2} << 20;

// Bytes that do not repeat, and among them what replies begin and end with.
inline const std::string& noise() {
    static const std::string all = [] {
        static constexpr std::string_view pieces[] = {"*3\r\n$7\r\nmessage\r\n$2\r\nc0\r\n$1\r\n0\r\n", "\r\n", "$",
                                                      "-ERR \r\n", "*4\r\n$8\r\npmessage\r\n"};
        std::mt19937 random(1);
        std::string bytes;
        while (bytes.size() < filling_max + 8192) {
            const std::uint32_t four = static_cast<std::uint32_t>(random());
            for (int i = 0; i < 4; ++i) bytes += static_cast<char>(four >> 8 * i);
            if (random() % 64 == 0) bytes += pieces[random() % std::size(pieces)];
        }
        return bytes;
    }();
    return all;
}

inline std::string_view filling_of(std::uint64_t number, std::size_t size) {
    return std::string_view(noise()).substr(number * 61 % 8191, size);
}

inline std::string payload_of(std::uint64_t number, std::size_t filling) {
    std::string payload = std::to_string(number) + ":";
    payload += filling_of(number, filling);
    return payload;
}

// 0: it is none of ours.
inline std::uint64_t number_of(std::string_view payload) {
    std::uint64_t number = 0;
    const char* const end = payload.data() + payload.size();
    const auto [at, error] = std::from_chars(payload.data(), end, number);
    return error == std::errc() && at != end && *at == ':' ? number : 0;
}

// Whether all its bytes are those of that number; how many there are is to be compared, too.
inline bool is_payload(std::string_view payload, std::uint64_t number) {
    const std::string head = std::to_string(number) + ":";
    if (!payload.starts_with(head)) return false;
    payload.remove_prefix(head.size());
    return payload == filling_of(number, payload.size());
}

// A reply names the request that it answers, and its place among all replies.
inline std::string answer_of(std::uint64_t request, std::uint64_t order) {
    return "A" + std::to_string(request) + ":" + std::to_string(order);
}
// Zeros: it is none of ours.
inline std::pair<std::uint64_t, std::uint64_t> reply_of(std::string_view payload) {
    if (!payload.starts_with('A')) return {0, 0};
    const std::size_t colon = std::min(payload.find(':'), payload.size());
    std::pair<std::uint64_t, std::uint64_t> read{0, 0};
    std::from_chars(payload.data() + 1, payload.data() + colon, read.first);
    if (colon < payload.size())
        std::from_chars(payload.data() + colon + 1, payload.data() + payload.size(), read.second);
    return read;
}

}  // namespace fanwire::core::simulation
