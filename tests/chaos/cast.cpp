#include "tests/chaos/cast.h"

#include <chrono>
#include <stdexcept>

namespace fanwire::chaos {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint64_t waiting_max =
    20000;  // publishes without an outcome: more would only wait for their time to end

constexpr std::size_t passing_max = 40;

// No pattern of a subscriber matches it.
std::string own_channel(std::size_t publisher) {
    return "of publisher " + std::to_string(publisher);
}

// A publish's name in its outcome.
void* token_of(StreamId stream, Number number) {
    return reinterpret_cast<void*>((static_cast<std::uintptr_t>(stream) + 1) << 32 | number);
}

struct OptionsHandle {
    fanwire_options* options = nullptr;
    explicit OptionsHandle(const Settings& settings) {
        check(fanwire_options_create(&options), "options");
        for (const auto& [name, value] : settings) check(fanwire_options_set(options, name, value.c_str()), name);
    }
    ~OptionsHandle() { fanwire_options_destroy(&options); }
    OptionsHandle(const OptionsHandle&) = delete;
    OptionsHandle& operator=(const OptionsHandle&) = delete;
};

}  // namespace

void check(int status, const char* what) {
    if (status != FANWIRE_OK)
        throw std::runtime_error(std::string(what) + ": " + fanwire_status_name(status) + ": " + fanwire_last_error());
}

EngineHandle open_engine(const std::string& url, const Settings& settings) {
    OptionsHandle options(settings);
    check(fanwire_options_set(options.options, "url", url.c_str()), "url");
    fanwire_engine* engine = nullptr;
    check(fanwire_engine_open(&engine, options.options), "open");
    return EngineHandle(engine);
}

InboxHandle make_inbox(const Settings& settings) {
    OptionsHandle options(settings);
    fanwire_inbox* inbox = nullptr;
    check(fanwire_inbox_create(&inbox, options.options), "inbox");
    return InboxHandle(inbox);
}

fanwire_engine_stats stats_of(const fanwire_engine* engine) {
    fanwire_engine_stats stats{};
    check(fanwire_engine_stats_get(engine, &stats, sizeof stats), "stats");
    return stats;
}

// ---- Publishers ------------------------------------------------------------------------------------------

Publisher::Publisher(std::size_t index, const std::string& url, const Settings& settings, std::uint64_t seed,
                     Ledger& ledger, Violations& violations)
    : index_(index),
      ledger_(ledger),
      violations_(violations),
      inbox_(make_inbox({})),
      own_messages_(make_inbox({{"inbox_count", "16"}})),
      own_outcomes_(make_inbox({})),
      engine_(open_engine(url, settings)),
      random_(seed) {
    const std::string name = own_channel(index);
    fanwire_subscription* subscription = nullptr;
    check(fanwire_subscribe(&subscription, engine_.get(), name.data(), name.size(), own_messages_.get(), nullptr),
          "subscribe");
    own_.reset(subscription);
}

Publisher::~Publisher() {
    stop();
}

void Publisher::start() {
    stop_ = false;
    thread_ = std::thread([this] { run(); });
}

void Publisher::stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

// In bursts, as traffic is; about 2000 messages a second.
void Publisher::run() {
    while (!stop_) {
        const std::uint64_t burst = 1 + random_() % 40;
        for (std::uint64_t i = 0; i < burst && waiting_ < waiting_max; ++i) publish(random_() % channels);
        take_outcomes();
        std::this_thread::sleep_for(std::chrono::milliseconds(1 + random_() % 20));
    }
}

void Publisher::publish(std::size_t channel) {
    const StreamId stream = stream_of(index_, channel);
    const Number number = ledger_.take(stream);
    const std::string name = channel_name(channel), payload = make_payload(stream, number);
    const int status = fanwire_publish_async(engine_.get(), name.data(), name.size(), payload.data(), payload.size(),
                                             inbox_.get(), token_of(stream, number));
    if (status != FANWIRE_OK) return settle(stream, number, status);  // refused: there is no other outcome
    ++accepted_;
    ++waiting_;
}

void Publisher::take_outcomes() {
    fanwire_event events[256];
    std::size_t count = 0;
    do {
        check(fanwire_inbox_drain(inbox_.get(), events, sizeof events[0], 256, &count), "drain");
        for (std::size_t i = 0; i < count; ++i) {
            const auto token = reinterpret_cast<std::uintptr_t>(events[i].user_data);
            settle(static_cast<StreamId>((token >> 32) - 1), static_cast<Number>(token), events[i].status);
            --waiting_;
        }
        fanwire_events_release(events, sizeof events[0], count);
    } while (count > 0);
}

void Publisher::settle(StreamId stream, Number number, int status) {
    ++outcomes_[static_cast<std::size_t>(status) % outcomes_.size()];
    switch (status) {
        case FANWIRE_OK:
            return ledger_.settle(stream, number, Fate::sent);
        case FANWIRE_OUTCOME_UNKNOWN:
            return ledger_.settle(stream, number, Fate::unknown);
        case FANWIRE_TIMEOUT:
        case FANWIRE_NOT_CONNECTED:
        case FANWIRE_CONNECTION_LOST:
        case FANWIRE_QUEUE_FULL:
        case FANWIRE_NO_PERMISSION:
        case FANWIRE_REDIS_ERROR:
        case FANWIRE_CLOSED:
            return ledger_.settle(stream, number, Fate::unsent);
        default:
            violations_.add(Violation::outcomes, std::string("a publish ended as ") + fanwire_status_name(status));
            ledger_.settle(stream, number, Fate::unknown);
    }
}

Number Publisher::publish_for_certain(std::size_t channel, Clock::time_point deadline) {
    const StreamId stream = stream_of(index_, channel);
    const std::string name = channel_name(channel);
    while (true) {
        const Number number = ledger_.take(stream);
        const std::string payload = make_payload(stream, number);
        std::uint64_t receivers = 0;
        const int status = fanwire_publish_wait(engine_.get(), name.data(), name.size(), payload.data(), payload.size(),
                                                FANWIRE_FOREVER, &receivers);
        ++accepted_;
        settle(stream, number, status);
        if (status == FANWIRE_OK || Clock::now() > deadline) return number;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

void Publisher::queue_for_itself(test::FaultProxy& proxy) {
    constexpr std::size_t count = 20;
    constexpr std::uint64_t long_enough = 60000;
    const std::string name = own_channel(index_);
    check(fanwire_subscription_wait_active(own_.get(), long_enough), "its own subscription");
    proxy.door(test::FaultProxy::Door::refuse);
    proxy.end();
    const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(long_enough);
    while (stats_of(engine_.get()).connected && Clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (Clock::now() >= deadline) violations_.add(Violation::not_recovered, "a break that the engine does not see");
    fanwire_publish_args args{};
    args.channel = name.data();
    args.channel_size = name.size();
    args.timeout_ms = long_enough;
    args.inbox = own_outcomes_.get();
    for (std::size_t i = 0; i < count; ++i) check(fanwire_publish_with(engine_.get(), &args, sizeof args), "publish");
    proxy.door(test::FaultProxy::Door::open);
    for (std::size_t settled = 0; settled < count;) {
        check(fanwire_inbox_wait(own_outcomes_.get(), 2 * long_enough), "outcomes of what was queued");
        fanwire_event events[count];
        std::size_t came = 0;
        check(fanwire_inbox_drain(own_outcomes_.get(), events, sizeof events[0], count, &came), "drain");
        for (std::size_t i = 0; i < came; ++i)
            if (events[i].status != FANWIRE_OK || events[i].count == 0)
                violations_.add(Violation::not_recovered, std::string("what was queued in a break ended as ") +
                                                              fanwire_status_name(events[i].status) +
                                                              " and was received by " +
                                                              std::to_string(events[i].count));
        fanwire_events_release(events, sizeof events[0], came);
        settled += came;
    }
}

void Publisher::close() {
    if (fanwire_engine_close(engine_.get(), 10000) != FANWIRE_OK)
        violations_.add(Violation::outcomes, std::string("close: ") + fanwire_last_error());
    take_outcomes();
}

std::array<std::uint64_t, 64> Publisher::outcomes() const {
    std::array<std::uint64_t, 64> all{};
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = outcomes_[i];
    return all;
}

// ---- Subscribers -----------------------------------------------------------------------------------------

Subscriber::Subscriber(const SubscriberConfig& config, const std::string& url, const Settings& settings,
                       std::uint64_t seed, Ledger& ledger, Violations& violations)
    : config_(config),
      ledger_(ledger),
      violations_(violations),
      inbox_(make_inbox(config.inbox)),
      engine_(open_engine(url, settings)),
      random_(seed) {
    for (std::size_t i = 0; i < channels; ++i) follow(lasting_, channel_name(i), false);
    for (const char* pattern : {"c*", "c[0-3]", "c[2-5]", "?7"}) follow(lasting_, pattern, true);
}

Subscriber::~Subscriber() {
    stop();
}

void Subscriber::follow(std::list<Follower>& where, const std::string& name, bool pattern) {
    // Which channels the few patterns match: those above, and a channel written as a pattern.
    std::string digits = name == "c*" ? "01234567" : name.substr(name.size() - 1);
    if (name == "c[0-3]") digits = "0123";
    if (name == "c[2-5]") digits = "2345";
    if (name == "?7") digits = "7";
    std::vector<StreamId> streams;
    for (const char digit : digits)
        for (std::size_t publisher = 0; publisher < publishers; ++publisher)
            streams.push_back(stream_of(publisher, static_cast<std::size_t>(digit - '0')));

    Follower& follower = where.emplace_back();
    follower.streams = streams;
    follower.witness = std::make_unique<Witness>(config_.name + " " + name + " #" + std::to_string(++made_), streams,
                                                 config_.strict, ledger_, violations_);
    fanwire_subscription* subscription = nullptr;
    check((pattern ? fanwire_psubscribe : fanwire_subscribe)(&subscription, engine_.get(), name.data(), name.size(),
                                                             inbox_.get(), &follower),
          "subscribe");
    follower.subscription.reset(subscription);
}

void Subscriber::start() {
    stop_ = false;
    thread_ = std::thread([this] { run(); });
}

void Subscriber::stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
}

void Subscriber::calm(bool yes) {
    calm_ = yes;
}

void Subscriber::run() {
    fanwire_event events[64];
    while (!stop_) {
        if (fanwire_inbox_wait(inbox_.get(), 20) == FANWIRE_OK) {
            std::size_t count = 0;
            check(fanwire_inbox_drain(inbox_.get(), events, sizeof events[0], 1 + random_() % 64, &count), "drain");
            for (std::size_t i = 0; i < count; ++i) take(events[i]);
            fanwire_events_release(events, sizeof events[0], count);
        }
        if (calm_) continue;
        if (config_.churns && random_() % 20 == 0) churn();
        if (config_.stalls && random_() % 8 == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 60));
    }
}

void Subscriber::take(const fanwire_event& event) {
    Follower& follower = *static_cast<Follower*>(event.user_data);
    Witness& witness = *follower.witness;
    ++events_[static_cast<std::size_t>(event.kind)];
    switch (event.kind) {
        case FANWIRE_EVENT_MESSAGE: {
            StreamId stream = 0;
            Number number = 0;
            if (!read_payload({event.payload, event.payload_size}, stream, number) || stream >= ledger_.streams() ||
                std::string(event.channel, event.channel_size) != channel_name(stream % channels))
                return violations_.add(Violation::wrong_event, "a message with broken bytes");
            ++received_;
            witness.message(stream, number);
            follower.seen[stream] = witness.seen_to(stream);
            return;
        }
        case FANWIRE_EVENT_ACTIVE:
            return witness.active();
        case FANWIRE_EVENT_LOST:
            return witness.lost();
        case FANWIRE_EVENT_RESUMED:
            return witness.resumed();
        case FANWIRE_EVENT_FAILED:
            return witness.failed();
        case FANWIRE_EVENT_GAP:
            if (event.count == FANWIRE_COUNT_UNKNOWN) {
                ++gaps_unknown_;
                return witness.gap_unknown();
            }
            ++gaps_counted_;
            dropped_ += event.count;
            return witness.gap_counted(event.count);
        case FANWIRE_EVENT_ENDED:
            return witness.ended();
        default:
            violations_.add(Violation::wrong_event, "an event of kind " + std::to_string(event.kind));
    }
}

// One of the passing subscriptions ends, and another one begins, mostly of the same name: a channel is given up and
// wanted again while Redis, or the engine, is still at the former.
void Subscriber::churn() {
    for (auto follower = passing_.begin(); follower != passing_.end();) {
        const auto next = std::next(follower);
        if (follower->witness->has_ended()) past_.splice(past_.end(), passing_, follower);
        follower = next;
    }
    std::uint64_t channel = random_() % channels;
    for (Follower& follower : passing_) {
        if (!follower.subscription || follower.streams[0] % channels != channel) continue;
        if (random_() % 2) fanwire_unsubscribe(follower.subscription.get());
        follower.subscription.reset();  // ENDED still comes
        break;
    }
    if (random_() % 3 == 0) channel = random_() % channels;
    // Also channels that no lasting subscription keeps subscribed in Redis.
    if (passing_.size() < passing_max) follow(passing_, (random_() % 2 ? "c" : "[c]") + std::to_string(channel), true);
}

bool Subscriber::has_seen(StreamId stream, Number number) const {
    for (const Follower& follower : lasting_)
        for (const StreamId mine : follower.streams)
            if (mine == stream && follower.seen[stream] <= number) return false;
    return true;
}

void Subscriber::judge() const {
    for (const Follower& follower : lasting_) follower.witness->judge(true);
    for (const std::list<Follower>* each : {&passing_, &past_})
        for (const Follower& follower : *each) follower.witness->judge(false);
}

}  // namespace fanwire::chaos
