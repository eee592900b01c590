// What can go wrong, said once: a status of the table and a text that names the thing.
#pragma once

#include <cstdint>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace fanwire::core {

// The table of status codes (status.def) as C++ sees it.
enum class Status : int {
#define FANWIRE_STATUS(name, code, retryable, text) name = code,
#include "core/base/status.def"
#undef FANWIRE_STATUS
};

struct StatusRow {
    Status status;
    bool retryable;
    const char* name;
    const char* text;
};

// The rows in the order of status.def; `count` of them.
const StatusRow* status_rows(size_t& count);

// nullptr for a number outside the table.
const StatusRow* find_status(int code);

// "NO_MEMORY"; static.
const char* status_name(Status status);

// An asynchronous failure, as a value: for outcomes and events. Copying it never throws: where there is no memory for
// the text, the status goes without.
struct Error {
    Status status = Status::OK;
    std::string text;

    Error() = default;
    Error(Status s, std::string t) noexcept : status(s), text(std::move(t)) {}
    Error(const Error& other) noexcept : status(other.status) { keep({other.text}); }
    Error(Error&&) noexcept = default;
    Error& operator=(Error other) noexcept {
        status = other.status;
        text.swap(other.text);
        return *this;
    }
    // With a text put together from `pieces`, if there is memory for it.
    static Error of(Status status, std::initializer_list<std::string_view> pieces) noexcept {
        Error error;
        error.status = status;
        error.keep(pieces);
        return error;
    }

    explicit operator bool() const { return status != Status::OK; }

 private:
    void keep(std::initializer_list<std::string_view> pieces) noexcept {
        try {
            for (const std::string_view piece : pieces) text += piece;
        } catch (const std::bad_alloc&) {
            text.clear();
        }
    }
};

// A failed call, as an exception: thrown by synchronous code, caught at the C boundary.
class Failure : public std::exception {
 public:
    Failure(Status status, std::string text) : error_{status, std::move(text)} {}
    explicit Failure(Error error) : error_(std::move(error)) {}

    const Error& error() const { return error_; }
    Status status() const { return error_.status; }
    const char* what() const noexcept override { return error_.text.c_str(); }

 private:
    Error error_;
};

}  // namespace fanwire::core
