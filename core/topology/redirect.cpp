#include "core/topology/redirect.h"

#include <algorithm>
#include <charconv>

namespace fanwire::core {

namespace {

// Takes the word off the front, and the space behind it.
std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

std::optional<std::uint32_t> number_of(std::string_view text, std::uint32_t max) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || number > max) return std::nullopt;
    return number;
}

}  // namespace

std::optional<Redirect> redirect_of(std::string_view error, const ServerAddress& asked) {
    Redirect redirect{};
    const std::string_view kind = take_word(error);
    if (kind == "MOVED")
        redirect.kind = Redirect::Kind::moved;
    else if (kind == "ASK")
        redirect.kind = Redirect::Kind::ask;
    else
        return std::nullopt;

    const std::optional<std::uint32_t> slot = number_of(take_word(error), slot_count - 1);
    const std::string_view address = take_word(error);
    const std::size_t colon = address.rfind(':');  // an IPv6 address has some of its own, and no brackets
    if (!slot || colon == std::string_view::npos) return std::nullopt;
    const std::optional<std::uint32_t> port = number_of(address.substr(colon + 1), 65535);
    if (!port) return std::nullopt;

    std::string_view host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    redirect.slot = static_cast<Slot>(*slot);
    redirect.address.port = *port != 0 ? static_cast<std::uint16_t>(*port) : asked.port;
    if (host.empty())
        redirect.address.host = asked.host;
    else if (is_host(host))
        redirect.address.host = host;
    return redirect;
}

}  // namespace fanwire::core
