// Brokers of the application's own: fanwire_broker_calls as core's Broker, and what they report.
#include "core/backend/broker.h"

#include "capi/src/handle.h"

using namespace fanwire::capi;
using namespace fanwire::core;

namespace {

// The error that `status` and `text` are; none for FANWIRE_OK.
Error error_of(int status, const char* text) {
    if (status == FANWIRE_OK) return {};
    const StatusRow* const row = find_status(status);
    if (!row) reject("status is none of fanwire_status");
    return {row->status, text ? text : row->text};
}

// Why something failed.
Error failure_of(int status, const char* text) {
    if (status == FANWIRE_OK) reject("status is FANWIRE_OK, which is no failure");
    return error_of(status, text);
}

class CallsBroker : public Broker {
 public:
    CallsBroker(const fanwire_broker_calls& calls, void* user_data)
        : calls_(calls), user_data_(user_data), handle_(std::make_unique<fanwire_broker>()) {}

    void start(std::shared_ptr<BrokerReports> reports) override {
        handle_->reports = std::move(reports);
        calls_.start(user_data_, handle_.release());
    }
    void subscribe(TargetKind kind, std::string_view name) override {
        calls_.subscribe(user_data_, static_cast<int>(kind), name.data(), name.size());
    }
    void unsubscribe(TargetKind kind, std::string_view name) override {
        calls_.unsubscribe(user_data_, static_cast<int>(kind), name.data(), name.size());
    }
    void publish(std::uint64_t id, std::string_view channel, std::string_view payload) override {
        calls_.publish(user_data_, id, channel.data(), channel.size(), payload.data(), payload.size());
    }
    bool numsub(std::uint64_t id, std::span<const std::string> channels) override {
        if (!calls_.numsub) return false;
        std::vector<const char*> names;
        std::vector<std::size_t> sizes;
        names.reserve(channels.size());
        sizes.reserve(channels.size());
        for (const std::string& channel : channels) {
            names.push_back(channel.data());
            sizes.push_back(channel.size());
        }
        calls_.numsub(user_data_, id, names.data(), sizes.data(), channels.size());
        return true;
    }
    void reconnect() override {
        if (calls_.reconnect) calls_.reconnect(user_data_);
    }
    void close() override { calls_.close(user_data_); }

 private:
    const fanwire_broker_calls calls_;
    void* const user_data_;
    std::unique_ptr<fanwire_broker> handle_;  // until it is handed over
};

static_assert(static_cast<int>(TargetKind::channel) == FANWIRE_SUBSCRIPTION_CHANNEL &&
              static_cast<int>(TargetKind::pattern) == FANWIRE_SUBSCRIPTION_PATTERN);

TargetKind kind_of_report(int kind) {
    if (kind < 0) reject("kind is none of fanwire_subscription_kind");
    return kind_of(static_cast<uint64_t>(kind), "kind");
}

}  // namespace

std::unique_ptr<Broker> fanwire::capi::broker_of(const fanwire_options& options) {
    if (!options.broker.start) return nullptr;
    return std::make_unique<CallsBroker>(options.broker, options.broker_user_data);
}

int fanwire_options_set_broker(fanwire_options* options, const fanwire_broker_calls* calls, size_t calls_size,
                               void* user_data) {
    return guarded([&] {
        auto& handle = checked(options);
        fanwire_broker_calls copy{};
        if (calls) {
            copy = copy_in(calls, calls_size, "calls");
            if (!copy.start || !copy.subscribe || !copy.unsubscribe || !copy.publish || !copy.close)
                reject("calls must have start, subscribe, unsubscribe, publish and close");
        }
        handle.broker = copy;
        handle.broker_user_data = user_data;
    });
}

int fanwire_broker_ready(fanwire_broker* broker) {
    return guarded([&] { checked(broker).reports->ready(); });
}

int fanwire_broker_lost(fanwire_broker* broker, int status, const char* text) {
    return guarded([&] { checked(broker).reports->lost(failure_of(status, text)); });
}

int fanwire_broker_confirmed(fanwire_broker* broker, int kind, const char* name, size_t name_size) {
    return guarded([&] { checked(broker).reports->confirmed(kind_of_report(kind), bytes(name, name_size, "name")); });
}

int fanwire_broker_refused(fanwire_broker* broker, int kind, const char* name, size_t name_size, int status,
                           const char* text) {
    return guarded([&] {
        checked(broker).reports->refused(kind_of_report(kind), bytes(name, name_size, "name"),
                                         failure_of(status, text));
    });
}

int fanwire_broker_message(fanwire_broker* broker, int kind, const char* name, size_t name_size, const char* channel,
                           size_t channel_size, const char* payload, size_t payload_size) {
    return guarded([&] {
        const TargetKind target = kind_of_report(kind);
        if (target == TargetKind::pattern && !channel)
            reject("channel is NULL, which a message by a pattern must have");
        if (!checked(broker).reports->message(target, bytes(name, name_size, "name"),
                                              bytes(channel, channel_size, "channel"),
                                              bytes(payload, payload_size, "payload")))
            throw Failure(Status::QUEUE_FULL, "the engine takes messages more slowly than they are reported");
    });
}

int fanwire_broker_settled(fanwire_broker* broker, uint64_t id, int status, const char* text, uint64_t receivers) {
    return guarded([&] { checked(broker).reports->settled(id, error_of(status, text), receivers); });
}

int fanwire_broker_counted(fanwire_broker* broker, uint64_t id, int status, const char* text, const uint64_t* counts,
                           size_t count) {
    return guarded([&] {
        if (!counts && count != 0) reject("counts is NULL");
        checked(broker).reports->counted(id, error_of(status, text), {counts, count});
    });
}

void fanwire_broker_destroy(fanwire_broker** broker) {
    destroy(broker);
}
