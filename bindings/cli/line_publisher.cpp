#include "bindings/cli/line_publisher.h"

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "bindings/cli/failure.h"

namespace fanwire::cli {
namespace {

constexpr unsigned long long kOutstandingMax = 1024;
constexpr unsigned long long kFailuresShown = 10;
constexpr size_t kReadSize = 64 * 1024;

}  // namespace

LinePublisher::LinePublisher(Session& session, const std::string& channel, size_t line_size_max)
    : session_(session), channel_(channel), line_size_max_(line_size_max), lines_(line_size_max) {}

bool LinePublisher::wants_input() const {
    return !stopped_ && !input_ended_ && !line_waits_;
}

void LinePublisher::stop() {
    stopped_ = true;
}

bool LinePublisher::finished() const {
    return input_ended_ && !line_waits_ && outstanding_ == 0;
}

void LinePublisher::read_input() {
    char bytes[kReadSize];
    const ssize_t size = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (size < 0) {
        if (errno == EINTR || errno == EAGAIN) return;
        throw runtime_error(std::string("cannot read stdin: ") + std::strerror(errno));
    }
    if (size == 0) {
        input_ended_ = true;
        lines_.finish();
    } else {
        lines_.add(std::string_view(bytes, static_cast<size_t>(size)));
    }
    publish_lines();
}

void LinePublisher::outcome(const fanwire_event& event) {
    --outstanding_;
    if (event.status == FANWIRE_OK) {
        ++published_;
        receivers_ += event.count;
    } else {
        fail(static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(event.user_data)), event.status,
             event.text != nullptr ? event.text : "");
    }
    if (line_waits_ && !stopped_) publish_lines();
}

void LinePublisher::publish_lines() {
    LineSplitter::Line line;
    while ((line_waits_ = lines_.peek(&line)) && outstanding_ < kOutstandingMax) {
        const unsigned long long number = line_number_ + 1;
        if (line.size > line_size_max_) {
            line_number_ = number;
            fail(number, FANWIRE_MESSAGE_TOO_LARGE,
                 "the message has " + std::to_string(line.size) + " bytes, max_message_bytes is " +
                     std::to_string(line_size_max_));
            lines_.pop();
            continue;
        }
        void* const user_data = reinterpret_cast<void*>(static_cast<uintptr_t>(number));
        const int status = fanwire_publish_async(session_.engine(), channel_.data(), channel_.size(), line.text.data(),
                                                 line.text.size(), session_.inbox(), user_data);
        // With others under way there will be room again; with none there never will.
        if (status == FANWIRE_QUEUE_FULL && outstanding_ != 0) return;
        if (status == FANWIRE_INVALID_CHANNEL) check(status);  // would fail for every line alike
        line_number_ = number;
        if (status == FANWIRE_OK) {
            ++outstanding_;
        } else {
            fail(number, status, fanwire_last_error());
        }
        lines_.pop();
    }
}

void LinePublisher::fail(unsigned long long line, int status, const std::string& text) {
    ++failed_;
    if (failed_ > kFailuresShown) return;
    say("line " + std::to_string(line) + ": " + failure_of(status, text.c_str()).what());
    if (failed_ == kFailuresShown) say("further failures are only counted");
}

std::string LinePublisher::summary() const {
    std::string text = std::to_string(published_) + " published, " + std::to_string(failed_) + " failed, " +
                       std::to_string(receivers_) + " receivers";
    if (outstanding_ != 0) text += ", " + std::to_string(outstanding_) + " without an outcome";
    return text;
}

}  // namespace fanwire::cli
