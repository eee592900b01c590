// An engine, and a subscription to it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bytes_view.h"
#include "failure.h"
#include "inbox.h"
#include "options.h"
#include "request.h"

namespace fanwire::python {

class Subscription {
 public:
    explicit Subscription(fanwire_subscription* handle) : handle_(handle) {}
    ~Subscription() { fanwire_subscription_destroy(&handle_); }
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    void unsubscribe();
    int state() const;
    void wait_active(std::uint64_t timeout_ms);

 private:
    fanwire_subscription* handle_;
};

class Engine {
 public:
    // Engine events go to `events`, if given. The options keep that inbox afterwards: use them for one engine only.
    Engine(const Options& options, const Inbox* events);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    void wait_connected(std::uint64_t timeout_ms);
    // What wait_connected() goes by; the counter in stats() may be a moment behind.
    bool connected() const;
    // An attempt to connect at once, also after having given up.
    void reconnect();
    int state() const;
    void close(std::uint64_t timeout_ms);
    // None: the server's default user; no password.
    void set_credentials(const std::optional<std::string>& username, const std::optional<std::string>& password);
    py::dict stats() const;
    py::tuple health() const;
    py::tuple latency(int kind) const;
    std::string metrics(int format) const;

    // The outcome goes to `inbox` with `user_data`, unless that is nullptr. timeout_ms 0: the setting. Needs the GIL.
    void publish(const BytesView& channel, const BytesView& payload, fanwire_inbox* inbox, void* user_data,
                 std::uint64_t timeout_ms = 0);
    // The numbers of subscribers of channels come to `inbox` as one event with `user_data`.
    void numsub(py::handle channels, fanwire_inbox* inbox, void* user_data);
    std::unique_ptr<Request> request(py::handle channel, py::handle payload, std::uint64_t expect,
                                     std::uint64_t timeout_ms, Inbox& inbox);
    void reply(const fanwire_message* message, const BytesView& payload);
    // `receiver` (None: the inbox's only one) is what the events in `inbox` are for.
    std::unique_ptr<Subscription> subscribe(py::handle name, bool is_pattern, Inbox& inbox, py::handle receiver);

 private:
    fanwire_engine* handle_ = nullptr;
};

void define_engine(py::module_& module);

}  // namespace fanwire::python
