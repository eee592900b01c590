// The log of one engine: a callback and a level. Nothing in core writes anywhere else.
#pragma once

#include <functional>
#include <string>

#include "core/base/settings.h"

namespace fanwire::core {

using LogSink = std::function<void(LogLevel level, const std::string& text)>;

class Log {
   public:
    Log() = default;
    Log(LogLevel level, LogSink sink) : level_(level), sink_(std::move(sink)) {}

    bool on(LogLevel level) const { return sink_ && level <= level_; }

    void write(LogLevel level, const std::string& text) const {
        if (!on(level)) return;
        try {
            sink_(level, text);
        } catch (...) {  // the user's function: what it throws is not ours to pass on
        }
    }

   private:
    LogLevel level_ = LogLevel::off;
    LogSink sink_;
};

}  // namespace fanwire::core
