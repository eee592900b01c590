#include "bindings/cli/line_splitter.h"

namespace fanwire::cli {

void LineSplitter::add(std::string_view bytes) {
    // Lines that were popped leave in one move, not one by one.
    buffer_.erase(0, start_);
    searched_ -= start_;
    start_ = 0;
    while (!bytes.empty()) {
        const size_t newline = bytes.find('\n');
        const bool complete = newline != std::string_view::npos;
        std::string_view part = bytes.substr(0, complete ? newline : bytes.size());
        bytes.remove_prefix(complete ? newline + 1 : bytes.size());
        if (!discarding_) {
            const size_t room = line_size_max_ + 1 - unfinished_;
            if (part.size() > room) {
                part = part.substr(0, room);
                discarding_ = true;
            }
            buffer_.append(part);
            unfinished_ += part.size();
        }
        if (complete) {
            buffer_ += '\n';
            discarding_ = false;
            unfinished_ = 0;
        }
    }
}

bool LineSplitter::peek(std::string_view* line) {
    const size_t newline = buffer_.find('\n', searched_);
    if (newline != std::string::npos) {
        searched_ = newline;
        *line = std::string_view(buffer_).substr(start_, newline - start_);
        return true;
    }
    searched_ = buffer_.size();
    if (!finished_ || start_ == buffer_.size()) return false;
    *line = std::string_view(buffer_).substr(start_);
    return true;
}

void LineSplitter::pop() {
    start_ = searched_ < buffer_.size() ? searched_ + 1 : buffer_.size();
    searched_ = start_;
}

}  // namespace fanwire::cli
