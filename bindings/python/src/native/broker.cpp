#include "broker.h"

#include <pybind11/stl.h>

#include <new>
#include <utility>

namespace fanwire::python {

template <class Make>
void Broker::State::add(Make&& make) noexcept {
    bool first;
    {
        const std::lock_guard lock(mutex);
        first = calls.empty() && !incomplete;
        try {
            calls.push_back(make());
        } catch (const std::bad_alloc&) {
            incomplete = true;
        }
    }
    if (first) waker.ring();
}

void Broker::attach(const Options& options) {
    fanwire_broker_calls calls{};
    calls.start = [](void* self, fanwire_broker* broker) {
        auto& state = *static_cast<State*>(self);
        state.handle = broker;
        state.add([] { return Call(Call::Kind::start); });
    };
    calls.subscribe = [](void* self, int kind, const char* name, size_t size) {
        static_cast<State*>(self)->add([&] { return Call(Call::Kind::subscribe, kind, 0, {name, size}); });
    };
    calls.unsubscribe = [](void* self, int kind, const char* name, size_t size) {
        static_cast<State*>(self)->add([&] { return Call(Call::Kind::unsubscribe, kind, 0, {name, size}); });
    };
    calls.publish = [](void* self, uint64_t id, const char* channel, size_t channel_size, const char* payload,
                       size_t payload_size) {
        static_cast<State*>(self)->add([&] {
            return Call(Call::Kind::publish, 0, id, {channel, channel_size}, {payload, payload_size});
        });
    };
    calls.numsub = [](void* self, uint64_t id, const char* const* channels, const size_t* sizes, size_t count) {
        static_cast<State*>(self)->add([&] {
            Call call(Call::Kind::numsub, 0, id);
            for (size_t i = 0; i < count; ++i) call.names.emplace_back(channels[i], sizes[i]);
            return call;
        });
    };
    calls.reconnect = [](void* self) { static_cast<State*>(self)->add([] { return Call(Call::Kind::reconnect); }); };
    calls.close = [](void* self) {
        const std::shared_ptr<State> state = std::move(static_cast<State*>(self)->self);
        state->add([] { return Call(Call::Kind::close); });
    };
    check(fanwire_options_set_broker(options.handle(), &calls, sizeof calls, state_.get()));
    state_->self = state_;
}

py::tuple Broker::take() {
    std::deque<Call> calls;
    bool complete;
    {
        const std::lock_guard lock(state_->mutex);
        state_->waker.take();
        calls.swap(state_->calls);
        complete = !std::exchange(state_->incomplete, false);
    }
    py::list list;
    for (const Call& call : calls) {
        const bool is_pattern = call.target == FANWIRE_SUBSCRIPTION_PATTERN;
        switch (call.kind) {
            case Call::Kind::start:
                list.append(py::make_tuple("start"));
                break;
            case Call::Kind::subscribe:
                list.append(py::make_tuple("subscribe", py::bytes(call.name), is_pattern));
                break;
            case Call::Kind::unsubscribe:
                list.append(py::make_tuple("unsubscribe", py::bytes(call.name), is_pattern));
                break;
            case Call::Kind::publish:
                list.append(py::make_tuple("publish", call.id, py::bytes(call.name), py::bytes(call.payload)));
                break;
            case Call::Kind::numsub: {
                py::list names;
                for (const std::string& name : call.names) names.append(py::bytes(name));
                list.append(py::make_tuple("numsub", call.id, names));
                break;
            }
            case Call::Kind::reconnect:
                list.append(py::make_tuple("reconnect"));
                break;
            case Call::Kind::close:
                list.append(py::make_tuple("close"));
                break;
        }
    }
    return py::make_tuple(list, complete);
}

namespace {

int kind_of(bool is_pattern) {
    return is_pattern ? FANWIRE_SUBSCRIPTION_PATTERN : FANWIRE_SUBSCRIPTION_CHANNEL;
}

}  // namespace

void Broker::ready() {
    check(fanwire_broker_ready(state_->handle));
}

void Broker::lost(int status, const std::string& text) {
    check(fanwire_broker_lost(state_->handle, status, text.c_str()));
}

void Broker::confirmed(bool is_pattern, const BytesView& name) {
    check(fanwire_broker_confirmed(state_->handle, kind_of(is_pattern), name.data(), name.size()));
}

void Broker::refused(bool is_pattern, const BytesView& name, int status, const std::string& text) {
    check(fanwire_broker_refused(state_->handle, kind_of(is_pattern), name.data(), name.size(), status, text.c_str()));
}

bool Broker::message(bool is_pattern, const BytesView& name, const BytesView& channel, const BytesView& payload) {
    const int status = fanwire_broker_message(state_->handle, kind_of(is_pattern), name.data(), name.size(),
                                              channel.data(), channel.size(), payload.data(), payload.size());
    if (status == FANWIRE_QUEUE_FULL) return false;
    check(status);
    return true;
}

void Broker::settled(std::uint64_t id, int status, const std::string& text, std::uint64_t receivers) {
    check(fanwire_broker_settled(state_->handle, id, status, text.c_str(), receivers));
}

void Broker::counted(std::uint64_t id, int status, const std::string& text, const std::vector<std::uint64_t>& counts) {
    check(fanwire_broker_counted(state_->handle, id, status, text.c_str(), counts.data(), counts.size()));
}

void define_broker(py::module_& module) {
    py::class_<Broker>(module, "Broker")
        .def(py::init())
        .def("attach", &Broker::attach)
        .def("detach", &Broker::detach)
        .def("fileno", &Broker::fd)
        .def("take", &Broker::take)
        .def("ready", &Broker::ready)
        .def("lost", &Broker::lost)
        .def("confirmed", [](Broker& broker, bool is_pattern,
                             py::handle name) { broker.confirmed(is_pattern, BytesView::of_payload(name)); })
        .def("refused",
             [](Broker& broker, bool is_pattern, py::handle name, int status, const std::string& text) {
                 broker.refused(is_pattern, BytesView::of_payload(name), status, text);
             })
        .def("message",
             [](Broker& broker, bool is_pattern, py::handle name, py::handle channel, py::handle payload) {
                 return broker.message(is_pattern, BytesView::of_payload(name), BytesView::of_payload(channel),
                                       BytesView::of_payload(payload));
             })
        .def("settled", &Broker::settled)
        .def("counted", &Broker::counted);
}

}  // namespace fanwire::python
