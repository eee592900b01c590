#include "engine.h"

#include <pybind11/stl.h>

#include "gil.h"
#include "message.h"
#include "numsub.h"
#include "receiver.h"
#include "stats.h"
#include "waiting.h"

namespace fanwire::python {

void Subscription::unsubscribe() {
    check(fanwire_unsubscribe(handle_));
}

int Subscription::state() const {
    int state = 0;
    check(fanwire_subscription_state_get(handle_, &state));
    return state;
}

void Subscription::wait_active(std::uint64_t timeout_ms) {
    check(wait_in_slices(timeout_ms, [&](std::uint64_t ms) { return fanwire_subscription_wait_active(handle_, ms); }));
}

Engine::Engine(const Options& options, const Inbox* events) {
    if (events != nullptr) check(fanwire_options_set_engine_inbox(options.handle(), events->handle(), nullptr));
    check(fanwire_engine_open(&handle_, options.handle()));
}

Engine::~Engine() {
    const WithoutGil without_gil;
    fanwire_engine_destroy(&handle_);
}

void Engine::wait_connected(std::uint64_t timeout_ms) {
    check(wait_in_slices(timeout_ms, [&](std::uint64_t ms) { return fanwire_engine_wait_connected(handle_, ms); }));
}

bool Engine::connected() const {
    const int status = fanwire_engine_wait_connected(handle_, 0);
    if (status == FANWIRE_FORKED) check(status);
    return status == FANWIRE_OK;
}

void Engine::reconnect() {
    check(fanwire_engine_reconnect(handle_));
}

int Engine::state() const {
    int state = 0;
    check(fanwire_engine_state_get(handle_, &state));
    return state;
}

void Engine::close(std::uint64_t timeout_ms) {
    int status = FANWIRE_OK;
    {
        const WithoutGil without_gil;
        status = fanwire_engine_close(handle_, timeout_ms);
    }
    check(status);
}

void Engine::set_credentials(const std::optional<std::string>& username, const std::optional<std::string>& password) {
    const auto text = [](const std::optional<std::string>& value, const char* name) -> const char* {
        if (!value) return nullptr;
        refuse_nul(*value, name, FANWIRE_INVALID_OPTION);
        return value->c_str();
    };
    check(fanwire_engine_set_credentials(handle_, text(username, "username"), text(password, "password")));
}

py::dict Engine::stats() const {
    return engine_stats(handle_);
}

py::tuple Engine::health() const {
    return engine_health(handle_);
}

py::tuple Engine::latency(int kind) const {
    return engine_latency(handle_, kind);
}

std::string Engine::metrics(int format) const {
    return engine_metrics(handle_, format);
}

void Engine::publish(const BytesView& channel, const BytesView& payload, fanwire_inbox* inbox, void* user_data,
                     std::uint64_t timeout_ms) {
    if (timeout_ms != 0) {
        fanwire_publish_args args{};
        args.channel = channel.data();
        args.channel_size = channel.size();
        args.payload = payload.data();
        args.payload_size = payload.size();
        args.timeout_ms = timeout_ms;
        args.inbox = inbox;
        args.user_data = user_data;
        check(fanwire_publish_with(handle_, &args, sizeof args));
        return;
    }
    if (inbox == nullptr)
        check(fanwire_publish(handle_, channel.data(), channel.size(), payload.data(), payload.size()));
    else
        check(fanwire_publish_async(handle_, channel.data(), channel.size(), payload.data(), payload.size(), inbox,
                                    user_data));
}

void Engine::numsub(py::handle channels, fanwire_inbox* inbox, void* user_data) {
    const Names names(channels);
    check(fanwire_numsub_async(handle_, names.data(), names.sizes(), names.count(), inbox, user_data));
}

std::unique_ptr<Request> Engine::request(py::handle channel, py::handle payload, std::uint64_t expect,
                                         std::uint64_t timeout_ms, Inbox& inbox) {
    return std::make_unique<Request>(handle_, BytesView::of_name(channel, "channel"), BytesView::of_payload(payload),
                                     expect, timeout_ms, inbox);
}

void Engine::reply(const fanwire_message* message, const BytesView& payload) {
    check(fanwire_reply(handle_, message, payload.data(), payload.size()));
}

std::unique_ptr<Subscription> Engine::subscribe(py::handle name, bool is_pattern, Inbox& inbox, py::handle receiver) {
    const BytesView bytes = BytesView::of_name(name, is_pattern ? "pattern" : "channel");
    auto text = py::reinterpret_steal<py::object>(decode_name(bytes.data(), bytes.size()));
    if (!text) throw py::error_already_set();
    Target* target = nullptr;
    if (!receiver.is_none()) {
        set_names(receiver, is_pattern ? py::object() : text, is_pattern ? text : py::object());
        Section section(inbox.lock());
        target = inbox.targets().add(receiver);
    } else {
        inbox.set_names(is_pattern ? py::object() : text, is_pattern ? text : py::object());
    }
    fanwire_subscription* handle = nullptr;
    const auto subscribe = is_pattern ? fanwire_psubscribe : fanwire_subscribe;
    const int status = subscribe(&handle, handle_, bytes.data(), bytes.size(), inbox.handle(), target);
    if (status == FANWIRE_OK) return std::make_unique<Subscription>(handle);
    const Failure failure{status, fanwire_last_error()};
    Section section(inbox.lock());
    if (target != nullptr) inbox.targets().remove(target);
    throw failure;
}

void define_engine(py::module_& module) {
    py::class_<Subscription>(module, "Subscription")
        .def("unsubscribe", &Subscription::unsubscribe)
        .def("state", &Subscription::state)
        .def("wait_active", &Subscription::wait_active);

    py::class_<Engine>(module, "Engine")
        .def(py::init<const Options&, const Inbox*>())
        .def("wait_connected", &Engine::wait_connected)
        .def("connected", &Engine::connected)
        .def("reconnect", &Engine::reconnect)
        .def("state", &Engine::state)
        .def("close", &Engine::close)
        .def("set_credentials", &Engine::set_credentials)
        .def("stats", &Engine::stats)
        .def("health", &Engine::health)
        .def("latency", &Engine::latency)
        .def("metrics", &Engine::metrics)
        .def("subscribe", &Engine::subscribe)
        .def("request", &Engine::request);
}

}  // namespace fanwire::python
