// Statuses, texts, versions.
#include <cstdio>

#include "capi/src/handle.h"
#include "core/engine/dependencies.h"
#include "core/net/authorities.h"

using namespace fanwire::capi;
using fanwire::core::StatusRow;

// The header's enumeration and the table are the same.
#define FANWIRE_STATUS(name, code, retryable, text) \
    static_assert(FANWIRE_##name == (code), "fanwire.h and status.def differ in " #name);
#include "core/base/status.def"
#undef FANWIRE_STATUS

namespace {

// Fixed, so that keeping the text of a failure cannot fail.
thread_local char last_error[1024] = "";

#define FANWIRE_TEXT_(x) #x
#define FANWIRE_TEXT(x) FANWIRE_TEXT_(x)
constexpr const char* version =
    FANWIRE_TEXT(FANWIRE_VERSION_MAJOR) "." FANWIRE_TEXT(FANWIRE_VERSION_MINOR) "." FANWIRE_TEXT(FANWIRE_VERSION_PATCH);

}  // namespace

int fanwire::capi::fail(Status status, const char* text) noexcept {
    std::snprintf(last_error, sizeof last_error, "%s", text);
    // A text that had to be cut is cut before a character, not within one (UTF-8: 10xxxxxx continues).
    size_t end = std::strlen(last_error);
    if (end + 1 == sizeof last_error)
        while (end > 0 && (text[end] & 0xc0) == 0x80) last_error[--end] = '\0';
    return static_cast<int>(status);
}

size_t fanwire_status_count(void) {
    size_t count;
    fanwire::core::status_rows(count);
    return count;
}

int fanwire_status_at(size_t index, fanwire_status_info* info, size_t info_size) {
    return guarded([&] {
        size_t count;
        const StatusRow* rows = fanwire::core::status_rows(count);
        if (index >= count) reject("index is beyond the status table");
        const StatusRow& row = rows[index];
        const fanwire_status_info found{static_cast<int>(row.status), row.retryable ? 1 : 0, row.name, row.text};
        copy_out(info, info_size, found, "info");
    });
}

const char* fanwire_status_name(int status) {
    const StatusRow* row = fanwire::core::find_status(status);
    return row ? row->name : "UNKNOWN";
}

const char* fanwire_status_text(int status) {
    const StatusRow* row = fanwire::core::find_status(status);
    return row ? row->text : "unknown status";
}

const char* fanwire_last_error(void) {
    return last_error;
}

const char* fanwire_version(void) {
    return version;
}

int fanwire_check_version(int major, int minor, int patch) {
    const bool compatible = major == FANWIRE_VERSION_MAJOR && minor <= FANWIRE_VERSION_MINOR &&
                            (major != 0 || minor == FANWIRE_VERSION_MINOR) &&
                            (minor < FANWIRE_VERSION_MINOR || patch <= FANWIRE_VERSION_PATCH);
    return guarded([&] {
        if (!compatible)
            throw Failure(Status::VERSION_MISMATCH, "compiled against fanwire " + std::to_string(major) + "." +
                                                        std::to_string(minor) + "." + std::to_string(patch) +
                                                        ", but the library is " + version);
    });
}

int fanwire_authorities(char* buffer, size_t* size) {
    return guarded_wait([&] {
        required(size, "size");
        const auto found = fanwire::core::system_authorities();
        copy_text(found.file.empty() ? found.directory : found.file, buffer, size, "the path");
    });
}

int fanwire_dependency_at(size_t index, const char** name, const char** version_out) {
    return guarded([&] {
        required(name, "name");
        required(version_out, "version");
        const fanwire::core::Dependency* const found = fanwire::core::dependency_at(index);
        if (!found) reject("index is beyond the list of dependencies");
        *name = found->name;
        *version_out = found->version;
    });
}
