// fanwire.h by any sequence of calls: engines in memory and on servers that are not there, inboxes with tiny limits,
// handles destroyed in any order.
//
// Steps, with E I S R for the digit of an engine, inbox, subscription or request: i I COUNT: an inbox for so many
// messages (odd: drop_newest); I I: destroy it; e E KIND: open an engine, m in memory, b on a bus that those of the
// kind share, p on a closed port, g the same and giving up at once, u on a socket that is not there, n the same and
// offline=fail; its events go to inbox 0. v E: reconnect; c E: close; E E: destroy. s SEI NAME, g SEI PATTERN:
// subscribe; x S: unsubscribe; X S: destroy. p E NAME, q EI NAME: publish without and with an outcome, t EIM NAME: for
// so many milliseconds; P E NAME: wait for it, for no time. r REIXM NAME: a request for X replies within M
// milliseconds; y R: cancel; Y R: destroy; a E: answer the request that was received last. n E NAME: how many
// subscribers; N EI NAME: the same as an event. d I COUNT: drain; D I: a dispatcher; k I: a wake function; w: waits of
// no time; l: look at all there is; b: calls that must be refused.
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fanwire/fanwire.h"
#include "tests/fuzz/script.h"

using fanwire::fuzz::require;
using fanwire::fuzz::Script;

namespace {

// What a call may return; with a text when it is not OK.
int checked(int status) {
    require(std::string_view(fanwire_status_name(status)) != "UNKNOWN", "a known status");
    require(status == FANWIRE_OK || fanwire_last_error()[0] != '\0', "a failure says why", fanwire_status_name(status));
    return status;
}

void must(int status) {
    require(checked(status) == FANWIRE_OK, "must succeed", fanwire_last_error());
}

// What an event's user_data points to. They live until the end of the run.
struct Record {
    enum class Kind { engine, subscription, publish, question, request } kind;
    int inbox;                // number of the inbox, of all there were
    bool expects_end = true;  // of an inbox that lives

    // of a subscription
    bool pattern = false, in_memory = false, bus = false, given_up = false, active = false, ended = false;
    std::uint64_t last = 0, missing = 0;  // the number of the last message; how many GAPs have told of since
    bool known = false;                   // there was a message since the last GAP of unknown size

    std::shared_ptr<const bool> asked{};  // whether its engine sends requests, too, which have no number

    // of a publish, a question or a request
    int outcomes = 0;
    std::uint64_t expected = 0, replies = 0;

    bool done() const {
        return !expects_end || kind == Kind::engine || (kind == Kind::subscription ? ended : outcomes == 1);
    }
};

constexpr std::string_view question = "?", reply = "!";

class Run {
 public:
    Run() {
        must(fanwire_options_create(&inbox_options_));
        must(fanwire_options_create(&engine_options_));
    }

    void step(const Script::Step& step) {
        const auto digit = [&](std::size_t at, std::size_t count) {
            return at < step.argument.size()
                       ? static_cast<std::size_t>(static_cast<unsigned char>(step.argument[at])) % count
                       : 0;
        };
        const auto rest = [&](std::size_t at) { return step.argument.substr(std::min(at, step.argument.size())); };
        const std::size_t engine = digit(0, engines_.size()), inbox = digit(0, inboxes_.size());
        switch (step.verb) {
            case 'i':
                create_inbox(inbox, digit(1, 10));
                break;
            case 'I':
                destroy_inbox(inbox);
                break;
            case 'e':
                open(engine, rest(1).starts_with(' ') ? rest(2) : rest(1));
                break;
            case 'c':
                checked(fanwire_engine_close(engines_[engine].handle, 0));
                *engines_[engine].closed = true;
                break;
            case 'E':
                destroy_engine(engine);
                break;
            case 's':
            case 'g':
                subscribe(digit(0, subscriptions_.size()), digit(1, engines_.size()), digit(2, inboxes_.size()),
                          rest(3), step.verb == 'g');
                break;
            case 'x':
                unsubscribe(digit(0, subscriptions_.size()), false);
                break;
            case 'X':
                unsubscribe(digit(0, subscriptions_.size()), true);
                break;
            case 'v':
                checked(fanwire_engine_reconnect(engines_[engine].handle));
                break;
            case 'p':
                publish(engine, rest(1), nullptr);
                break;
            case 'q':
                publish(engine, rest(2), &inboxes_[digit(1, inboxes_.size())]);
                break;
            case 't':
                publish(engine, rest(3), digit(1, 10) % 2 ? &inboxes_[digit(1, inboxes_.size())] : nullptr,
                        digit(2, 10));
                break;
            case 'P':
                publish_and_wait(engine, rest(1));
                break;
            case 'r':
                ask(digit(0, requests_.size()), digit(1, engines_.size()), digit(2, inboxes_.size()), digit(3, 10),
                    digit(4, 10), rest(5));
                break;
            case 'y':
                checked(fanwire_request_cancel(requests_[digit(0, requests_.size())]));
                break;
            case 'Y':
                fanwire_request_destroy(&requests_[digit(0, requests_.size())]);
                require(!requests_[digit(0, requests_.size())], "destroying nulls");
                break;
            case 'a':
                answer(engine);
                break;
            case 'n':
                count(engine, rest(1), nullptr);
                break;
            case 'N':
                count(engine, rest(2), &inboxes_[digit(1, inboxes_.size())]);
                break;
            case 'd':
                drain(inbox, 1 + digit(1, 20));
                break;
            case 'D':
                dispatch(inbox);
                break;
            case 'k':
                checked(fanwire_inbox_set_wake(
                    inboxes_[inbox].handle, [](void*) {}, nullptr));
                break;
            case 'w':
                wait();
                break;
            case 'l':
                look();
                break;
            case 'b':
                be_refused();
                break;
            default:
                break;
        }
    }

    // Every engine gone, every inbox drained: whatever was promised has come.
    void finish() {
        for (std::size_t i = 0; i < engines_.size(); ++i) destroy_engine(i);
        for (std::size_t i = 0; i < inboxes_.size(); ++i)
            if (inboxes_[i].handle && !inboxes_[i].dispatching)
                while (drain(i, 20) == 20) {
                }
        std::unique_lock lock(mutex_);
        const auto all_done = [&] {
            return std::all_of(records_.begin(), records_.end(), [](const auto& record) { return record->done(); });
        };
        require(ended_.wait_for(lock, std::chrono::seconds(10), all_done), "ENDED and PUBLISHED come once for each");
        lock.unlock();
        for (std::size_t i = 0; i < subscriptions_.size(); ++i) fanwire_subscription_destroy(&subscriptions_[i].handle);
        for (fanwire_request*& request : requests_) fanwire_request_destroy(&request);
        fanwire_message_release(asked_);
        for (std::size_t i = 0; i < inboxes_.size(); ++i) destroy_inbox(i);
        fanwire_options_destroy(&inbox_options_);
        fanwire_options_destroy(&engine_options_);
    }

 private:
    struct Engine {
        fanwire_engine* handle = nullptr;
        bool in_memory = false, bus = false;
        std::shared_ptr<bool> closed = std::make_shared<bool>(false);
        // How many publishes it has accepted: at least these, and perhaps those.
        std::uint64_t published = 0, perhaps = 0;
        std::uint64_t numbered = 0;                        // with the number of each in its payload
        std::map<std::string, std::uint64_t> numbered_on;  // by channel
        std::shared_ptr<bool> asked = std::make_shared<bool>(false);
    };
    struct Inbox {
        fanwire_inbox* handle = nullptr;
        bool dispatching = false;
        int number = 0;
    };
    struct Subscription {
        fanwire_subscription* handle = nullptr;
        Record* record = nullptr;
        std::shared_ptr<bool> engine_closed;
    };

    static void set(fanwire_options* options, const char* name, const char* value) {
        must(fanwire_options_set(options, name, value));
    }

    Record* add_record(Record::Kind kind, int inbox) {
        const std::lock_guard lock(mutex_);
        return records_.emplace_back(std::make_unique<Record>(Record{kind, inbox})).get();
    }

    void create_inbox(std::size_t at, std::size_t count) {
        if (inboxes_[at].handle) return;
        set(inbox_options_, "inbox_count", std::to_string(count + 1).c_str());
        set(inbox_options_, "overflow", count % 2 ? "drop_newest" : "drop_oldest");
        must(fanwire_inbox_create(&inboxes_[at].handle, inbox_options_));
        inboxes_[at].dispatching = false;
        inboxes_[at].number = ++inboxes_created_;
    }
    void destroy_inbox(std::size_t at) {
        Inbox& inbox = inboxes_[at];
        if (!inbox.handle) return;
        fanwire_inbox_destroy(&inbox.handle);
        require(!inbox.handle, "destroying nulls");
        const std::lock_guard lock(mutex_);
        for (const auto& record : records_) record->expects_end = record->expects_end && record->inbox != inbox.number;
    }
    void open(std::size_t at, std::string_view kind) {
        Engine& engine = engines_[at];
        if (engine.handle) return;
        const char what = kind.empty() ? 'm' : kind[0];
        engine = {};
        engine.in_memory = what != 'p' && what != 'g' && what != 'u' && what != 'n';
        engine.bus = what == 'b';
        set(engine_options_, "max_subscriptions", "6");
        set(engine_options_, "offline_count", "5");
        set(engine_options_, "publish_buffer_bytes", "2000");
        set(engine_options_, "max_message_bytes", "100");
        set(engine_options_, "max_requests", "6");
        const char* const nowhere = what == 'u' || what == 'n' ? "unix:///nonexistent/fanwire" : "redis://127.0.0.1:1";
        set(engine_options_, "url", engine.bus ? "memory://fuzz" : engine.in_memory ? "memory://" : nowhere);
        set(engine_options_, "max_reconnect_attempts", what == 'g' ? "1" : "0");
        set(engine_options_, "offline", what == 'n' ? "fail" : "queue");
        if (inboxes_[0].handle)
            must(fanwire_options_set_engine_inbox(engine_options_, inboxes_[0].handle,
                                                  add_record(Record::Kind::engine, inboxes_[0].number)));
        must(fanwire_engine_open(&engine.handle, engine_options_));
        fanwire_options_destroy(&engine_options_);  // they name an inbox that may be destroyed soon
        must(fanwire_options_create(&engine_options_));
    }
    void destroy_engine(std::size_t at) {
        fanwire_engine_destroy(&engines_[at].handle);
        *engines_[at].closed = true;
        require(!engines_[at].handle, "destroying nulls");
    }

    void subscribe(std::size_t at, std::size_t engine, std::size_t inbox, std::string_view name, bool pattern) {
        Subscription& subscription = subscriptions_[at];
        if (subscription.handle) return;
        Record* const record = add_record(Record::Kind::subscription, inboxes_[inbox].number);
        record->pattern = pattern;
        record->in_memory = engines_[engine].in_memory;
        record->bus = engines_[engine].bus;
        record->asked = engines_[engine].asked;
        const int status = checked((pattern ? fanwire_psubscribe : fanwire_subscribe)(
            &subscription.handle, engines_[engine].handle, name.data(), name.size(), inboxes_[inbox].handle, record));
        require((status == FANWIRE_OK) == (subscription.handle != nullptr), "a handle if and only if it is OK");
        subscription.record = record;
        subscription.engine_closed = engines_[engine].closed;
        if (status == FANWIRE_OK) return;
        const std::lock_guard lock(mutex_);
        record->expects_end = false;
    }
    void unsubscribe(std::size_t at, bool destroy) {
        Subscription& subscription = subscriptions_[at];
        bool given_up = subscription.handle && !*subscription.engine_closed;
        if (destroy)
            fanwire_subscription_destroy(&subscription.handle);
        else
            given_up = checked(fanwire_unsubscribe(subscription.handle)) == FANWIRE_OK;
        if (!given_up) return;  // closing the engine has ended it; what came before is still to be had
        const std::lock_guard lock(mutex_);
        subscription.record->given_up = true;
    }

    // The payload is the number of this publish: of all on this engine, and of those on its channel.
    std::string payload_for(Engine& engine, const std::string& channel) {
        return std::to_string(engine.numbered + 1) + " " + std::to_string(engine.numbered_on[channel] + 1);
    }
    void number_used(Engine& engine, const std::string& channel) {
        ++engine.numbered;
        ++engine.numbered_on[channel];
    }
    void accepted(Engine& engine, const std::string& channel) {
        ++engine.published;
        number_used(engine, channel);
    }
    // `timeout`: 0: that of the setting.
    void publish(std::size_t at, std::string_view name, Inbox* inbox, std::uint64_t timeout = 0) {
        Engine& engine = engines_[at];
        const std::string channel(name), payload = payload_for(engine, channel);
        Record* const record = inbox ? add_record(Record::Kind::publish, inbox->number) : nullptr;
        const bool nowhere = !inbox || (timeout > 0 && !inbox->handle);  // has no event
        int status = 0;
        if (timeout > 0) {
            fanwire_publish_args args{};
            args.channel = channel.data();
            args.channel_size = channel.size();
            args.payload = payload.data();
            args.payload_size = payload.size();
            args.timeout_ms = timeout == 9 ? FANWIRE_FOREVER : timeout;
            args.inbox = inbox ? inbox->handle : nullptr;
            args.user_data = record;
            status = checked(fanwire_publish_with(engine.handle, &args, sizeof args));
        } else if (inbox) {
            status = checked(fanwire_publish_async(engine.handle, channel.data(), channel.size(), payload.data(),
                                                   payload.size(), inbox->handle, record));
        } else {
            status =
                checked(fanwire_publish(engine.handle, channel.data(), channel.size(), payload.data(), payload.size()));
        }
        if (record && (nowhere || status != FANWIRE_OK)) discard(record);
        if (status == FANWIRE_OK) accepted(engine, channel);
    }
    // There is no event.
    void discard(Record* record) {
        const std::lock_guard lock(mutex_);
        require(record->outcomes == 0, "what is refused has no outcome");
        record->expects_end = false;
    }
    void publish_and_wait(std::size_t at, std::string_view name) {
        Engine& engine = engines_[at];
        const std::string channel(name), payload = payload_for(engine, channel);
        fanwire_engine_stats before{}, after{};
        if (fanwire_engine_stats_get(engine.handle, &before, sizeof before) != FANWIRE_OK) return;
        std::uint64_t receivers = 0;
        checked(fanwire_publish_wait(engine.handle, channel.data(), channel.size(), payload.data(), payload.size(), 0,
                                     &receivers));
        must(fanwire_engine_stats_get(engine.handle, &after, sizeof after));
        if (engine.perhaps == 0) {
            if (after.published > before.published) accepted(engine, channel);
            return;
        }
        ++engine.perhaps;  // or it was a request that was published meanwhile
        number_used(engine, channel);
    }

    void ask(std::size_t at, std::size_t engine_at, std::size_t inbox, std::uint64_t expect, std::uint64_t timeout,
             std::string_view name) {
        if (requests_[at]) return;
        Engine& engine = engines_[engine_at];
        Record* const record = add_record(Record::Kind::request, inboxes_[inbox].number);
        record->expected = expect;
        {
            const std::lock_guard lock(mutex_);
            *engine.asked = true;
        }
        fanwire_request_args args{};
        args.channel = name.data();
        args.channel_size = name.size();
        args.payload = question.data();
        args.payload_size = question.size();
        args.expect = expect;
        args.timeout_ms = timeout == 9 ? FANWIRE_FOREVER : timeout;
        args.inbox = inboxes_[inbox].handle;
        args.user_data = record;
        const int status = checked(fanwire_request_open(&requests_[at], engine.handle, &args, sizeof args));
        require((status == FANWIRE_OK) == (requests_[at] != nullptr), "a handle if and only if it is OK");
        ++engine.perhaps;
        if (status != FANWIRE_OK) discard(record);
    }
    void answer(std::size_t at) {
        std::unique_lock lock(mutex_);
        fanwire_message* const asked = asked_;
        fanwire_message_retain(asked);  // a dispatcher may take it away
        lock.unlock();
        const int status = checked(fanwire_reply(engines_[at].handle, asked, reply.data(), reply.size()));
        require(asked || status == FANWIRE_INVALID_ARGUMENT, "nothing is no request");
        if (status == FANWIRE_OK) ++engines_[at].published;
        fanwire_message_release(asked);
    }
    // Of a channel twice, and of another one.
    void count(std::size_t at, std::string_view name, Inbox* inbox) {
        const char* const channels[] = {name.data(), "a", name.data()};
        const std::size_t sizes[] = {name.size(), 1, name.size()};
        std::array<std::uint64_t, 3> counts{99, 99, 99};
        if (!inbox) {
            const std::uint64_t timeout_ms = engines_[at].in_memory ? 20 : 0;
            const int status =
                checked(fanwire_numsub(engines_[at].handle, channels, sizes, 3, counts.data(), timeout_ms));
            if (status == FANWIRE_OK)
                require(counts[0] == counts[2] && counts[0] <= engines_.size(), "an engine counts once");
            else
                require(counts == std::array<std::uint64_t, 3>{99, 99, 99}, "nothing is written unless it is OK");
            return;
        }
        Record* const record = add_record(Record::Kind::question, inbox->number);
        if (checked(fanwire_numsub_async(engines_[at].handle, channels, sizes, 3, inbox->handle, record)) != FANWIRE_OK)
            discard(record);
    }

    std::size_t drain(std::size_t at, std::size_t capacity) {
        std::array<fanwire_event, 20> events;
        std::size_t count = 99;
        const int status =
            checked(fanwire_inbox_drain(inboxes_[at].handle, events.data(), sizeof events[0], capacity, &count));
        require((status == FANWIRE_OK) == (inboxes_[at].handle && !inboxes_[at].dispatching),
                "drains unless a dispatcher does");
        if (status != FANWIRE_OK) return 0;
        require(count <= capacity, "no more than asked for");
        for (std::size_t i = 0; i < count; ++i) see(events[i], true);
        must(fanwire_events_release(events.data(), sizeof events[0], count));
        return count;
    }
    void dispatch(std::size_t at) {
        const auto callback = [](void* run, const fanwire_event* event) { static_cast<Run*>(run)->see(*event, false); };
        if (checked(fanwire_inbox_dispatch(inboxes_[at].handle, callback, this)) != FANWIRE_OK) return;
        inboxes_[at].dispatching = true;
    }

    // `drained`: by the thread that unsubscribes, too.
    void see(const fanwire_event& event, bool drained) {
        const std::lock_guard lock(mutex_);
        Record& record = *static_cast<Record*>(event.user_data);
        const bool has_payload = event.kind == FANWIRE_EVENT_MESSAGE || event.kind == FANWIRE_EVENT_REPLY ||
                                 event.kind == FANWIRE_EVENT_NUMSUB;
        require(!event.message || has_payload || event.text != nullptr, "a message for a reason");
        switch (record.kind) {
            case Record::Kind::engine:
                require(event.kind >= FANWIRE_EVENT_CONNECTED && event.kind <= FANWIRE_EVENT_GAVE_UP,
                        "an engine's event");
                return;
            case Record::Kind::publish:
                require(event.kind == FANWIRE_EVENT_PUBLISHED, "a publish's event");
                require(++record.outcomes == 1, "PUBLISHED once");
                break;
            case Record::Kind::question:
                require(event.kind == FANWIRE_EVENT_NUMSUB, "a question's event");
                require(++record.outcomes == 1, "NUMSUB once");
                require(event.count == 3 && event.payload_size == (event.status == FANWIRE_OK ? 24 : 0),
                        "a number for each channel");
                require(reinterpret_cast<std::uintptr_t>(event.payload) % sizeof(std::uint64_t) == 0,
                        "aligned numbers");
                break;
            case Record::Kind::request:
                see_of_request(record, event);
                break;
            case Record::Kind::subscription:
                if (event.kind == FANWIRE_EVENT_MESSAGE && fanwire_message_is_request(event.message))
                    keep(event.message);
                see_of_subscription(record, event, drained);
        }
        if (record.done()) ended_.notify_all();
    }
    void keep(fanwire_message* request) {
        fanwire_message_retain(request);
        fanwire_message_release(std::exchange(asked_, request));
    }
    static void see_of_request(Record& record, const fanwire_event& event) {
        require(record.outcomes == 0, "nothing after REQUEST_DONE");
        if (event.kind == FANWIRE_EVENT_REPLY) {
            ++record.replies;
            require(std::string_view(event.payload, event.payload_size) == reply, "the reply as it was");
            require(!fanwire_message_is_request(event.message), "a reply is no request");
            return;
        }
        require(event.kind == FANWIRE_EVENT_REQUEST_DONE, "a request's event");
        ++record.outcomes;
        require(event.count == record.replies, "it counts the replies that came");
        require(event.status != FANWIRE_OK || event.missing == 0, "OK when none is missing");
        if (record.expected > 0)
            require(event.missing == record.expected - std::min(record.expected, record.replies),
                    "and those that did not");
    }
    static void see_of_subscription(Record& record, const fanwire_event& event, bool drained) {
        require(!record.ended, "nothing after ENDED");
        require(!drained || !record.given_up || event.kind == FANWIRE_EVENT_ENDED, "only ENDED once it is given up");
        switch (event.kind) {
            case FANWIRE_EVENT_ACTIVE:
            case FANWIRE_EVENT_RESUMED:
                record.active = true;
                break;
            case FANWIRE_EVENT_LOST:
                record.active = false;
                break;
            case FANWIRE_EVENT_ENDED:
                record.ended = true;
                break;
            case FANWIRE_EVENT_GAP:
                require(event.count > 0, "a GAP counts something");
                require(!record.in_memory || event.reason == FANWIRE_GAP_OVERFLOW, "memory:// has no other GAP");
                if (event.count == FANWIRE_COUNT_UNKNOWN)
                    record.known = false;
                else
                    record.missing += event.count;
                break;
            case FANWIRE_EVENT_MESSAGE: {
                require(record.active, "ACTIVE before messages");
                const std::string payload(event.payload, event.payload_size);
                if (fanwire_message_is_request(event.message)) {
                    require(payload == question, "the request as it was", payload);
                    break;
                }
                const std::size_t space = payload.find(' ');
                require(space != payload.npos, "the payload as it was", payload);
                // Only "*" sees every message of an engine.
                const bool all = record.pattern && std::string_view(event.pattern, event.pattern_size) == "*";
                const std::uint64_t number =
                    std::stoull(record.pattern ? payload.substr(0, space) : payload.substr(space + 1));
                if (record.bus) break;  // where others have numbers of their own
                if (record.known && !*record.asked && (all || !record.pattern))
                    require(number == record.last + record.missing + 1,
                            "the next message, or a GAP that counts what is missing", payload);
                else
                    require(!record.known || number > record.last, "in order, and none twice", payload);
                record.last = number;
                record.missing = 0;
                record.known = true;
                break;
            }
            case FANWIRE_EVENT_FAILED:
                break;
            default:
                fanwire::fuzz::fail("a subscription's event");
        }
    }

    void wait() {
        for (Inbox& inbox : inboxes_) checked(fanwire_inbox_wait(inbox.handle, 0));
        for (Subscription& subscription : subscriptions_)
            checked(fanwire_subscription_wait_active(subscription.handle, 0));
        for (Engine& engine : engines_) checked(fanwire_engine_wait_connected(engine.handle, engine.in_memory ? 1 : 0));
    }
    void look() {
        for (Engine& engine : engines_) {
            fanwire_engine_stats stats{};
            if (checked(fanwire_engine_stats_get(engine.handle, &stats, sizeof stats)) != FANWIRE_OK) continue;
            require(stats.published >= engine.published, "published is what was accepted");
            require(stats.published <= engine.published + engine.perhaps, "and nothing else");
            int state = 0;
            must(fanwire_engine_state_get(engine.handle, &state));
            require(state >= FANWIRE_ENGINE_CONNECTING && state <= FANWIRE_ENGINE_CLOSED, "an engine's state");
        }
        for (Inbox& inbox : inboxes_) {
            int fd = -1;
            fanwire_inbox_stats stats{};
            checked(fanwire_inbox_fd(inbox.handle, &fd));
            checked(fanwire_inbox_stats_get(inbox.handle, &stats, sizeof stats));
        }
        for (Subscription& subscription : subscriptions_) {
            int state = 0;
            if (checked(fanwire_subscription_state_get(subscription.handle, &state)) != FANWIRE_OK) continue;
            require(state >= FANWIRE_SUBSCRIPTION_PENDING && state <= FANWIRE_SUBSCRIPTION_ENDED, "a state");
        }
    }
    void be_refused() {
        const auto refused = [](int status) { require(checked(status) == FANWIRE_INVALID_ARGUMENT, "refused"); };
        auto* const no_engine = reinterpret_cast<fanwire_engine*>(inbox_options_);
        auto* const no_inbox = reinterpret_cast<fanwire_inbox*>(engine_options_);
        fanwire_subscription* made = nullptr;
        fanwire_event event;
        std::size_t count = 0;
        refused(fanwire_publish(no_engine, "a", 1, "b", 1));
        refused(fanwire_publish(nullptr, "a", 1, "b", 1));
        refused(fanwire_engine_close(no_engine, 0));
        refused(fanwire_subscribe(&made, engines_[0].handle, "a", 1, no_inbox, nullptr));
        refused(fanwire_inbox_drain(inboxes_[0].handle, &event, 1, 1, &count));
        refused(fanwire_inbox_drain(no_inbox, &event, sizeof event, 1, &count));
        fanwire_request* request = nullptr;
        fanwire_request_args args{};
        args.channel = "a";
        args.channel_size = 1;
        refused(fanwire_request_open(&request, engines_[0].handle, &args, sizeof args));
        args.inbox = no_inbox;
        refused(fanwire_request_open(&request, engines_[0].handle, &args, sizeof args));
        refused(fanwire_request_open(&request, engines_[0].handle, nullptr, 0));
        refused(fanwire_request_cancel(reinterpret_cast<fanwire_request*>(inbox_options_)));
        refused(fanwire_publish_with(engines_[0].handle, nullptr, 0));
        refused(fanwire_publish_many(engines_[0].handle, nullptr, 0, 1, &count));
        refused(fanwire_subscribe_with(&made, engines_[0].handle, nullptr, 0));
        refused(fanwire_reply(engines_[0].handle, reinterpret_cast<const fanwire_message*>(inbox_options_), "a", 1));
        require(fanwire_message_is_request(nullptr) == 0, "nothing is no request");
        std::uint64_t number = 99;
        const char* const name = "a";
        const std::size_t size = 1;
        refused(fanwire_numsub(no_engine, &name, &size, 1, &number, 0));
        refused(fanwire_numsub(engines_[0].handle, nullptr, &size, 1, &number, 0));
        refused(fanwire_numsub_async(engines_[0].handle, &name, &size, 1, no_inbox, nullptr));
        refused(fanwire_engine_reconnect(no_engine));
        int state = 0;
        refused(fanwire_engine_state_get(no_engine, &state));
        require(!made && !request && number == 99, "nothing comes of a refused call");
    }

    std::mutex mutex_;  // of what dispatchers see
    std::condition_variable ended_;
    std::vector<std::unique_ptr<Record>> records_;
    fanwire_options *inbox_options_ = nullptr, *engine_options_ = nullptr;
    int inboxes_created_ = 0;
    std::array<Engine, 3> engines_;
    std::array<Inbox, 3> inboxes_;
    std::array<Subscription, 6> subscriptions_;
    std::array<fanwire_request*, 4> requests_{};
    fanwire_message* asked_ = nullptr;  // the last request that was received
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 4096) return 0;
    Script script(fanwire::fuzz::text_of(data, size));
    Script::Step step;
    Run run;
    while (script.next(step)) run.step(step);
    run.finish();
    return 0;
}
