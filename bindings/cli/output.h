// stdout: buffered while messages pour in, flushed whenever the inbox has been drained.
#pragma once

#include <string>
#include <string_view>

#include "bindings/cli/deadline.h"

namespace fanwire::cli {

class Output {
 public:
    explicit Output(const Deadline& deadline = std::nullopt) : deadline_(deadline) {}

    // Keeps it; writes when much has gathered. Throws as flush() does.
    void add(std::string_view bytes);

    // Writes everything. Throws ReaderGone when nobody can read it any more, Failure on any other error. Once a
    // signal was caught or the deadline has passed it no longer waits for a slow reader: what does not fit into the
    // pipe stays unwritten.
    void flush();

    bool all_written() const { return buffer_.empty(); }

 private:
    Deadline deadline_;
    std::string buffer_;
};

}  // namespace fanwire::cli
