// fanwire.h by any sequence of calls: engines in memory and on servers that are not there, inboxes with tiny limits,
// handles destroyed in any order.
//
// Steps, with E I S for the digit of an engine, inbox or subscription: i I COUNT: an inbox for so many messages (odd:
// drop_newest); I I: destroy it; e E KIND: open an engine, m in memory, p on a closed port, u on a socket that is not
// there, n the same and offline=fail; its events go to inbox 0. c E: close; E E: destroy. s SEI NAME, g SEI PATTERN:
// subscribe; x S: unsubscribe; X S: destroy. p E NAME, q EI NAME: publish without and with an outcome; P E NAME: wait for
// it, for no time. d I COUNT: drain; D I: a dispatcher; k I: a wake function; w: waits of no time; l: look at all there
// is; b: calls that must be refused.
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
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

void must(int status) { require(checked(status) == FANWIRE_OK, "must succeed", fanwire_last_error()); }

// What an event's user_data points to. They live until the end of the run.
struct Record {
    enum class Kind { engine, subscription, publish } kind;
    int inbox;                // number of the inbox, of all there were
    bool expects_end = true;  // of an inbox that lives

    // of a subscription
    bool pattern = false, in_memory = false, given_up = false, active = false, ended = false;
    std::uint64_t last = 0, missing = 0;  // the number of the last message; how many GAPs have told of since
    bool known = false;                   // there was a message since the last GAP of unknown size

    // of a publish
    int outcomes = 0;

    bool done() const {
        return !expects_end || (kind == Kind::subscription ? ended : kind == Kind::publish ? outcomes == 1 : true);
    }
};

class Run {
   public:
    Run() {
        must(fanwire_options_create(&inbox_options_));
        must(fanwire_options_create(&engine_options_));
    }

    void step(const Script::Step& step) {
        const auto digit = [&](std::size_t at, std::size_t count) {
            return at < step.argument.size() ? static_cast<std::size_t>(static_cast<unsigned char>(step.argument[at])) % count : 0;
        };
        const auto rest = [&](std::size_t at) { return step.argument.substr(std::min(at, step.argument.size())); };
        const std::size_t engine = digit(0, engines_.size()), inbox = digit(0, inboxes_.size());
        switch (step.verb) {
            case 'i': create_inbox(inbox, digit(1, 10)); break;
            case 'I': destroy_inbox(inbox); break;
            case 'e': open(engine, rest(1).starts_with(' ') ? rest(2) : rest(1)); break;
            case 'c':
                checked(fanwire_engine_close(engines_[engine].handle, 0));
                *engines_[engine].closed = true;
                break;
            case 'E': destroy_engine(engine); break;
            case 's': case 'g':
                subscribe(digit(0, subscriptions_.size()), digit(1, engines_.size()), digit(2, inboxes_.size()), rest(3), step.verb == 'g');
                break;
            case 'x': unsubscribe(digit(0, subscriptions_.size()), false); break;
            case 'X': unsubscribe(digit(0, subscriptions_.size()), true); break;
            case 'p': publish(engine, rest(1), nullptr); break;
            case 'q': publish(engine, rest(2), &inboxes_[digit(1, inboxes_.size())]); break;
            case 'P': publish_and_wait(engine, rest(1)); break;
            case 'd': drain(inbox, 1 + digit(1, 20)); break;
            case 'D': dispatch(inbox); break;
            case 'k': checked(fanwire_inbox_set_wake(inboxes_[inbox].handle, [](void*) {}, nullptr)); break;
            case 'w': wait(); break;
            case 'l': look(); break;
            case 'b': be_refused(); break;
            default: break;
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
        const auto all_done = [&] { return std::all_of(records_.begin(), records_.end(), [](const auto& record) { return record->done(); }); };
        require(ended_.wait_for(lock, std::chrono::seconds(10), all_done), "ENDED and PUBLISHED come once for each");
        lock.unlock();
        for (std::size_t i = 0; i < subscriptions_.size(); ++i) fanwire_subscription_destroy(&subscriptions_[i].handle);
        for (std::size_t i = 0; i < inboxes_.size(); ++i) destroy_inbox(i);
        fanwire_options_destroy(&inbox_options_);
        fanwire_options_destroy(&engine_options_);
    }

   private:
    struct Engine {
        fanwire_engine* handle = nullptr;
        bool in_memory = false;
        std::shared_ptr<bool> closed = std::make_shared<bool>(false);
        std::uint64_t published = 0;                       // accepted
        std::map<std::string, std::uint64_t> published_on;  // by channel
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

    static void set(fanwire_options* options, const char* name, const char* value) { must(fanwire_options_set(options, name, value)); }

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
        engine.in_memory = what != 'p' && what != 'u' && what != 'n';
        set(engine_options_, "max_subscriptions", "6");
        set(engine_options_, "offline_count", "5");
        set(engine_options_, "publish_buffer_bytes", "2000");
        set(engine_options_, "max_message_bytes", "100");
        set(engine_options_, "url", engine.in_memory ? "memory://" : what == 'u' ? "unix:///nonexistent/fanwire" : "redis://127.0.0.1:1");
        set(engine_options_, "offline", what == 'n' ? "fail" : "queue");
        if (inboxes_[0].handle)
            must(fanwire_options_set_engine_inbox(engine_options_, inboxes_[0].handle, add_record(Record::Kind::engine, inboxes_[0].number)));
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
        return std::to_string(engine.published + 1) + " " + std::to_string(engine.published_on[channel] + 1);
    }
    void accepted(Engine& engine, const std::string& channel) {
        ++engine.published;
        ++engine.published_on[channel];
    }
    void publish(std::size_t at, std::string_view name, Inbox* inbox) {
        Engine& engine = engines_[at];
        const std::string channel(name), payload = payload_for(engine, channel);
        if (!inbox) {
            if (checked(fanwire_publish(engine.handle, channel.data(), channel.size(), payload.data(), payload.size())) == FANWIRE_OK)
                accepted(engine, channel);
            return;
        }
        Record* const record = add_record(Record::Kind::publish, inbox->number);
        const int status = checked(fanwire_publish_async(engine.handle, channel.data(), channel.size(), payload.data(), payload.size(),
                                                         inbox->handle, record));
        if (status == FANWIRE_OK) return accepted(engine, channel);
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
        checked(fanwire_publish_wait(engine.handle, channel.data(), channel.size(), payload.data(), payload.size(), 0, &receivers));
        must(fanwire_engine_stats_get(engine.handle, &after, sizeof after));
        if (after.published > before.published) accepted(engine, channel);
    }

    std::size_t drain(std::size_t at, std::size_t capacity) {
        std::array<fanwire_event, 20> events;
        std::size_t count = 99;
        const int status = checked(fanwire_inbox_drain(inboxes_[at].handle, events.data(), sizeof events[0], capacity, &count));
        require((status == FANWIRE_OK) == (inboxes_[at].handle && !inboxes_[at].dispatching), "drains unless a dispatcher does");
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
        require((event.message == nullptr) || event.kind == FANWIRE_EVENT_MESSAGE || event.text != nullptr, "a message for a reason");
        switch (record.kind) {
            case Record::Kind::engine:
                require(event.kind >= FANWIRE_EVENT_CONNECTED && event.kind <= FANWIRE_EVENT_ERROR, "an engine's event");
                return;
            case Record::Kind::publish:
                require(event.kind == FANWIRE_EVENT_PUBLISHED, "a publish's event");
                require(++record.outcomes == 1, "PUBLISHED once");
                break;
            case Record::Kind::subscription:
                see_of_subscription(record, event, drained);
        }
        if (record.done()) ended_.notify_all();
    }
    static void see_of_subscription(Record& record, const fanwire_event& event, bool drained) {
        require(!record.ended, "nothing after ENDED");
        require(!drained || !record.given_up || event.kind == FANWIRE_EVENT_ENDED, "only ENDED once it is given up");
        switch (event.kind) {
            case FANWIRE_EVENT_ACTIVE:
            case FANWIRE_EVENT_RESUMED: record.active = true; break;
            case FANWIRE_EVENT_LOST: record.active = false; break;
            case FANWIRE_EVENT_ENDED: record.ended = true; break;
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
                const std::size_t space = payload.find(' ');
                require(space != payload.npos, "the payload as it was", payload);
                // Only "*" sees every message of an engine.
                const bool all = record.pattern && std::string_view(event.pattern, event.pattern_size) == "*";
                const std::uint64_t number = std::stoull(record.pattern ? payload.substr(0, space) : payload.substr(space + 1));
                if (record.known && (all || !record.pattern))
                    require(number == record.last + record.missing + 1, "the next message, or a GAP that counts what is missing", payload);
                else
                    require(!record.known || number > record.last, "in order, and none twice", payload);
                record.last = number;
                record.missing = 0;
                record.known = true;
                break;
            }
            case FANWIRE_EVENT_FAILED: break;
            default: fanwire::fuzz::fail("a subscription's event");
        }
    }

    void wait() {
        for (Inbox& inbox : inboxes_) checked(fanwire_inbox_wait(inbox.handle, 0));
        for (Subscription& subscription : subscriptions_) checked(fanwire_subscription_wait_active(subscription.handle, 0));
        for (Engine& engine : engines_) checked(fanwire_engine_wait_connected(engine.handle, engine.in_memory ? 1 : 0));
    }
    void look() {
        for (Engine& engine : engines_) {
            fanwire_engine_stats stats{};
            if (checked(fanwire_engine_stats_get(engine.handle, &stats, sizeof stats)) != FANWIRE_OK) continue;
            require(stats.published == engine.published, "published is what was accepted");
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
        require(!made, "no handle of a refused call");
    }

    std::mutex mutex_;  // of what dispatchers see
    std::condition_variable ended_;
    std::vector<std::unique_ptr<Record>> records_;
    fanwire_options *inbox_options_ = nullptr, *engine_options_ = nullptr;
    int inboxes_created_ = 0;
    std::array<Engine, 3> engines_;
    std::array<Inbox, 3> inboxes_;
    std::array<Subscription, 6> subscriptions_;
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
