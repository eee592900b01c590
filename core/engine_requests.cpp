// What callers ask of others by way of the engine: how many subscribers channels have.
#include <condition_variable>
#include <cstring>
#include <optional>

#include "core/engine.h"

namespace fanwire::core {

namespace {

// Where numsub_wait() waits.
struct WaitingNumsub {
    std::mutex mutex;
    std::condition_variable answered;
    std::optional<Error> outcome;
    MessageRef answer;
};

}  // namespace

void Engine::ask(std::span<const std::string_view> channels, TimeMs deadline, NumsubDone done) {
    if (channels.size() > Numsub::channels_max)
        throw Failure(Status::LIMIT_REACHED, std::to_string(channels.size()) + " channels: NUMSUB takes at most " +
                                                 std::to_string(Numsub::channels_max) + " at once");
    std::vector<std::string> wire;
    wire.reserve(channels.size());
    for (const std::string_view channel : channels) wire.push_back(names_.channel(channel));
    if (settings_.offline == Offline::fail) {
        std::lock_guard lock(publish_mutex_);
        if (!publishable_ && !publish_closed_)
            throw Failure(Status::NOT_CONNECTED, "there is no connection to Redis, and offline=fail");
    }
    auto question = std::make_unique<Numsub>(std::move(wire));
    question->deadline = deadline;
    question->done = [answer = question->answer, done = std::move(done)](const Error& why) { done(why, answer); };
    questions_.ask(std::move(question));
    wake();
}

void Engine::numsub(std::span<const std::string_view> channels, NumsubDone done) {
    ask(channels, now_ms() + settings_.publish_timeout_ms, std::move(done));
}

void Engine::numsub(std::span<const std::string_view> channels, std::shared_ptr<Inbox> inbox, void* user_data) {
    numsub(channels, [this, inbox = std::move(inbox), user_data, count = channels.size()](const Error& why,
                                                                                        const MessageRef& answer) {
        Event event = Event::of(EventKind::numsub, why);
        event.user_data = user_data;
        event.count = count;
        if (!why) event.message = answer;
        fanout_.tell(inbox, std::move(event));
    });
}

void Engine::numsub_wait(std::span<const std::string_view> channels, std::uint64_t* counts, Deadline deadline) {
    refuse_io_thread("numsub");
    const auto waiting = std::make_shared<WaitingNumsub>();
    const TimeMs until = deadline == Deadline::max()
                             ? never
                             : std::chrono::ceil<std::chrono::milliseconds>(deadline.time_since_epoch()).count();
    ask(channels, until, [waiting](const Error& why, const MessageRef& answer) {
        {
            std::lock_guard lock(waiting->mutex);
            waiting->outcome = why;
            waiting->answer = answer;
        }
        waiting->answered.notify_all();
    });
    std::unique_lock lock(waiting->mutex);
    if (!waiting->answered.wait_until(lock, deadline, [&] { return waiting->outcome.has_value(); })) {
        std::lock_guard publishing(publish_mutex_);
        throw Failure(Status::TIMEOUT, publishable_ ? "PUBSUB NUMSUB was not answered in time"
                                                    : "PUBSUB NUMSUB could not be asked in time, there is no connection");
    }
    if (*waiting->outcome) throw Failure(*waiting->outcome);
    if (!channels.empty()) std::memcpy(counts, waiting->answer->payload().data(), waiting->answer->payload().size());
}

void Engine::take_questions() {
    while (std::unique_ptr<Numsub> question = questions_.take()) {
        try {
            backend_->ask(question);
        } catch (...) {
            questions_.put_back(std::move(question));
            throw;
        }
    }
}

}  // namespace fanwire::core
