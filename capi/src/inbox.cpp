// Inboxes and the events in them.
#include <system_error>

#include "capi/src/handle.h"
#include "core/engine/make_inbox.h"

using namespace fanwire::capi;
using namespace fanwire::core;

namespace {

void add_parts(fanwire_event& out, const Message& message) {
    out.channel = message.channel().data();
    out.channel_size = message.channel().size();
    if (message.has_pattern()) {
        out.pattern = message.pattern().data();
        out.pattern_size = message.pattern().size();
    }
    out.payload = message.payload().data();
    out.payload_size = message.payload().size();
}

}  // namespace

fanwire_event fanwire::capi::to_c(const Event& event) {
    fanwire_event out{};
    out.kind = static_cast<int>(event.kind);
    out.status = static_cast<int>(event.status);
    out.reason = static_cast<int>(event.reason);
    out.will_reconnect = event.will_reconnect ? 1 : 0;
    out.user_data = event.user_data;
    out.count = event.count;
    (event.kind == EventKind::request_done ? out.missing : out.delay_ms) = event.delay_ms;
    if (!event.message) return out;
    const Message& message = *event.message;
    out.message = to_c(event.message.get());
    if (event.kind == EventKind::reply || (event.kind == EventKind::numsub && event.status == Status::OK)) {
        out.payload = message.payload().data();
        out.payload_size = message.payload().size();
        return out;
    }
    if (event.kind != EventKind::message) {
        out.text = message.payload().data();
        return out;
    }
    add_parts(out, message);
    return out;
}

namespace {

fanwire_event& element(fanwire_event* events, size_t event_size, size_t i) {
    return *reinterpret_cast<fanwire_event*>(reinterpret_cast<char*>(events) + i * event_size);
}

void check_array(fanwire_event* events, size_t event_size, size_t count) {
    if (count != 0) required(events, "events");
    if (event_size < first_size<fanwire_event>) reject("event_size is smaller than the first version of fanwire_event");
    if (event_size % alignof(fanwire_event) != 0) reject("event_size is not the size of a fanwire_event");
}

// Where drained events go: the caller's array.
struct ToArray {
    fanwire_event* events;
    size_t event_size;
    size_t next = 0;

    // Fills the next element. A caller of another version has shorter ones, or longer ones.
    template <class Fill>
    void put(Fill&& fill) {
        fanwire_event& out = element(events, event_size, next++);
        if (event_size == sizeof(fanwire_event)) {
            fill(out);
            return;
        }
        fanwire_event whole;
        fill(whole);
        copy_out(&out, event_size, whole, "event");
    }
    void message(Subscription& subscription, Message* message) {
        put([&](fanwire_event& out) {
            out = {};
            out.kind = FANWIRE_EVENT_MESSAGE;
            out.user_data = subscription.user_data();
            out.message = to_c(message);  // the caller's now
            add_parts(out, *message);
        });
    }
    void event(Subscription*, Event&& event) {
        put([&](fanwire_event& out) { out = to_c(event); });
        event.message.detach();
    }
};

void refuse_dispatched(const fanwire_inbox& handle) {
    if (handle.dispatcher) reject("a dispatcher is running: it drains this inbox");
}

}  // namespace

int fanwire_inbox_create(fanwire_inbox** inbox, const fanwire_options* options) {
    return guarded_wait([&] {
        required(inbox, "inbox");
        const Settings settings = options ? checked(options).options.resolve(process_environment())
                                          : Options().resolve(process_environment());
        auto handle = std::make_unique<fanwire_inbox>();
        handle->inbox = make_inbox(settings);
        *inbox = handle.release();
    });
}

void fanwire_inbox_destroy(fanwire_inbox** inbox) {
    destroy(inbox);
}

fanwire_inbox::~fanwire_inbox() {
    if (!inbox) return;  // there was no memory for it
    const CancellationOff off;
    if (forked()) {
        guarded([&] {
            leak(std::move(dispatcher));
            leak(std::move(users));
            leak(std::move(drained));
            leak(std::move(inbox));
        });
        return;
    }
    dispatcher.reset();  // first: its callback may be subscribing
    inbox->retire();
    for (const User& user : users)
        if (const auto engine = user.engine.lock()) engine->end_retired();
    inbox->set_wake(nullptr);
    inbox->close();
}

int fanwire_inbox_fd(fanwire_inbox* inbox, int* fd) {
    return guarded([&] {
        auto& handle = checked(inbox);
        required(fd, "fd") = handle.inbox->fd();
    });
}

int fanwire_inbox_set_wake(fanwire_inbox* inbox, fanwire_wake_fn wake, void* user_data) {
    return guarded_wait([&] {
        auto& handle = checked(inbox);
        if (wake)
            handle.inbox->set_wake([=] { wake(user_data); });
        else
            handle.inbox->set_wake(nullptr);
    });
}

int fanwire_inbox_drain(fanwire_inbox* inbox, fanwire_event* events, size_t event_size, size_t capacity,
                        size_t* count) {
    return guarded([&] {
        auto& handle = checked(inbox);
        required(count, "count") = 0;
        check_array(events, event_size, capacity);
        std::lock_guard lock(handle.mutex);
        refuse_dispatched(handle);
        *count = handle.inbox->drain(handle.drained, capacity, ToArray{events, event_size});
        handle.drained.release();
    });
}

int fanwire_inbox_wait(fanwire_inbox* inbox, uint64_t timeout_ms) {
    return guarded_wait([&] {
        auto& handle = checked(inbox);
        {
            std::lock_guard lock(handle.mutex);
            refuse_dispatched(handle);
        }
        if (!handle.inbox->wait(deadline_in(timeout_ms))) throw Failure(Status::TIMEOUT, "no event came in time");
    });
}

int fanwire_events_release(fanwire_event* events, size_t event_size, size_t count) {
    return guarded([&] {
        check_array(events, event_size, count);
        MessageReleaser messages;
        for (size_t i = 0; i < count; ++i) {
            fanwire_event& event = element(events, event_size, i);
            messages.release(reinterpret_cast<Message*>(event.message));
            event.message = nullptr;
        }
    });
}

int fanwire_inbox_dispatch(fanwire_inbox* inbox, fanwire_event_fn callback, void* user_data) {
    return guarded_wait([&] {
        auto& handle = checked(inbox);
        if (!callback) reject("callback is NULL");
        std::unique_lock lock(handle.mutex);
        if (handle.dispatcher) reject("a dispatcher is running already");
        try {
            handle.dispatcher = std::make_unique<Dispatcher>(handle.inbox, [=](const Event& event) {
                const fanwire_event out = to_c(event);
                callback(user_data, &out);
            });
        } catch (const std::system_error& error) {
            throw Failure(Status::SYSTEM_ERROR, std::string("no thread for the dispatcher: ") + error.what());
        }
        Dispatcher& dispatcher = *handle.dispatcher;
        lock.unlock();
        dispatcher.begin();  // its callback may destroy the inbox at once
    });
}

int fanwire_inbox_stats_get(const fanwire_inbox* inbox, fanwire_inbox_stats* stats, size_t stats_size) {
    return guarded([&] {
        auto& handle = const_cast<fanwire_inbox&>(checked(inbox));
        const InboxStats now = handle.inbox->stats();
        std::lock_guard lock(handle.mutex);
        const fanwire_inbox_stats out{now.queued, now.queued_bytes, now.drained, now.dropped,
                                      handle.dispatcher ? handle.dispatcher->callback_errors() : 0};
        copy_out(stats, stats_size, out, "stats");
    });
}
