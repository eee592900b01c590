// Settings.
#include "capi/src/handle.h"

using namespace fanwire::capi;
using fanwire::core::option_rows;
using fanwire::core::process_environment;

size_t fanwire_option_count(void) {
    size_t count = 0;
    guarded([&] { count = option_rows().size(); });
    return count;
}

int fanwire_option_at(size_t index, fanwire_option_info* info, size_t info_size) {
    return guarded([&] {
        if (index >= option_rows().size()) reject("index is beyond the table of settings");
        const auto& row = option_rows()[index];
        const fanwire_option_info found{row.name,          row.type, row.default_value,
                                        row.range.c_str(), row.help, row.secret ? 1 : 0};
        copy_out(info, info_size, found, "info");
    });
}

int fanwire_options_create(fanwire_options** options) {
    return guarded([&] {
        fanwire_options*& out = required(options, "options");  // first: the right side of an assignment comes before it
        out = new fanwire_options();
    });
}

void fanwire_options_destroy(fanwire_options** options) {
    destroy(options);
}

fanwire_options::~fanwire_options() {
    if (forked()) guarded([&] { leak(std::move(events.inbox)); });
}

int fanwire_options_set(fanwire_options* options, const char* name, const char* value) {
    return guarded([&] {
        auto& handle = checked(options);
        required(name, "name");
        required(value, "value");
        handle.options.set(name, value);
    });
}

int fanwire_options_get(const fanwire_options* options, const char* name, char* buffer, size_t* size) {
    return guarded([&] {
        const auto& handle = checked(options);
        required(name, "name");
        required(size, "size");
        const std::string value = handle.options.effective(name, process_environment());
        copy_text(value, buffer, size, std::string("the value of ") + name);
    });
}

int fanwire_options_source(const fanwire_options* options, const char* name, const char** source) {
    return guarded([&] {
        const auto& handle = checked(options);
        required(name, "name");
        required(source, "source") = handle.options.source(name, process_environment());
    });
}

int fanwire_options_set_log(fanwire_options* options, fanwire_log_fn log, void* user_data) {
    return guarded([&] {
        auto& handle = checked(options);
        handle.log = log;
        handle.log_user_data = user_data;
    });
}

int fanwire_options_set_engine_inbox(fanwire_options* options, fanwire_inbox* inbox, void* user_data) {
    return guarded([&] {
        auto& handle = checked(options);
        fanwire::core::EventTarget events{checked(inbox).inbox, user_data};
        if (!handle.fork_guard) handle.fork_guard = std::make_unique<fanwire::core::ForkGuard>(false);
        handle.events = std::move(events);
    });
}
