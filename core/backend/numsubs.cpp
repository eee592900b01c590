#include "core/backend/numsubs.h"

#include <algorithm>
#include <utility>

#include "core/protocol/command.h"
#include "core/protocol/error_reply.h"

namespace fanwire::core {

void Numsubs::send(const Numsub& question) {
    std::string command;
    append_count(command, '*', 2 + question.channels.size());
    append_bulk(command, "PUBSUB");
    append_bulk(command, "NUMSUB");
    for (const std::string& channel : question.channels) append_bulk(command, channel);
    send_(command);
}

void Numsubs::add(std::unique_ptr<Numsub>& question) {
    if (given_up_) return std::exchange(question, nullptr)->done(given_up_);
    open_.emplace_back();
    if (ready_) {
        try {
            send(*question);
        } catch (...) {
            open_.pop_back();
            throw;
        }
        ++sent_;
    }
    deadline_ = std::min(deadline_, question->deadline);
    open_.back() = std::move(question);
}

void Numsubs::link_ready() {
    ready_ = true;
    given_up_ = {};
    for (; sent_ < open_.size(); ++sent_) send(*open_[sent_]);
}

void Numsubs::link_down(const Error& why) noexcept {
    ready_ = false;
    sent_ = 0;
    link_error_ = why;
    std::erase(open_, nullptr);
}

void Numsubs::answered(const Reply& reply) {
    if (sent_ == 0) return;
    --sent_;
    const std::unique_ptr<Numsub> question = std::move(open_.front());
    open_.pop_front();
    if (!question) return;
    const std::size_t count = question->channels.size();
    if (reply.is(ReplyType::error)) return question->done(error_of_reply("PUBSUB NUMSUB", reply.text()));
    bool fits = reply.size() == 2 * count;
    for (std::size_t i = 0; fits && i < count; ++i) {
        fits = reply[2 * i].text() == question->channels[i] && reply[2 * i + 1].is(ReplyType::integer);
        question->counts[i] = static_cast<std::uint64_t>(std::max<std::int64_t>(reply[2 * i + 1].integer(), 0));
    }
    question->done(fits ? Error()
                        : Error::of(Status::PROTOCOL_ERROR, {"PUBSUB NUMSUB was answered by something else"}));
}

void Numsubs::tick(TimeMs now) {
    if (deadline() > now) return;
    const auto late = [now](const auto& question) { return question && question->deadline <= now; };
    const Error error =
        ready_ ? Error::of(Status::TIMEOUT, {"PUBSUB NUMSUB was not answered in time"})
               : Error::of(Status::TIMEOUT, {"PUBSUB NUMSUB could not be asked in time, there is no connection",
                                             link_error_ ? ": " : "", link_error_.text});
    for (std::size_t i = 0; i < open_.size(); ++i)
        if (late(open_[i])) std::exchange(open_[i], nullptr)->done(error);
    deadline_ = never;
    for (const auto& question : open_)
        if (question) deadline_ = std::min(deadline_, question->deadline);
    open_.erase(std::remove(open_.begin() + static_cast<std::ptrdiff_t>(sent_), open_.end(), nullptr), open_.end());
}

void Numsubs::give_up(const Error& why) {
    ready_ = false;  // the link may have been: the other one has given up
    given_up_ = why;
    fail_all(why);
}

void Numsubs::fail_all(const Error& why) {
    sent_ = 0;
    while (!open_.empty()) {
        const std::unique_ptr<Numsub> question = std::move(open_.front());
        open_.pop_front();
        if (question) question->done(why);
    }
}

}  // namespace fanwire::core
