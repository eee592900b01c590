// What asks in the simulation: requests and questions for NUMSUB, wired as the engine wires them; and what must become
// of each.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/numsub.h"
#include "core/engine/questions.h"
#include "core/engine/requests.h"
#include "core/fanout/inbox.h"
#include "core/net/event_fd.h"
#include "tests/unit/simulation/journal.h"
#include "tests/unit/simulation/model_redis.h"

namespace fanwire::core::simulation {

class Asking {
 public:
    // Numbers of requests, beyond those of publishes.
    static constexpr std::uint64_t first_number = 2'000'000'000'000;
    static constexpr std::size_t count_max = 12, bytes_max = 6000;

    // What it needs of the simulation.
    struct Engine {
        std::function<void()> listen, need;
        std::function<void(const std::string& channel, const std::string& framed,
                           const std::shared_ptr<OutcomeSink>& sink, std::uint64_t number, std::uint32_t timeout)>
            publish;
        std::function<void(std::unique_ptr<Numsub>& question)> ask;
        std::function<std::uint32_t(std::uint32_t n)> pick;
    };

    // `steady`: memory and the inbox never lack.
    Asking(bool steady, const TimeMs& now, const ModelRedis& redis, Coverage& coverage, const Trace& trace,
           Engine engine)
        : steady_(steady),
          now_(now),
          redis_(redis),
          coverage_(coverage),
          trace_(trace),
          engine_(std::move(engine)),
          requests_(id(), 0, count_max, bytes_max, for_requests()) {}

    // One that a pattern of the schedules, "*3", matches.
    static frame::Address::Id id() { return {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x33}; }

    // ---- What may happen ----

    // `expect`: 0: as many as Redis counts; `timeout`: 0: none.
    void ask(const std::string& channel, std::uint64_t expect, TimeMs timeout, std::size_t filling) {
        const std::uint64_t number = first_number + asked_.size();
        const std::string payload = payload_of(number, filling);
        const std::size_t size = frame::request_size + payload.size();
        const bool too_many = open_ >= count_max,
                   too_much = unpublished_bytes_ > 0 && unpublished_bytes_ + size > bytes_max;
        try {
            Asked asked{channel, expect, timeout > 0 ? now_ + timeout : never, size};
            asked.handle =
                requests_.open(channel, payload, expect, asked.deadline, inbox_, reinterpret_cast<void*>(number));
            asked.request = asked.handle;
            EXPECT_FALSE(too_many || too_much) << "more requests are taken than the limits allow";
            trace_("asks", number, "on", channel, "for", expect, "until", asked.deadline);
            asked_.push_back(std::move(asked));
            ++open_;
            unpublished_bytes_ += size;
            payload_sizes[number] = {channel, payload.size()};
        } catch (const Failure& failure) {
            coverage_(failure.status() == Status::LIMIT_REACHED ? "too many requests" : "too large requests");
            EXPECT_TRUE(failure.status() == (too_many ? Status::LIMIT_REACHED : Status::QUEUE_FULL)) << failure.what();
            EXPECT_TRUE(too_many || too_much) << failure.what();
        }
        turn();
    }
    // One of those that are held; it may have ended.
    void cancel() {
        for (Asked& asked : asked_) {
            if (!asked.handle || engine_.pick(2)) continue;
            const bool open = !asked.ended && !asked.cancelled;
            trace_("cancels", number_of(asked));
            if (requests_.cancel(asked.handle)) {
                EXPECT_TRUE(open) << "what has ended is cancelled";
                asked.cancelled = true;
            } else {
                EXPECT_FALSE(open);
            }
            if (engine_.pick(2)) asked.handle = nullptr;
            break;
        }
        turn();
    }
    void count(const std::string& channel, TimeMs timeout) {
        const std::uint64_t number = counted_.size();
        counted_.push_back({channel, now_ + timeout});
        auto question = std::make_unique<Numsub>(std::vector{channel, name_of(number)});
        question->deadline = now_ + timeout;
        question->done = [this, number, counts = question->counts](const Error& why) { answered(number, why, counts); };
        const bool too_many = uncounted_ >= count_max;
        try {
            questions_.ask(std::move(question));
            EXPECT_FALSE(too_many) << "more questions are taken than the limit allows";
            trace_("asks for NUMSUB", number, "of", channel);
            ++uncounted_;
        } catch (const Failure& failure) {
            EXPECT_TRUE(too_many && failure.status() == Status::LIMIT_REACHED) << failure.what();
            counted_.pop_back();
        }
        while (std::unique_ptr<Numsub> taken = questions_.take()) {
            in_hand_ = 1;
            engine_.ask(taken);
            in_hand_ = 0;
        }
    }

    // ---- What the backend says ----

    void confirmed() {
        trace_("the reply channel", "is confirmed");
        refused_ = {};
        requests_.confirmed();
        check_complete();
    }
    void refused(const Error& why) {
        coverage_("the reply channel is refused");
        refused_ = why;
        requests_.refused(why);
        check_complete();
    }
    void lost() { requests_.lost(); }
    void give_up(const Error& why, bool revives) {
        gave_up_ = why;
        numsubs_given_up_ = true;
        owes_giving_up_ = false;
        EXPECT_EQ(uncounted_, in_hand_) << "a question waits for nothing";
        requests_.gave_up(why);
        if (revives) requests_.revived();
        gave_up_ = {};
        check_complete();
        for (const Asked& asked : asked_)
            EXPECT_TRUE(asked.ended || asked.published) << number_of(asked) << " waits for nothing";
        gave_up_for_good_ = revives ? Error() : why;
    }
    void revive() {
        gave_up_for_good_ = {};
        numsubs_given_up_ = false;
        requests_.revived();
    }
    // The outcome of a request's publish.
    void settled(const SettledRun& run) {
        ASSERT_EQ(run.publishes.size(), 1u);
        Asked& asked = find(reinterpret_cast<std::uintptr_t>(run.publishes[0].user_data));
        EXPECT_TRUE(asked.published);
        asked.outcomes.push_back(run.error.status);
        if (!run.error && !asked.ended) asked.receivers = run.publishes[0].receivers;
        EXPECT_FALSE((*run.sink)->settle(run.publishes, run.error));
        check_complete();
    }
    // What came on the reply channel: for one that is open and published, and then it is told at once.
    void receive(std::string_view payload) {
        const std::optional<frame::Head> head = frame::head_of(payload);
        const auto [number, order] =
            reply_of(head && head->kind == frame::Kind::reply ? payload.substr(head->size) : "");
        Asked* const asked = number == 0 ? nullptr : &find(number);
        const bool wanted = asked && asked->published && !asked->ended;
        if (asked && !wanted) coverage_("a reply is late");
        if (!asked) coverage_("what is no reply comes on the reply channel");
        if (wanted) ++asked->came;
        offered_ = 0;
        requests_.reply(payload);
        EXPECT_EQ(offered_, wanted ? order : 0u) << "the reply of order " << order;
        check_complete();
    }
    void turn() {
        EXPECT_FALSE(owes_giving_up_) << "a question fails because the engine gave up, which it has not";
        while (requests_.any()) {
            try {
                requests_.turn(now_);
            } catch (const std::bad_alloc&) {
                coverage_("no memory for a request");
            }
        }
        check_complete();
    }
    void tick() {
        if (requests_.deadline() <= now_) requests_.tick(now_);
        check_complete();
        for (const Asked& asked : asked_)
            EXPECT_TRUE(asked.ended || asked.deadline > now_) << number_of(asked) << " is late";
        for (const Counted& counted : counted_)
            EXPECT_TRUE(counted.answers > 0 || counted.deadline > now_) << "NUMSUB is late";
    }
    void close() {
        closing_ = true;
        questions_.shut();
        requests_.shut();
        requests_.end_all({Status::CLOSED, "closed"});
        questions_.end({Status::CLOSED, "closed"});
    }

    // ---- The end ----

    // Nothing ends by itself any more.
    void calm() { steady_ = true; }
    bool at_rest() const {
        return uncounted_ == 0 && std::all_of(asked_.begin(), asked_.end(), [](const Asked& asked) {
                   return asked.ended || asked.deadline == never;
               });
    }
    void cancel_all() {
        for (Asked& asked : asked_) {
            if (asked.ended || asked.cancelled) continue;
            EXPECT_TRUE(asked.handle && requests_.cancel(asked.handle));
            asked.cancelled = true;
        }
        turn();
    }
    // Two replies were to come.
    bool last_is_answered() const { return asked_.back().ended && asked_.back().kept == 2; }
    void check() {
        EXPECT_EQ(open_, 0u);
        EXPECT_EQ(requests_.size(), 0u);
        EXPECT_EQ(unpublished_bytes_, 0u);
        EXPECT_EQ(uncounted_, 0u);
        EXPECT_FALSE(owes_giving_up_) << "a question fails because the engine gave up, which it has not";
        std::size_t last = 0;
        for (Asked& asked : asked_) {
            const std::uint64_t number = number_of(asked);
            EXPECT_TRUE(asked.ended) << "request " << number << " has no end";
            asked.handle = nullptr;
            EXPECT_TRUE(asked.request.expired()) << "request " << number << " is kept";
            EXPECT_EQ(asked.outcomes.size(), asked.published ? 1u : 0u) << "request " << number;
            const auto place = redis_.place.find(number);
            const bool executed = place != redis_.place.end();
            if (!asked.published) {
                EXPECT_FALSE(executed) << "request " << number << " was not published";
            } else if (asked.outcomes.front() == Status::OK) {
                ASSERT_TRUE(executed) << "request " << number;
                EXPECT_GE(place->second, last) << "request " << number << " was executed out of order";
                last = place->second;
                coverage_("a request is published");
            } else if (asked.outcomes.front() == Status::OUTCOME_UNKNOWN) {
                if (executed && asked.kept > 0) coverage_("a request of unknown outcome is answered");
            } else {
                EXPECT_FALSE(executed) << "request " << number << " failed and was executed";
            }
        }
    }
    // Of each request: its channel, and the size of what is in the frame.
    std::map<std::uint64_t, std::pair<std::string, std::size_t>> payload_sizes;

 private:
    struct Asked {
        std::string channel;
        std::uint64_t expect;
        TimeMs deadline;
        std::size_t size;
        std::shared_ptr<Request> handle{};
        std::weak_ptr<Request> request{};
        bool published = false, cancelled = false, ended = false;
        std::uint64_t came = 0, kept = 0;
        std::vector<Status> outcomes{};
        std::uint64_t receivers = count_unknown;
        Status thrown = Status::OK;

        std::uint64_t wanted() const { return expect > 0 ? expect : receivers; }
    };
    struct Counted {
        std::string channel;
        TimeMs deadline;
        int answers = 0;
    };

    Requests::Engine for_requests() {
        return {[this] {
                    if (rarely(3)) throw std::bad_alloc();
                    engine_.listen();
                },
                engine_.need,
                [this](const std::string& channel, const std::string& framed, const std::shared_ptr<OutcomeSink>& sink,
                       TimeMs deadline) {
                    const std::uint64_t number =
                        simulation::number_of(std::string_view(framed).substr(frame::request_size));
                    Asked& asked = find(number);
                    EXPECT_FALSE(asked.ended || asked.published || asked.cancelled) << number << " is published";
                    EXPECT_EQ(channel, asked.channel);
                    EXPECT_EQ(deadline, asked.deadline);
                    if (rarely(20)) {
                        asked.thrown = engine_.pick(2) ? Status::QUEUE_FULL : Status::NO_MEMORY;
                        if (asked.thrown == Status::NO_MEMORY) throw std::bad_alloc();
                        throw Failure(Status::QUEUE_FULL, "full");
                    }
                    trace_("publishes the request", number);
                    asked.published = true;
                    unpublished_bytes_ -= asked.size;
                    const TimeMs left = std::min<TimeMs>(deadline - now_, UINT32_MAX);
                    EXPECT_GT(left, 0) << number << " is published after its time";
                    engine_.publish(channel, framed, sink, number, static_cast<std::uint32_t>(left));
                },
                [this](const std::shared_ptr<Inbox>&, const Event& event) { ended(event); },
                [this](const std::shared_ptr<Inbox>&, const Event& event) { return reply(event); }};
    }
    bool reply(const Event& event) {
        const auto number = reinterpret_cast<std::uintptr_t>(event.user_data);
        Asked& asked = find(number);
        EXPECT_TRUE(event.kind == EventKind::reply && !asked.ended) << number << ": a reply after the end";
        const auto [answers, order] = reply_of(event.message->payload());
        EXPECT_EQ(answers, number) << "a reply to another request";
        EXPECT_GT(order, last_order_) << number << ": a reply out of order, or twice";
        last_order_ = offered_ = order;
        if (rarely(10)) return false;
        trace_("sees a reply to", number);
        coverage_("a reply");
        ++asked.kept;
        return true;
    }
    void ended(const Event& event) {
        const auto number = reinterpret_cast<std::uintptr_t>(event.user_data);
        Asked& asked = find(number);
        const char* const status = find_status(static_cast<int>(event.status))->name;
        const std::string text(event.message ? event.message->payload() : "");
        trace_("sees the end of", number, status, text);
        coverage_(std::string("a request ends: ") + status);
        ASSERT_TRUE(event.kind == EventKind::request_done);
        ASSERT_FALSE(asked.ended) << number << " ends twice";
        asked.ended = true;
        --open_;
        if (!asked.published) unpublished_bytes_ -= asked.size;
        const std::uint64_t wanted = asked.wanted();
        EXPECT_EQ(event.count, asked.kept) << number;
        EXPECT_EQ(event.delay_ms, wanted == count_unknown ? wanted : wanted - std::min(wanted, asked.kept))
            << number << " " << status;
        const bool complete = wanted != count_unknown && asked.came >= wanted;
        const Status outcome = asked.outcomes.empty() ? Status::OK : asked.outcomes.back();
        switch (event.status) {
            case Status::OK:
                EXPECT_TRUE(complete && asked.kept >= wanted) << number;
                break;
            case Status::LIMIT_REACHED:
                EXPECT_TRUE(complete && asked.kept < wanted) << number;
                break;
            case Status::UNSUBSCRIBED:
                EXPECT_TRUE(asked.cancelled) << number;
                break;
            case Status::CLOSED:
                EXPECT_TRUE(closing_) << number;
                break;
            case Status::TIMEOUT:
                EXPECT_TRUE(now_ >= asked.deadline || (asked.expect > 0 && asked.receivers == 0 && asked.came == 0))
                    << number << text;
                if (outcome == Status::OUTCOME_UNKNOWN) {
                    EXPECT_NE(text.find("the request itself"), std::string::npos) << number << ": " << text;
                }
                break;
            default:
                EXPECT_TRUE(event.status == asked.thrown || event.status == outcome ||
                            (refused_ && event.status == refused_.status) ||
                            (event.status == Status::NOT_CONNECTED && (gave_up_ || gave_up_for_good_)))
                    << number << " ends as " << status << ": " << text;
                break;
        }
        if (asked.handle && !steady_ && engine_.pick(2)) asked.handle = nullptr;
    }
    // None is open that has all its replies.
    void check_complete() const {
        for (const Asked& asked : asked_) {
            if (asked.ended || asked.wanted() == count_unknown) continue;
            EXPECT_LT(asked.came, asked.wanted()) << number_of(asked) << " has all and does not end";
        }
    }
    void answered(std::uint64_t number, const Error& why, const std::uint64_t* counts) {
        Counted& counted = counted_[number];
        trace_("sees NUMSUB", number, why.text);
        coverage_(std::string("NUMSUB: ") + find_status(static_cast<int>(why.status))->name);
        EXPECT_EQ(++counted.answers, 1) << "NUMSUB " << number << " is answered twice";
        --uncounted_;
        const auto executed = redis_.counted.find(name_of(number));
        const bool known = executed != redis_.counted.end();
        switch (why.status) {
            case Status::OK:
                ASSERT_TRUE(known) << "NUMSUB " << number << " was not executed";
                EXPECT_TRUE(std::find(executed->second.begin(), executed->second.end(), counts[0]) !=
                            executed->second.end())
                    << "NUMSUB " << number << " is " << counts[0];
                EXPECT_EQ(counts[1], 0u);
                if (executed->second.size() > 1) coverage_("NUMSUB is asked again");
                break;
            case Status::TIMEOUT:
                EXPECT_GE(now_, counted.deadline);
                break;
            case Status::NOT_CONNECTED:
                // Answered before the backend says so, in the same turn.
                if (!numsubs_given_up_) owes_giving_up_ = true;
                break;
            case Status::CLOSED:
                EXPECT_TRUE(closing_);
                break;
            case Status::NO_PERMISSION:
            case Status::AUTH_FAILED:
            case Status::REDIS_ERROR:
                EXPECT_NE(why.text.find("NUMSUB"), std::string::npos) << why.text;
                break;
            default:
                ADD_FAILURE() << "NUMSUB ends otherwise: " << why.text;
                break;
        }
    }

    Asked& find(std::uint64_t number) { return asked_.at(number - first_number); }
    std::uint64_t number_of(const Asked& asked) const {
        return first_number + static_cast<std::uint64_t>(&asked - asked_.data());
    }
    static std::string name_of(std::uint64_t question) { return "question " + std::to_string(question); }
    bool rarely(std::uint32_t n) { return !steady_ && engine_.pick(n) == 0; }

    bool steady_;
    const TimeMs& now_;
    const ModelRedis& redis_;
    Coverage& coverage_;
    const Trace& trace_;
    const Engine engine_;
    const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>(InboxLimits{}, make_event_fd);

    std::vector<Asked> asked_;
    std::vector<Counted> counted_;
    std::size_t open_ = 0, unpublished_bytes_ = 0, uncounted_ = 0;
    std::uint64_t last_order_ = 0, offered_ = 0;  // of replies
    Error refused_, gave_up_, gave_up_for_good_;
    std::size_t in_hand_ = 0;  // questions that the backend has not taken yet: they may make it try again, in vain
    bool numsubs_given_up_ = false, owes_giving_up_ = false;
    bool closing_ = false;

    Questions questions_{count_max, std::size_t{1} << 20};
    Requests requests_;
};

}  // namespace fanwire::core::simulation
