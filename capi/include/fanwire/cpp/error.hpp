// What goes wrong, and which versions these are. Part of fanwire.hpp.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fanwire/fanwire.h"

namespace fanwire {

// A call that failed: what() names the thing that is wrong.
class Error : public std::runtime_error {
 public:
    Error(int status, const std::string& text) : std::runtime_error(text), status_(status) {}

    // A fanwire_status, and its name ("CONNECT_FAILED"; static).
    int status() const noexcept { return status_; }
    std::string_view name() const noexcept { return fanwire_status_name(status_); }

    // The same call may succeed later with nothing changed by the caller.
    bool retryable() const noexcept {
        fanwire_status_info row{};
        for (std::size_t i = 0; fanwire_status_at(i, &row, sizeof row) == FANWIRE_OK; ++i)
            if (row.code == status_) return row.retryable != 0;
        return false;
    }

 private:
    int status_;
};

namespace detail {

[[noreturn]] inline void fail(int status) {
    const std::string_view text = fanwire_last_error();
    throw Error(status, std::string(text.empty() ? fanwire_status_text(status) : text));
}

inline void check(int status) {
    if (status != FANWIRE_OK) fail(status);
}

// What a call that fills (buffer, &size) gives. Asked for again when it has grown between two calls.
template <typename Call>
std::string text_of(Call call) {
    std::size_t size = 0;
    int status = call(static_cast<char*>(nullptr), &size);
    std::string text;
    do {
        if (status != FANWIRE_OK && status != FANWIRE_LIMIT_REACHED) fail(status);
        text.resize(size);
        status = call(text.data(), &size);
    } while (status != FANWIRE_OK);
    text.resize(size - 1);  // without the NUL
    return text;
}

// Text for a call that takes it up to its NUL: the part before one must not be taken for the whole.
inline const char* c_text(const std::string& value, int status, const char* what) {
    if (value.find('\0') != std::string::npos) throw Error(status, std::string(what) + " holds a NUL");
    return value.c_str();
}

}  // namespace detail

// The library's version. Borrowed: static.
inline std::string_view version() noexcept {
    return fanwire_version();
}

// Throws VERSION_MISMATCH when the library does not fit the header this was compiled with. Options, Inbox and
// Engine call it themselves.
inline void check_version() {
    detail::check(FANWIRE_CHECK_VERSION());
}

// Names and versions of the libraries fanwire stands on. Borrowed: static.
inline std::vector<std::pair<std::string_view, std::string_view>> dependencies() {
    std::vector<std::pair<std::string_view, std::string_view>> rows;
    const char* name = nullptr;
    const char* version = nullptr;
    while (fanwire_dependency_at(rows.size(), &name, &version) == FANWIRE_OK) rows.emplace_back(name, version);
    return rows;
}

// The file or directory with the certificates of the authorities that TLS trusts when tls_ca_file is empty; "" when the
// system has none.
inline std::string authorities() {
    std::size_t size = 0;
    detail::check(fanwire_authorities(nullptr, &size));
    std::string path(size, '\0');
    detail::check(fanwire_authorities(path.data(), &size));
    path.resize(size - 1);
    return path;
}

}  // namespace fanwire
