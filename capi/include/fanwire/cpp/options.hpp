// Settings. Part of fanwire.hpp.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fanwire/cpp/detail.hpp"
#include "fanwire/cpp/error.hpp"

namespace fanwire {

class Inbox;

// A set of settings; what is not set comes from the URL, then the environment, then the table. One thread at a time.
class Options {
 public:
    // A log line without its newline, valid during the call; level is a fanwire_log_level. May come from the IO
    // thread: it must neither block nor call the engine. What it throws is dropped.
    using LogHandler = std::function<void(int level, std::string_view text)>;

    Options() {
        check_version();
        fanwire_options* created = nullptr;
        detail::check(fanwire_options_create(&created));
        handle_.reset(created);
    }

    // With the setting `url`. Throws INVALID_URL.
    explicit Options(const std::string& url) : Options() { set("url", url); }

    // Throws UNKNOWN_OPTION, INVALID_OPTION, INVALID_URL.
    Options& set(const std::string& name, const std::string& value) {
        // The C API would take the part before a NUL for the whole.
        if (name.find('\0') != std::string::npos) throw Error(FANWIRE_UNKNOWN_OPTION, "a setting's name holds a NUL");
        if (value.find('\0') != std::string::npos)
            throw Error(FANWIRE_INVALID_OPTION, name + ": the value holds a NUL");
        detail::check(fanwire_options_set(handle(), name.c_str(), value.c_str()));
        return *this;
    }
    Options& set(const std::string& name, const char* value) {  // else a literal would become a bool
        if (value == nullptr) throw Error(FANWIRE_INVALID_ARGUMENT, name + ": the value is NULL");
        return set(name, std::string(value));
    }
    template <typename Number, std::enable_if_t<std::is_arithmetic_v<Number>, int> = 0>
    Options& set(const std::string& name, Number value) {
        static_assert(std::is_integral_v<Number> && !std::is_same_v<Number, char>, "text, integers and booleans only");
        if constexpr (std::is_same_v<Number, bool>)
            return set(name, value ? "true" : "false");
        else
            return set(name, std::to_string(value));
    }

    // The value that an engine opened now would have; secrets read "***". Throws UNKNOWN_OPTION, and what opening
    // an engine would.
    std::string get(const std::string& name) const {
        return detail::text_of(
            [&](char* buffer, std::size_t* size) { return fanwire_options_get(handle(), name.c_str(), buffer, size); });
    }

    // "option" "url" "environment" or "default". Borrowed: static. Throws as get() does.
    std::string_view source(const std::string& name) const {
        const char* from = "";
        detail::check(fanwire_options_source(handle(), name.c_str(), &from));
        return from;
    }

    // Engines opened with these options share the handler and keep it alive. An empty one: no log.
    Options& log(LogHandler handler) {
        if (!handler) {
            detail::check(fanwire_options_set_log(handle(), nullptr, nullptr));
            log_.reset();
            return *this;
        }
        auto shared = std::make_shared<LogHandler>(std::move(handler));
        detail::check(fanwire_options_set_log(handle(), &Options::call_log, shared.get()));
        log_ = std::move(shared);
        return *this;
    }

    // Where the engine events (CONNECTED DISCONNECTED RECONNECTING ERROR GAVE_UP) of an engine opened with these
    // options go. The inbox must not be destroyed before that engine was opened.
    Options& engine_inbox(const Inbox& inbox, void* user_data = nullptr);

    // Engines opened with these options use a broker of the application's in the place of Redis: see
    // fanwire_broker_calls. user_data must stay valid until `close` was called. Throws INVALID_ARGUMENT.
    Options& broker(const fanwire_broker_calls& calls, void* user_data) {
        detail::check(fanwire_options_set_broker(handle(), &calls, sizeof calls, user_data));
        return *this;
    }

    // Borrowed from this.
    fanwire_options* handle() const noexcept { return handle_.get(); }

 private:
    friend class Engine;

    static void call_log(void* user_data, int level, const char* text) {
        try {
            (*static_cast<LogHandler*>(user_data))(level, text);
        } catch (...) {  // there is nowhere to report to: this is the report
        }
    }

    detail::Handle<fanwire_options, fanwire_options_destroy> handle_;
    std::shared_ptr<LogHandler> log_;
};

// All settings, as `fanwire info` lists them. Their texts are borrowed: static.
inline std::vector<fanwire_option_info> option_table() {
    std::vector<fanwire_option_info> rows(fanwire_option_count());
    for (std::size_t i = 0; i < rows.size(); ++i)
        detail::check(fanwire_option_at(i, &rows[i], sizeof(fanwire_option_info)));
    return rows;
}

}  // namespace fanwire
