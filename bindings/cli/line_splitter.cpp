#include "bindings/cli/line_splitter.h"

#include <algorithm>

namespace fanwire::cli {

void LineSplitter::add(std::string_view bytes) {
    // Lines that were popped leave in one move, not one by one.
    buffer_.erase(0, start_);
    searched_ -= start_;
    start_ = 0;
    while (!bytes.empty()) {
        const size_t newline = bytes.find('\n');
        const bool complete = newline != std::string_view::npos;
        const std::string_view part = bytes.substr(0, complete ? newline : bytes.size());
        bytes.remove_prefix(complete ? newline + 1 : bytes.size());
        if (unfinished_ <= line_size_max_) {
            if (part.size() <= line_size_max_ - unfinished_) {
                buffer_.append(part);
            } else {
                buffer_.resize(buffer_.size() - unfinished_);
                searched_ = std::min(searched_, buffer_.size());
            }
        }
        unfinished_ += part.size();
        if (complete) end_line();
    }
}

void LineSplitter::finish() {
    if (unfinished_ != 0) end_line();
}

void LineSplitter::end_line() {
    if (unfinished_ > line_size_max_) overlong_.push_back({ended_, unfinished_});
    buffer_ += '\n';
    unfinished_ = 0;
    ++ended_;
}

bool LineSplitter::peek(Line* line) {
    if (popped_ == ended_) return false;
    searched_ = buffer_.find('\n', searched_);
    line->text = std::string_view(buffer_).substr(start_, searched_ - start_);
    const bool overlong = !overlong_.empty() && overlong_.front().number == popped_;
    line->size = overlong ? overlong_.front().size : line->text.size();
    return true;
}

void LineSplitter::pop() {
    if (!overlong_.empty() && overlong_.front().number == popped_) overlong_.pop_front();
    ++popped_;
    start_ = ++searched_;
}

}  // namespace fanwire::cli
