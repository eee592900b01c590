#include "core/engine/inquiries.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/io_thread.h"

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

Inquiries::Inquiries(const Settings& settings, const Namespace& names, Fanout& fanout, Outbox& outbox,
                     const std::unique_ptr<Backend>& backend, std::function<void()> wake)
    : settings_(settings),
      names_(names),
      fanout_(fanout),
      outbox_(outbox),
      backend_(backend),
      wake_(std::move(wake)),
      questions_(static_cast<std::size_t>(settings.max_requests),
                 static_cast<std::size_t>(settings.publish_buffer_bytes)),
      requests_(reply_id_, names.channel_prefix_size(), static_cast<std::size_t>(settings.max_requests),
                static_cast<std::size_t>(settings.publish_buffer_bytes), for_requests()) {}

void Inquiries::shut() noexcept {
    questions_.shut();
    requests_.shut();
}

void Inquiries::turn() {
    if (questions_.any()) take_questions();
    if (requests_.any()) requests_.turn(now_ms());
}

// ---- NUMSUB --------------------------------------------------------------------------------------------------------

void Inquiries::ask(std::span<const std::string_view> channels, TimeMs deadline, NumsubDone done) {
    if (channels.size() > Numsub::channels_max)
        throw Failure(Status::LIMIT_REACHED, std::to_string(channels.size()) + " channels: NUMSUB takes at most " +
                                                 std::to_string(Numsub::channels_max) + " at once");
    std::vector<std::string> wire;
    wire.reserve(channels.size());
    for (const std::string_view channel : channels) wire.push_back(names_.channel(channel));
    outbox_.check_offline();
    auto question = std::make_unique<Numsub>(std::move(wire));
    question->deadline = deadline;
    question->done = [answer = question->answer, done = std::move(done)](const Error& why) { done(why, answer); };
    questions_.ask(std::move(question));
    wake_();
}

void Inquiries::numsub(std::span<const std::string_view> channels, NumsubDone done) {
    ask(channels, now_ms() + settings_.publish_timeout_ms, std::move(done));
}

void Inquiries::numsub(std::span<const std::string_view> channels, std::shared_ptr<Inbox> inbox, void* user_data) {
    numsub(channels, [this, inbox = std::move(inbox), user_data, count = channels.size()](const Error& why,
                                                                                          const MessageRef& answer) {
        Event event = Event::of(EventKind::numsub, why);
        event.user_data = user_data;
        event.count = count;
        if (!why) event.message = answer;
        fanout_.queue_event(inbox, std::move(event));
    });
}

void Inquiries::numsub_wait(std::span<const std::string_view> channels, std::uint64_t* counts, Deadline deadline) {
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
        throw Failure(Status::TIMEOUT, outbox_.publishable()
                                           ? "PUBSUB NUMSUB was not answered in time"
                                           : "PUBSUB NUMSUB could not be asked in time, there is no connection");
    }
    if (*waiting->outcome) throw Failure(*waiting->outcome);
    if (!channels.empty()) std::memcpy(counts, waiting->answer->payload().data(), waiting->answer->payload().size());
}

void Inquiries::take_questions() {
    while (std::unique_ptr<Numsub> question = questions_.take()) {
        try {
            backend_->ask(question);
        } catch (...) {
            questions_.put_back(std::move(question));
            throw;
        }
    }
}

// ---- requests ------------------------------------------------------------------------------------------------------

Requests::Engine Inquiries::for_requests() {
    Requests::Engine engine;
    engine.listen = [this] {
        backend_->listen(Topic::make(TargetKind::channel, names_.channel_prefix() + frame::reply_channel(reply_id_),
                                     names_.channel_prefix_size()));
    };
    engine.need = [this] { backend_->needed(); };
    engine.publish = [this](const std::string& channel, const std::string& framed,
                            const std::shared_ptr<OutcomeSink>& sink, TimeMs deadline) {
        constexpr TimeMs longest = UINT32_MAX;
        const TimeMs left = deadline == never ? longest : std::clamp<TimeMs>(deadline - now_ms(), 1, longest);
        outbox_.publish_framed(names_.channel_prefix(), channel, framed, sink, nullptr,
                               static_cast<std::uint32_t>(left));
    };
    engine.report = [this](const std::shared_ptr<Inbox>& inbox, Event event) {
        fanout_.queue_event(inbox, std::move(event));
    };
    engine.report_reply = [this](const std::shared_ptr<Inbox>& inbox, Event event) {
        return fanout_.queue_reply(inbox, std::move(event));
    };
    return engine;
}

std::shared_ptr<Request> Inquiries::request(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                            std::uint64_t timeout, std::shared_ptr<Inbox> inbox, void* user_data) {
    names_.check_channel(channel);
    outbox_.check_size(payload);
    outbox_.check_offline();
    if (timeout == 0) timeout = static_cast<std::uint64_t>(settings_.publish_timeout_ms);
    const TimeMs now = now_ms();
    const TimeMs deadline =
        timeout < static_cast<std::uint64_t>(never - now) ? now + static_cast<TimeMs>(timeout) : never;
    std::shared_ptr<Request> request = requests_.open(channel, payload, expect, deadline, std::move(inbox), user_data);
    wake_();
    return request;
}

bool Inquiries::cancel(const std::shared_ptr<Request>& request) noexcept {
    if (!requests_.cancel(request)) return false;
    wake_();
    return true;
}

void Inquiries::reply(const Message& request, std::string_view payload) {
    if (!request.is_request())
        throw Failure(Status::INVALID_ARGUMENT, "the message is no request: it cannot be answered");
    outbox_.check_size(payload);
    const frame::Address address = frame::address_of(request.head(frame::request_size));
    // The namespace of whoever asked, which is ours or stands in the channel.
    const std::string wire = names_.channel_prefix() + std::string(request.channel());
    outbox_.publish_framed(std::string_view(wire).substr(0, address.prefix_size), frame::reply_channel(address.id),
                           frame::reply(address.number, payload), nullptr, nullptr);
}

}  // namespace fanwire::core
