// Cuts a stream of bytes into lines without their newline. Lines may hold any other byte.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fanwire::cli {

class LineSplitter {
 public:
    // Lines longer than `line_size_max` are cut to line_size_max + 1 bytes: enough to be refused, and a stream
    // without newlines cannot fill the memory.
    explicit LineSplitter(size_t line_size_max) : line_size_max_(line_size_max) {}

    void add(std::string_view bytes);
    void finish() { finished_ = true; }  // what is left is a line too, if not empty

    // The next line into *line, valid until pop() or add(); false when there is none yet.
    bool peek(std::string_view* line);
    void pop();

 private:
    std::string buffer_;
    size_t start_ = 0;         // of the line that peek() gives
    size_t searched_ = 0;      // no newline stands between start_ and here
    size_t unfinished_ = 0;    // bytes of the last line, when its newline has not come yet
    bool discarding_ = false;  // the rest of an overlong line
    bool finished_ = false;
    size_t line_size_max_;
};

}  // namespace fanwire::cli
