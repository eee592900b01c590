#include "core/base/error.h"

#include <iterator>

namespace fanwire::core {

namespace {

constexpr StatusRow rows[] = {
#define FANWIRE_STATUS(name, code, retryable, text) {Status::name, retryable != 0, #name, text},
#include "core/base/status.def"
#undef FANWIRE_STATUS
};

}  // namespace

const StatusRow* status_rows(size_t& count) {
    count = std::size(rows);
    return rows;
}

const StatusRow* find_status(int code) {
    for (const StatusRow& row : rows)
        if (static_cast<int>(row.status) == code) return &row;
    return nullptr;
}

const char* status_name(Status status) {
    const StatusRow* row = find_status(static_cast<int>(status));
    return row ? row->name : "UNKNOWN";
}

}  // namespace fanwire::core
