// Publishes each line of stdin, with a bounded number of them under way.
#pragma once

#include <poll.h>

#include <string>
#include <string_view>

#include "bindings/cli/line_splitter.h"
#include "bindings/cli/session.h"

namespace fanwire::cli {

class LinePublisher {
 public:
    // `line_size_max`: max_message_bytes; of longer lines nothing is kept.
    LinePublisher(Session& session, const std::string& channel, size_t line_size_max);

    // Whether stdin should be polled: not at its end, nor while enough publishes are under way.
    bool wants_input() const;
    void read_input();                         // when stdin is readable
    void outcome(const fanwire_event& event);  // of a PUBLISHED event
    void stop();                               // nothing more goes out; outcomes are still counted
    bool finished() const;                     // stdin is at its end and every line has its outcome

    bool any_failed() const { return failed_ != 0; }
    std::string summary() const;  // "3 published, 0 failed, 6 receivers"

 private:
    void publish_lines();
    void fail(unsigned long long line, int status, const std::string& text);

    Session& session_;
    std::string channel_;
    const size_t line_size_max_;
    LineSplitter lines_;
    bool input_ended_ = false;
    bool stopped_ = false;
    bool line_waits_ = false;  // a whole line is held back until an outcome makes room
    unsigned long long line_number_ = 0;
    unsigned long long outstanding_ = 0;
    unsigned long long published_ = 0;
    unsigned long long failed_ = 0;
    unsigned long long receivers_ = 0;
};

}  // namespace fanwire::cli
