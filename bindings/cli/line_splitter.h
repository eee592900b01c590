// Cuts a stream of bytes into lines without their newline. Lines may hold any other byte.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace fanwire::cli {

class LineSplitter {
 public:
    struct Line {
        std::string_view text;
        size_t size;  // greater than text.size() when the line is too long: then it has no text
    };

    // Of lines longer than `line_size_max` only the size is kept, so that a stream without newlines cannot fill the
    // memory.
    explicit LineSplitter(size_t line_size_max) : line_size_max_(line_size_max) {}

    void add(std::string_view bytes);
    void finish();  // what is left is a line too, if not empty

    // The next line into *line, valid until pop() or add(); false when there is none yet.
    bool peek(Line* line);
    void pop();

 private:
    struct Overlong {
        unsigned long long number;  // of the line, counted from 0
        size_t size;
    };

    void end_line();

    std::string buffer_;
    size_t start_ = 0;                           // of the line that peek() gives
    size_t searched_ = 0;                        // no newline stands between start_ and here
    size_t unfinished_ = 0;                      // bytes of the last line, when its newline has not come yet
    unsigned long long ended_ = 0, popped_ = 0;  // lines
    std::deque<Overlong> overlong_;              // of those that are not popped
    size_t line_size_max_;
};

}  // namespace fanwire::cli
