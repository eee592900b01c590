// The log of one engine: a callback and a level. Nothing in core writes anywhere else.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "core/base/settings.h"

namespace fanwire::core {

using LogSink = std::function<void(LogLevel level, const std::string& text)>;

class Log {
 public:
    Log() = default;
    Log(LogLevel level, LogSink sink) : level_(level), sink_(std::move(sink)) {}

    bool on(LogLevel level) const { return sink_ && level <= level_; }

    // One line, put together from pieces. Never throws: what the user's function throws is not ours to pass on, and a
    // line for which there is no memory is not written.
    void write(LogLevel level, std::initializer_list<std::string_view> pieces) const noexcept {
        if (!on(level)) return;
        try {
            std::string text;
            for (const std::string_view piece : pieces) text += piece;
            sink_(level, text);
        } catch (...) {
        }
    }
    void write(LogLevel level, std::string_view text) const noexcept { write(level, {text}); }

 private:
    LogLevel level_ = LogLevel::off;
    LogSink sink_;
};

}  // namespace fanwire::core
