#include "core/message/frame.h"

#include <algorithm>
#include <cstring>

#include "core/base/keyed_hash.h"

namespace fanwire::core::frame {

namespace {

constexpr char version = 1;
constexpr std::string_view reply_prefix = "__fanwire:reply:";
constexpr std::size_t id_digits = 32, number_at = 24;

template <class Number>
void append_number(std::string& out, Number number) {
    for (std::size_t shift = 8 * sizeof number; shift > 0; shift -= 8)
        out += static_cast<char>(static_cast<unsigned char>(number >> (shift - 8)));
}

template <class Number>
Number number_at_front(std::string_view bytes) {
    Number number = 0;
    for (std::size_t i = 0; i < sizeof number; ++i)
        number = static_cast<Number>(number << 8 | static_cast<unsigned char>(bytes[i]));
    return number;
}

std::string begin(Kind kind, std::size_t size) {
    std::string out;
    out.reserve(size);
    out += magic;
    out += version;
    out += static_cast<char>(kind);
    return out;
}

}  // namespace

Address::Id random_id() {
    Address::Id id;
    for (std::size_t i = 0; i < id.size(); i += sizeof(std::uint64_t)) {
        const std::uint64_t word = random_seed();
        std::memcpy(&id[i], &word, sizeof word);
    }
    return id;
}

std::string reply_channel(const Address::Id& id) {
    std::string channel(reply_prefix);
    for (const unsigned char byte : id) {
        channel += "0123456789abcdef"[byte >> 4];
        channel += "0123456789abcdef"[byte & 15];
    }
    return channel;
}

bool ends_in_reply_channel(std::string_view channel) {
    static_assert(reply_channel_size == reply_prefix.size() + id_digits);
    const std::size_t at = channel.size() - reply_channel_size;
    if (channel[at] != '_' || channel.substr(at, reply_prefix.size()) != reply_prefix) return false;
    if (at > 0 && channel[at - 1] != ':') return false;
    return channel.substr(at + reply_prefix.size()).find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string plain(std::string_view payload) {
    std::string out = begin(Kind::plain, plain_size + payload.size());
    out += payload;
    return out;
}

std::string request(const Address& address, std::string_view payload) {
    std::string out = begin(Kind::request, request_size + payload.size());
    append_number(out, address.prefix_size);
    for (const unsigned char byte : address.id) out += static_cast<char>(byte);
    append_number(out, address.number);
    out += payload;
    return out;
}

std::string reply(std::uint64_t number, std::string_view payload) {
    std::string out = begin(Kind::reply, reply_size + payload.size());
    append_number(out, number);
    out += payload;
    return out;
}

std::optional<Head> head_of(std::string_view payload) {
    if (!begins(payload) || payload.size() < plain_size || payload[4] != version) return std::nullopt;
    Head head{static_cast<Kind>(payload[5]), 0};
    switch (head.kind) {
        case Kind::plain:
            head.size = plain_size;
            break;
        case Kind::request:
            head.size = request_size;
            break;
        case Kind::reply:
            head.size = reply_size;
            break;
        default:
            return std::nullopt;
    }
    if (payload.size() < head.size) return std::nullopt;
    return head;
}

Address address_of(std::string_view head) {
    Address address;
    address.prefix_size = number_at_front<std::uint16_t>(head.substr(6));
    std::copy_n(head.begin() + 8, address.id.size(), address.id.begin());
    address.number = number_at_front<std::uint64_t>(head.substr(number_at));
    return address;
}

std::uint64_t number_of(std::string_view head) {
    return number_at_front<std::uint64_t>(head.substr(6));
}

}  // namespace fanwire::core::frame
