#include "log.h"

#include <utility>

namespace fanwire::node {
namespace {

// logTake(log) -> [number of lines left out, level, text, level, text, ...]
napi_value log_take(const Call& call) {
    napi_env env = call.env();
    uint64_t left_out = 0;
    const auto lines = handle_at<Log>(call, 0).queue()->take(&left_out);
    napi_value array = make_array(env);
    append(env, array, 0, make_number(env, static_cast<double>(left_out)));
    uint32_t size = 1;
    for (const auto& [level, text] : lines) {
        append(env, array, size++, make_number(env, level));
        append(env, array, size++, make_text(env, text.c_str()));
    }
    return array;
}

}  // namespace

void LogQueue::add(int level, const char* text) noexcept {
    bool is_first = false;
    {
        const std::lock_guard lock(mutex_);
        is_first = lines_.empty() && left_out_ == 0;
        try {
            if (lines_.size() == kMaxLines)
                ++left_out_;
            else
                lines_.push_back({level, text});
        } catch (const std::bad_alloc&) {
            ++left_out_;
        }
    }
    if (is_first) waker_->wake(id_);
}

std::deque<LogQueue::Line> LogQueue::take(uint64_t* left_out) {
    const std::lock_guard lock(mutex_);
    *left_out = std::exchange(left_out_, 0);
    return std::exchange(lines_, {});
}

void export_log(napi_env env, napi_value exports) {
    export_function<log_take>(env, exports, "logTake");
}

}  // namespace fanwire::node
