#include "bindings/cli/failure.h"

#include <unistd.h>

#include "fanwire/fanwire.h"

namespace fanwire::cli {

int exit_code_of(int status) {
    switch (status) {
        case FANWIRE_OK:
            return kExitOk;
        case FANWIRE_INVALID_ARGUMENT:
        case FANWIRE_INVALID_URL:
        case FANWIRE_UNKNOWN_OPTION:
        case FANWIRE_INVALID_OPTION:
        case FANWIRE_INVALID_CHANNEL:
            return kExitUsage;
        default:
            return kExitFailure;
    }
}

void check(int status) {
    if (status == FANWIRE_OK) return;
    throw failure_of(status, fanwire_last_error());
}

Failure failure_of(int status, const char* text) {
    const bool silent = text == nullptr || *text == '\0';
    return Failure(exit_code_of(status), silent ? fanwire_status_text(status) : text);
}

void say(const std::string& text) {
    std::string line = "fanwire: " + text;
    // A server's words may hold line breaks; scripts read us line by line.
    for (char& c : line) {
        if (c == '\n' || c == '\r') c = ' ';
    }
    line += '\n';
    // Nothing sensible can be done when stderr itself fails.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace fanwire::cli
