#include "log.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>

namespace fanwire::python {

LogQueue& LogQueue::of_process() {
    static std::atomic<LogQueue*> of_all = nullptr;
    LogQueue* queue = of_all.load();
    while (queue == nullptr || queue->generation_ != fork_generation()) {
        auto own = std::unique_ptr<LogQueue>(new LogQueue);
        if (of_all.compare_exchange_strong(queue, own.get())) return *own.release();  // a parent's stays as it is
    }
    return *queue;
}

void LogQueue::attach(const Options& options) {
    const auto log = [](void* self, int level, const char* text) { static_cast<LogQueue*>(self)->add(level, text); };
    check(fanwire_options_set_log(options.handle(), log, &of_process()));
}

// Thread: any, without the GIL.
void LogQueue::add(int level, const char* text) noexcept {
    const std::chrono::duration<double> at = std::chrono::system_clock::now().time_since_epoch();
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = lines_.empty() && left_out_ == 0;
        try {
            if (lines_.size() == max_lines)
                ++left_out_;
            else
                lines_.push_back({level, at.count(), text});
        } catch (const std::bad_alloc&) {
            ++left_out_;
        }
    }
    if (first) waker_.ring();
}

py::tuple LogQueue::take() {
    std::deque<Line> lines;
    std::size_t left_out = 0;
    {
        const std::lock_guard lock(mutex_);
        waker_.take();
        lines.swap(lines_);
        left_out = std::exchange(left_out_, 0);
    }
    py::list items;
    for (const Line& line : lines) {
        auto text = py::reinterpret_steal<py::object>(
            PyUnicode_DecodeUTF8(line.text.data(), static_cast<Py_ssize_t>(line.text.size()), "replace"));
        if (!text) throw py::error_already_set();
        items.append(py::make_tuple(line.level, line.at_s, text));
    }
    return py::make_tuple(items, left_out);
}

void define_log(py::module_& module) {
    module.def("log_fd", [] { return LogQueue::of_process().fd(); });
    module.def("take_log", [] { return LogQueue::of_process().take(); });
    module.def("attach_log", LogQueue::attach);

    py::dict levels;
    levels[py::int_(int{FANWIRE_LOG_ERROR})] = "ERROR";
    levels[py::int_(int{FANWIRE_LOG_WARN})] = "WARNING";
    levels[py::int_(int{FANWIRE_LOG_INFO})] = "INFO";
    levels[py::int_(int{FANWIRE_LOG_DEBUG})] = "DEBUG";
    module.attr("LOG_LEVELS") = levels;
}

}  // namespace fanwire::python
