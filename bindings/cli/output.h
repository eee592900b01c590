// stdout: buffered while messages pour in, flushed whenever the inbox has been drained.
#pragma once

#include <string>
#include <string_view>

namespace fanwire::cli {

class Output {
 public:
    // Keeps it; writes when much has gathered. Throws as flush() does.
    void add(std::string_view bytes);

    // Writes everything. Throws ReaderGone when nobody can read it any more, Failure on any other error. Once a
    // signal was caught it no longer waits for a slow reader: what does not fit into the pipe stays unwritten.
    void flush();

 private:
    std::string buffer_;
};

}  // namespace fanwire::cli
