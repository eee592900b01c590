#include "core/protocol/querying.h"

#include <algorithm>
#include <utility>

#include "core/protocol/command.h"
#include "core/protocol/link.h"

namespace fanwire::core {

namespace {

constexpr std::size_t words_max = 64 * 1024;  // more is made as the connection takes it

}  // namespace

Error Querying::ask(std::string name, std::string command, TimeMs deadline, Answer answer) {
    if (exhausted_) return exhausted_;
    if (open_.size() >= limits_.count || bytes_ + command.size() > limits_.bytes)
        return Error::of(Status::QUEUE_FULL, {"too many queries wait for answers: ", name, " was not asked"});
    const std::size_t size = command.size();
    open_.push_back({std::move(name), std::move(command), deadline, std::move(answer)});
    bytes_ += size;
    return {};
}

std::string_view Querying::output(TimeMs now) {
    std::string& words = link().words();
    for (; sent_ < open_.size() && words.size() < words_max; ++sent_) words += open_[sent_].command;
    if (sent_ > 0) link().expecting(now);
    return link().words_left();
}

void Querying::wrote(std::size_t size, TimeMs) {
    link().wrote_words(size);
}

void Querying::on_reply(const Reply& reply, TimeMs now) {
    const bool pong = reply.is(ReplyType::error) || reply.text() == "PONG";
    if (sent_ == 0 || (open_.front().ping && !pong))
        return link().protocol_error("the server sent a reply that answers nothing we asked", now);
    const Query query = std::move(open_.front());
    open_.pop_front();
    --sent_;
    bytes_ -= query.command.size();
    if (sent_ > 0)
        link().expecting(now);
    else  // the replies before this one, in the same read, left it expecting
        link().expecting_nothing(now);
    if (!reply.is(ReplyType::error)) link().worked();
    if (query.answer) query.answer(&reply, {});
}

void Querying::send_ping(TimeMs) {
    if (sent_ < open_.size()) return;  // what is asked anyway is as good
    std::string command;
    append_command(command, {"PING"});
    const std::size_t size = command.size();
    open_.push_back({"PING", std::move(command), never, nullptr, true});
    bytes_ += size;
}

// What was asked has changed nothing, so it is asked again on the next connection.
void Querying::on_down(const Error& why, TimeMs) {
    sent_ = 0;
    down_ = why;
    std::erase_if(open_, [this](const Query& query) {
        if (query.answer) return false;
        bytes_ -= query.command.size();
        return true;
    });
}

void Querying::on_exhausted(const Error& why) {
    exhausted_ = Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text});
    fail_all(exhausted_);
}

void Querying::fail_all(const Error& why) {
    sent_ = bytes_ = 0;
    for (const Query& query : std::exchange(open_, {}))
        if (query.answer) query.answer(nullptr, why);
}

void Querying::tick(TimeMs now) {
    while (true) {
        const auto late = std::find_if(open_.begin(), open_.end(),
                                       [now](const Query& query) { return query.answer && query.deadline <= now; });
        if (late == open_.end()) return;
        const Answer answer = std::exchange(late->answer, nullptr);
        const bool asked = static_cast<std::size_t>(late - open_.begin()) < sent_;
        const Error error =
            asked ? Error::of(Status::TIMEOUT, {late->name, " was not answered in time"})
                  : Error::of(Status::TIMEOUT, {late->name, " could not be asked in time, there is no connection",
                                                down_ ? ": " : "", down_.text});
        if (!asked) {  // the answer to one that was asked is still to come
            bytes_ -= late->command.size();
            open_.erase(late);
        }
        answer(nullptr, error);
    }
}

TimeMs Querying::deadline() const {
    TimeMs first = never;
    for (const Query& query : open_)
        if (query.answer) first = std::min(first, query.deadline);
    return first;
}

}  // namespace fanwire::core
