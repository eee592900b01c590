#include "core/base/decimal.h"

#include <cstdint>

namespace fanwire::core {
namespace {

constexpr int fraction_max = 22;                         // 10^22 is the last power that a double holds exactly
constexpr std::uint64_t full = 100'000'000'000'000'000;  // with one digit more it still fits

// Exact, and so is a whole number of up to 15 digits: what remains is one division, which rounds once.
double power_of_ten(int exponent) {
    double power = 1;
    while (exponent-- > 0) power *= 10;
    return power;
}

// As llround(), of what is not negative; that one would make users of the static library link libm.
std::int64_t nearest(double number) {
    const auto whole = static_cast<std::int64_t>(number);
    return number - static_cast<double>(whole) >= 0.5 ? whole + 1 : whole;
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

std::optional<double> take_decimal(std::string_view& text) {
    std::uint64_t digits = 0;
    int fraction = 0;
    bool any = false, point = false;
    std::size_t at = 0;
    for (; at < text.size() && (is_digit(text[at]) || (text[at] == '.' && !point)); ++at) {
        if (text[at] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (digits >= full && !point) return std::nullopt;
        if (digits >= full || fraction == fraction_max) continue;  // more than a double could hold
        digits = digits * 10 + static_cast<std::uint64_t>(text[at] - '0');
        if (point) ++fraction;
    }
    if (!any) return std::nullopt;
    text.remove_prefix(at);
    return static_cast<double>(digits) / power_of_ten(fraction);
}

std::string show_decimal(double number) {
    constexpr double exact_max = 9007199254740992;  // 2^53
    std::int64_t digits = nearest(number);
    int fraction = 0;
    while (static_cast<double>(digits) / power_of_ten(fraction) != number) {
        const double scaled = number * power_of_ten(fraction + 1);
        if (scaled > exact_max || fraction == fraction_max) break;
        digits = nearest(scaled);
        ++fraction;
    }
    std::string text = std::to_string(digits);
    if (fraction == 0) return text;
    const auto places = static_cast<std::size_t>(fraction);
    if (text.size() <= places) text.insert(0, places + 1 - text.size(), '0');
    return text.insert(text.size() - places, ".");
}

}  // namespace fanwire::core
