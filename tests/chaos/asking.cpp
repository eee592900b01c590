#include "tests/chaos/asking.h"

#include <cstdio>
#include <cstring>

namespace fanwire::chaos {

namespace {

// No pattern of a subscriber matches it.
constexpr std::string_view channel = "asked";
constexpr std::size_t open_max = 200;
constexpr std::chrono::seconds patience{60};

bool may_end_as(int status) {
    switch (status) {
        case FANWIRE_OK:
        case FANWIRE_TIMEOUT:
        case FANWIRE_UNSUBSCRIBED:
        case FANWIRE_NOT_CONNECTED:
        case FANWIRE_CONNECTION_LOST:
        case FANWIRE_NO_PERMISSION:
        case FANWIRE_AUTH_FAILED:
        case FANWIRE_REDIS_ERROR:
        case FANWIRE_QUEUE_FULL:
        case FANWIRE_CLOSED:
            return true;
        default:
            return false;
    }
}

}  // namespace

// ---- Who answers -----------------------------------------------------------------------------------------

Answerer::Answerer(std::size_t index, const std::string& url, const Settings& settings)
    : index_(index), engine_(open_engine(url, settings)), inbox_(make_inbox({})) {
    check(fanwire_inbox_dispatch(inbox_.get(), see, this), "dispatch");
    fanwire_subscription* subscription = nullptr;
    check(fanwire_subscribe(&subscription, engine_.get(), channel.data(), channel.size(), inbox_.get(), nullptr),
          "subscribe");
    subscription_.reset(subscription);
}

Answerer::~Answerer() {
    inbox_.reset();
    fanwire_message_release(put_off_);
}

// "answerer request reply": each of them once. What is refused, there being no connection perhaps, is missing there.
void Answerer::answer(const fanwire_message* request) {
    const char* bytes = nullptr;
    std::size_t size = 0;
    fanwire_message_payload(request, &bytes, &size);
    const std::string number(bytes, size);
    for (int i = 0; i <= static_cast<int>(number.back() % 2); ++i) {
        const std::string payload = std::to_string(index_) + " " + number + " " + std::to_string(i + 1);
        fanwire_reply(engine_.get(), request, payload.data(), payload.size());
    }
}

void Answerer::see(void* self, const fanwire_event* event) {
    Answerer& answerer = *static_cast<Answerer*>(self);
    if (event->kind != FANWIRE_EVENT_MESSAGE || !fanwire_message_is_request(event->message)) return;
    if (answerer.put_off_) {
        answerer.answer(answerer.put_off_);
        fanwire_message_release(std::exchange(answerer.put_off_, nullptr));
    }
    if (event->payload[event->payload_size - 1] != '7') return answerer.answer(event->message);
    fanwire_message_retain(answerer.put_off_ = event->message);
}

// ---- Who asks --------------------------------------------------------------------------------------------

Asker::Asker(const std::string& url, const Settings& settings, std::uint64_t seed, Violations& violations)
    : violations_(violations), inbox_(make_inbox({})), engine_(open_engine(url, settings)), random_(seed) {}

Asker::~Asker() {
    stop();
}

void Asker::start() {
    stop_ = false;
    thread_ = std::thread([this] { run(); });
}

void Asker::stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void Asker::run() {
    while (!stop_) {
        if (asked_.size() < open_max) ask(random_() % 4, 50 + random_() % 800);
        if (random_() % 4 == 0 && counting_.size() < open_max) count();
        if (random_() % 16 == 0 && !asked_.empty()) {
            const auto any = asked_.lower_bound(1 + random_() % last_number_);
            if (any != asked_.end()) any->second.handle.reset();  // cancels it
        }
        take_events();
        std::this_thread::sleep_for(std::chrono::milliseconds(1 + random_() % 10));
    }
}

std::uintptr_t Asker::ask(std::uint64_t expect, std::uint64_t timeout_ms) {
    const std::uintptr_t number = ++last_number_;
    const std::string payload = std::to_string(number);
    fanwire_request_args args{};
    args.channel = channel.data();
    args.channel_size = channel.size();
    args.payload = payload.data();
    args.payload_size = payload.size();
    args.expect = expect;
    args.timeout_ms = timeout_ms;
    args.inbox = inbox_.get();
    args.user_data = reinterpret_cast<void*>(number);
    fanwire_request* request = nullptr;
    const int status = fanwire_request_open(&request, engine_.get(), &args, sizeof args);
    if (status == FANWIRE_OK) {
        asked_.emplace(number, Asked{RequestHandle(request), expect});
        return number;
    }
    expect_too_many(status);
    return 0;
}

std::uintptr_t Asker::count() {
    const std::uintptr_t number = ++last_number_;
    const char* const name = channel.data();
    const std::size_t size = channel.size();
    const int status =
        fanwire_numsub_async(engine_.get(), &name, &size, 1, inbox_.get(), reinterpret_cast<void*>(number));
    if (status == FANWIRE_OK) return *counting_.insert(number).first;
    expect_too_many(status);
    return 0;
}

void Asker::expect_too_many(int status) {
    if (status != FANWIRE_LIMIT_REACHED && status != FANWIRE_QUEUE_FULL)
        violations_.add(Violation::outcomes, std::string("asking is refused: ") + fanwire_last_error());
}

void Asker::take_events() {
    fanwire_event events[64];
    std::size_t count = 0;
    do {
        check(fanwire_inbox_drain(inbox_.get(), events, sizeof events[0], 64, &count), "drain");
        for (std::size_t i = 0; i < count; ++i) {
            const auto number = reinterpret_cast<std::uintptr_t>(events[i].user_data);
            const auto asked = asked_.find(number);
            if (events[i].kind != FANWIRE_EVENT_REPLY)
                take_end(number, events[i]);
            else if (asked == asked_.end())
                violations_.add(Violation::wrong_event,
                                "a reply to request " + std::to_string(number) + ", which has ended");
            else
                take_reply(asked->second, number, {events[i].payload, events[i].payload_size});
        }
        fanwire_events_release(events, sizeof events[0], count);
    } while (count > 0);
}

void Asker::take_reply(Asked& asked, std::uintptr_t number, std::string_view payload) {
    ++asked.replies;
    ++replies_;
    std::size_t answerer = 0;
    unsigned long long answered = 0;
    int which = 0;
    if (std::sscanf(std::string(payload).c_str(), "%zu %llu %d", &answerer, &answered, &which) != 3 ||
        answered != number)
        return violations_.add(Violation::wrong_event,
                               "request " + std::to_string(number) + " has the reply " + std::string(payload));
    // Not always in order: Redis may read an answerer's old connection after its new one.
    if (!asked.seen.emplace(payload).second) violations_.add(Violation::duplicate, "the reply " + std::string(payload));
}

void Asker::take_end(std::uintptr_t number, const fanwire_event& event) {
    const std::string what = std::to_string(number) + ", which ends as " + fanwire_status_name(event.status);
    last_ended_ = number;
    last_end_ = {event.status, event.count};
    if (!may_end_as(event.status)) violations_.add(Violation::outcomes, "number " + what);
    if (event.kind == FANWIRE_EVENT_NUMSUB) {
        ++counts_[static_cast<std::size_t>(event.status) % counts_.size()];
        if (counting_.erase(number) == 0) violations_.add(Violation::outcomes, "a second answer to NUMSUB " + what);
        if (event.payload_size != (event.status == FANWIRE_OK ? sizeof(std::uint64_t) : 0))
            violations_.add(Violation::wrong_event, "a broken answer to NUMSUB " + what);
        else if (event.payload_size > 0)
            std::memcpy(&last_end_.count, event.payload, sizeof last_end_.count);
        return;
    }
    ++ends_[static_cast<std::size_t>(event.status) % ends_.size()];
    const auto found = asked_.find(number);
    if (event.kind != FANWIRE_EVENT_REQUEST_DONE || found == asked_.end())
        return violations_.add(Violation::outcomes, "a second end of request " + what);
    const Asked& asked = found->second;
    const std::uint64_t missing = asked.expect > asked.replies ? asked.expect - asked.replies : 0;
    if (event.count != asked.replies || (asked.expect > 0 && event.missing != missing) ||
        (event.status == FANWIRE_OK && event.missing != 0))
        violations_.add(Violation::wrong_count, "request " + what + ": of " + std::to_string(asked.expect) +
                                                    " replies " + std::to_string(asked.replies) + " came; it says " +
                                                    std::to_string(event.count) + ", and " +
                                                    std::to_string(event.missing) + " missing");
    asked_.erase(found);
}

bool Asker::wait_for_end(std::uintptr_t number) {
    const Clock::time_point deadline = Clock::now() + patience;
    while (number != 0 && Clock::now() < deadline) {
        fanwire_inbox_wait(inbox_.get(), 100);
        take_events();
        if (!asked_.contains(number) && !counting_.contains(number)) return last_ended_ == number;
    }
    return false;
}

void Asker::expect_answers(std::size_t answerers) {
    const Clock::time_point deadline = Clock::now() + patience;
    while (!asked_.empty() || !counting_.empty()) {  // what is left of the faults, in its own time
        fanwire_inbox_wait(inbox_.get(), 100);
        take_events();
        if (Clock::now() < deadline) continue;
        return violations_.add(Violation::not_recovered, "requests or NUMSUBs that do not end");
    }
    bool heard = false, counted = false;
    while (!(heard && counted) && Clock::now() < deadline) {
        const std::uintptr_t request = ask(0, 2000);
        heard = wait_for_end(request) && last_end_.status == FANWIRE_OK && last_end_.count >= answerers;
        const std::uintptr_t question = count();
        counted = wait_for_end(question) && last_end_.status == FANWIRE_OK && last_end_.count == answerers;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!heard) violations_.add(Violation::not_recovered, "a request is not answered by all");
    if (!counted) violations_.add(Violation::not_recovered, "NUMSUB does not count all, or too many");
}

void Asker::close() {
    ask(3, FANWIRE_FOREVER);
    if (fanwire_engine_close(engine_.get(), 10000) != FANWIRE_OK)
        violations_.add(Violation::outcomes, std::string("close: ") + fanwire_last_error());
    take_events();
    if (!asked_.empty() || !counting_.empty())
        violations_.add(Violation::outcomes, "requests or NUMSUBs without an end");
}

}  // namespace fanwire::chaos
