// The engines' logs on their way to Python's logging.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

#include "failure.h"
#include "options.h"
#include "waker.h"

namespace fanwire::python {

// Lines of all engines of the process. The engine's IO thread must never wait for the GIL, so it only leaves its lines
// here and rings; a Python thread takes them.
class LogQueue {
 public:
    // A forked child has one of its own: the parent's mutex may be held by a thread that does not exist there. Needs
    // the GIL. Lives as long as the process.
    static LogQueue& of_process();

    // Has the engines that are opened with these options send their lines here.
    static void attach(const Options& options);

    // Readable while lines wait.
    int fd() const { return waker_.fd(); }

    // ([(level, seconds since 1970, text), ...], how many were left out since the last call): what waits, in order.
    py::tuple take();

 private:
    static constexpr std::size_t max_lines = 1000;

    struct Line {
        int level;
        double at_s;
        std::string text;
    };

    LogQueue() = default;
    void add(int level, const char* text) noexcept;

    const std::uint64_t generation_ = fork_generation();
    Waker waker_;
    std::mutex mutex_;
    std::deque<Line> lines_;
    std::size_t left_out_ = 0;
};

void define_log(py::module_& module);

}  // namespace fanwire::python
