// How the command fails: one line on stderr and a documented exit code.
#pragma once

#include <stdexcept>
#include <string>

namespace fanwire::cli {

constexpr int kExitOk = 0;
constexpr int kExitFailure = 1;   // something went wrong while running
constexpr int kExitUsage = 2;     // the command line asks for something that cannot be
constexpr int kExitSignal = 128;  // plus the signal's number, as shells count

class Failure : public std::runtime_error {
 public:
    Failure(int exit_code, const std::string& text) : std::runtime_error(text), exit_code_(exit_code) {}
    int exit_code() const { return exit_code_; }

 private:
    int exit_code_;
};

inline Failure usage_error(const std::string& text) {
    return Failure(kExitUsage, text);
}
inline Failure runtime_error(const std::string& text) {
    return Failure(kExitFailure, text);
}

// The reader of our stdout has gone: there is nobody left to work for, which is no failure.
struct ReaderGone {};

// kExitUsage for statuses that blame what was typed, kExitFailure for the others.
int exit_code_of(int status);

// Throws a Failure with the library's own words unless status is FANWIRE_OK.
void check(int status);

// The same for an asynchronous outcome, whose words come with the event (text may be null).
Failure failure_of(int status, const char* text);

// One line on stderr: "fanwire: " and the text, in a single write so that lines of several processes stay whole.
void say(const std::string& text);

}  // namespace fanwire::cli
