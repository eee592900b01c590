#include "core/engine/requests.h"

#include <algorithm>
#include <new>

namespace fanwire::core {

bool Request::settle(std::span<const Settled> publishes, const Error& error) noexcept {
    if (!ended()) requests_.settled(*this, publishes.front().receivers, error);
    return false;
}

Requests::Requests(const frame::Address::Id& id, std::size_t prefix_size, std::size_t count_max, std::size_t bytes_max,
                   Engine engine)
    : id_(id),
      prefix_size_(static_cast<std::uint16_t>(prefix_size)),
      count_max_(count_max),
      bytes_max_(bytes_max),
      engine_(std::move(engine)) {}

Requests::~Requests() {
    while (cancelled_)
        cancelled_ = std::exchange(cancelled_->next_cancelled_, nullptr);  // one by one, not by recursion
}

// ---- any thread ----------------------------------------------------------------------------------------------------

std::shared_ptr<Request> Requests::open(std::string_view channel, std::string_view payload, std::uint64_t expect,
                                        TimeMs deadline, std::shared_ptr<Inbox> inbox, void* user_data) {
    std::lock_guard lock(mutex_);
    if (closed_) throw Failure(Status::CLOSED, "the engine is closed");
    if (count_.load() >= count_max_)
        throw Failure(Status::LIMIT_REACHED, "max_requests (" + std::to_string(count_max_) + ") are open");
    const std::size_t size = frame::request_size + payload.size();
    if (bytes_.load() > 0 && bytes_.load() + size > bytes_max_)
        throw Failure(Status::QUEUE_FULL, "requests that are not published yet fill publish_buffer_bytes (" +
                                              std::to_string(bytes_max_) + ")");
    const frame::Address address{id_, last_number_ + 1, prefix_size_};
    auto request =
        std::make_shared<Request>(*this, address.number, std::string(channel), frame::request(address, payload), expect,
                                  deadline, std::move(inbox), user_data);
    opened_.push_back(request);
    ++last_number_;
    count_.fetch_add(1);
    bytes_.fetch_add(size);
    any_.store(true, std::memory_order_release);
    return request;
}

bool Requests::cancel(const std::shared_ptr<Request>& request) noexcept {
    std::lock_guard lock(mutex_);
    if (request->ended() || request->cancelled_.exchange(true) || closed_) return false;
    request->next_cancelled_ = std::exchange(cancelled_, request);
    any_.store(true, std::memory_order_release);
    return true;
}

void Requests::shut() noexcept {
    std::lock_guard lock(mutex_);
    closed_ = true;
}

// ---- IO thread -----------------------------------------------------------------------------------------------------

void Requests::turn(TimeMs now) {
    std::shared_ptr<Request> cancelled;
    {
        std::lock_guard lock(mutex_);
        if (taken_.empty()) std::swap(taken_, opened_);
        for (; !opened_.empty(); opened_.pop_front()) taken_.push_back(std::move(opened_.front()));
        cancelled = std::move(cancelled_);
        any_.store(false, std::memory_order_relaxed);
    }
    while (cancelled) {
        std::shared_ptr<Request> next = std::exchange(cancelled->next_cancelled_, nullptr);
        if (open_.contains(cancelled->number_)) end(cancelled, Error::of(Status::UNSUBSCRIBED, {"cancelled"}));
        cancelled = std::move(next);  // one that is still to be adopted ends then
    }
    for (; !taken_.empty(); taken_.pop_front()) adopt(taken_.front(), now);
}

void Requests::adopt(const std::shared_ptr<Request>& request, TimeMs now) {
    if (!listening_) {
        engine_.listen();
        listening_ = true;
    }
    const auto entry = open_.emplace(request->number_, request).first;
    try {
        waiting_.insert(request->number_);
        if (request->deadline_ != never) deadlines_.emplace(request->deadline_, request->number_);
    } catch (...) {
        waiting_.erase(request->number_);
        open_.erase(entry);
        throw;
    }
    request->wanted_ = request->expect_;
    request->wanted_known_ = request->expect_ > 0;
    if (request->cancelled_.load())
        end(request, Error::of(Status::UNSUBSCRIBED, {"cancelled"}));
    else if (request->inbox_->retired())  // before it was taken up: end_retired() has not seen it
        end(request, Error::of(Status::UNSUBSCRIBED, {"the inbox is gone"}));
    else if (request->deadline_ <= now)
        tick(now);
    else if (gave_up_ || refused_)
        end(request, gave_up_ ? gave_up_ : refused_);
    else if (confirmed_)
        publish(request);
    else
        engine_.need();
}

void Requests::forget_payload(Request& request) noexcept {
    bytes_.fetch_sub(request.framed_.size());
    std::string().swap(request.framed_);
}

void Requests::publish(const std::shared_ptr<Request>& request) noexcept {
    waiting_.erase(request->number_);
    try {
        engine_.publish(request->channel_, request->framed_, request, request->deadline_);
        forget_payload(*request);
    } catch (const Failure& failure) {
        end(request, failure.error());
    } catch (const std::bad_alloc&) {
        end(request, Error::of(Status::NO_MEMORY, {"out of memory"}));
    }
}

void Requests::confirmed() noexcept {
    confirmed_ = true;
    refused_ = {};
    while (!waiting_.empty()) publish(find(*waiting_.begin()));
}

void Requests::refused(const Error& why) noexcept {
    confirmed_ = false;
    refused_ = Error::of(why.status, {"the channel for replies: ", why.text});
    end_waiting(refused_);
}

void Requests::lost() noexcept {
    confirmed_ = false;
    refused_ = {};
}

void Requests::gave_up(const Error& why) noexcept {
    gave_up_ = Error::of(Status::NOT_CONNECTED, {"gave up connecting: ", why.text});
    end_waiting(gave_up_);
}

void Requests::end_waiting(const Error& why) noexcept {
    while (!waiting_.empty()) end(find(*waiting_.begin()), why);
}

std::shared_ptr<Request> Requests::find(std::uint64_t number) const noexcept {
    const auto found = open_.find(number);
    return found == open_.end() ? nullptr : found->second;
}

void Requests::reply(std::string_view payload) noexcept {
    const std::optional<frame::Head> head = frame::head_of(payload);
    if (!head || head->kind != frame::Kind::reply) return;
    const std::shared_ptr<Request> request = find(frame::number_of(payload));
    if (!request || waiting_.contains(request->number_)) return;  // it has ended, or somebody guesses
    ++request->came_;
    try {
        Event event = Event::of(EventKind::reply);
        event.user_data = request->user_data_;
        event.message = Message::make({}, payload.substr(head->size));
        if (engine_.report_reply(request->inbox_, std::move(event))) ++request->kept_;
    } catch (const std::bad_alloc&) {  // it counts as one that the inbox had no room for
    }
    end_if_complete(request);
}

void Requests::settled(Request& settled, std::uint64_t receivers, const Error& error) noexcept {
    const std::shared_ptr<Request> request = find(settled.number_);
    if (!request) return;
    if (error.status == Status::OUTCOME_UNKNOWN) {  // they may have it: replies may come
        request->doubt_ = error;
        return;
    }
    if (error) return end(request, error);
    if (request->expect_ > 0 && receivers == 0 && request->came_ == 0)
        return end(request, Error::of(Status::TIMEOUT, {"nobody has received the request"}));
    if (!std::exchange(request->wanted_known_, true)) request->wanted_ = receivers;
    end_if_complete(request);
}

void Requests::end_if_complete(const std::shared_ptr<Request>& request) noexcept {
    if (!request->wanted_known_ || request->came_ < request->wanted_) return;
    if (request->kept_ >= request->wanted_) return end(request, {});
    end(request,
        Error::of(Status::LIMIT_REACHED,
                  {"the inbox had no room for ", std::to_string(request->came_ - request->kept_), " of the replies"}));
}

void Requests::end(const std::shared_ptr<Request>& ended, const Error& why) noexcept {
    const std::shared_ptr<Request> request = ended;  // may be a reference into what is erased
    if (request->ended_.exchange(true, std::memory_order_acq_rel)) return;
    if (!request->framed_.empty()) forget_payload(*request);
    waiting_.erase(request->number_);
    deadlines_.erase({request->deadline_, request->number_});
    open_.erase(request->number_);
    count_.fetch_sub(1);
    Event event = Event::of(EventKind::request_done, why);
    event.user_data = request->user_data_;
    event.count = request->kept_;
    event.delay_ms =
        !request->wanted_known_ ? count_unknown : request->wanted_ - std::min(request->wanted_, request->kept_);
    engine_.report(request->inbox_, std::move(event));
}

void Requests::tick(TimeMs now) noexcept {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
        const std::shared_ptr<Request> request = find(deadlines_.begin()->second);
        if (waiting_.contains(request->number_))
            end(request,
                Error::of(Status::TIMEOUT, {"not published in time: the channel for replies is not confirmed"}));
        else if (request->doubt_)
            end(request, Error::of(Status::TIMEOUT,
                                   {"the time for replies is over; the request itself: ", request->doubt_.text}));
        else
            end(request, Error::of(Status::TIMEOUT, {"the time for replies is over"}));
    }
}

void Requests::end_retired() noexcept {
    for (auto next = open_.begin(); next != open_.end();) {
        const std::shared_ptr<Request> request = (next++)->second;
        if (request->inbox_->retired()) end(request, Error::of(Status::UNSUBSCRIBED, {"the inbox is gone"}));
    }
}

void Requests::end_all(const Error& why) noexcept {
    while (!open_.empty()) end(open_.begin()->second, why);
    while (true) {
        std::shared_ptr<Request> request;
        {
            if (taken_.empty()) {
                std::lock_guard lock(mutex_);
                std::swap(taken_, opened_);
            }
            if (taken_.empty()) return;
            request = std::move(taken_.front());
            taken_.pop_front();
        }
        request->wanted_ = request->expect_;
        request->wanted_known_ = request->expect_ > 0;
        end(request, why);
    }
}

}  // namespace fanwire::core
