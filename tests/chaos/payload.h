// What the chaos publishes: who, where, which, and bytes that follow from these, so that a message cut short or mixed
// up with another is noticed.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "tests/chaos/reconciler.h"

namespace fanwire::chaos {

inline constexpr std::size_t channels = 8;
inline constexpr std::size_t publishers = 2;

inline std::string channel_name(std::size_t channel) {
    return "c" + std::to_string(channel);
}
inline StreamId stream_of(std::size_t publisher, std::size_t channel) {
    return static_cast<StreamId>(publisher * channels + channel);
}

// Mostly small; some larger than what one read or one packet takes.
inline std::size_t filling_of(StreamId stream, Number number) {
    const std::uint32_t mixed = (number * 2654435761u) ^ (stream * 40503u);
    if (mixed % 1000 == 0) return 20000 + mixed % 50000;
    return mixed % 50 == 0 ? mixed % 3000 : mixed % 60;
}

inline std::string make_payload(StreamId stream, Number number) {
    std::string payload(sizeof stream + sizeof number, '\0');
    std::memcpy(payload.data(), &stream, sizeof stream);
    std::memcpy(payload.data() + sizeof stream, &number, sizeof number);
    payload.append(filling_of(stream, number), static_cast<char>(number));
    return payload;
}

inline bool read_payload(std::string_view payload, StreamId& stream, Number& number) {
    if (payload.size() < sizeof stream + sizeof number) return false;
    std::memcpy(&stream, payload.data(), sizeof stream);
    std::memcpy(&number, payload.data() + sizeof stream, sizeof number);
    const std::string_view filling = payload.substr(sizeof stream + sizeof number);
    return filling.size() == filling_of(stream, number) &&
           filling.find_first_not_of(static_cast<char>(number)) == std::string_view::npos;
}

}  // namespace fanwire::chaos
