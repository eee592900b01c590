// Numbers with a fraction, as settings have them: "1.5". The standard library's functions for them would be a tenth of
// our code in a package that brings that library, and those of C read and write the point as the locale has it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fanwire::core {

// Takes a number off the front of `text`: digits, with a point among them or without; no sign, no exponent, no "inf".
// Exact, as a compiler reads it, up to 15 digits. nullopt, and `text` stays, when there is none or it has more than 18
// digits in front of the point.
std::optional<double> take_decimal(std::string_view& text);

// The shortest text from which take_decimal() makes the same number, for numbers from 0 to 10^15 of up to 15 digits.
std::string show_decimal(double number);

}  // namespace fanwire::core
