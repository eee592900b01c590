#include "core/protocol/publish_command.h"

namespace fanwire::core {

namespace {

constexpr std::string_view head = "*3\r\n$7\r\nPUBLISH\r\n$";

// How many digits a count has.
std::size_t digits_of(std::size_t n) {
    std::size_t digits = 1;
    for (; n >= 1000; n /= 1000) digits += 3;
    return digits + (n >= 10 ? 1 : 0) + (n >= 100 ? 1 : 0);
}

// A count as it stands behind `$`. Returns where the next bytes go.
char* put_count(char* to, std::size_t n) {
    char* const end = to + digits_of(n);
    char* at = end;
    do *--at = static_cast<char>('0' + n % 10);
    while ((n /= 10) > 0);
    return end;
}

}  // namespace

std::size_t PublishCommand::size(std::size_t channel_size, std::size_t payload_size) const {
    return head.size() + digits_of(channel_size) + 2 + channel_size + 3 + digits_of(payload_size) + 2 + payload_size +
           2;
}

void PublishCommand::write(char* to, std::string_view prefix, std::string_view channel,
                           std::string_view payload) const {
    to = put(to, head);
    to = put_count(to, prefix.size() + channel.size());
    to = put(to, "\r\n");
    to = put(to, prefix);
    to = put(to, channel);
    to = put(to, "\r\n$");
    to = put_count(to, payload.size());
    to = put(to, "\r\n");
    to = put(to, payload);
    put(to, "\r\n");
}

}  // namespace fanwire::core
