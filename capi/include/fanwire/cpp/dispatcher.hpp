// A handler for each subscription. Part of fanwire.hpp.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "fanwire/cpp/engine.hpp"

namespace fanwire {

// An inbox and its thread, with a handler of its own for each subscription, publish and engine. Handlers are called
// one at a time and in order; they may call anything of this header: unsubscribe themselves, subscribe others,
// destroy the Dispatcher. What they throw goes to `on_error`, is counted in stats().callback_errors, and delivery
// goes on. A subscription's handler is freed after its ENDED event, a publish's after its PUBLISHED, all with the
// Dispatcher.
class Dispatcher {
 public:
    explicit Dispatcher(ErrorHandler on_error = {}) { start(std::move(on_error)); }
    explicit Dispatcher(const Options& limits, ErrorHandler on_error = {}) : inbox_(limits) {
        start(std::move(on_error));
    }

    // `handler` gets every event of the subscription: MESSAGE, ACTIVE, LOST, RESUMED, GAP, FAILED, and ENDED last.
    // Throws what Engine::subscribe() does, and then never calls it.
    [[nodiscard]] Subscription subscribe(Engine& engine, std::string_view channel, EventHandler handler) {
        return with_route(std::move(handler), FANWIRE_EVENT_ENDED,
                          [&](void* route) { return engine.subscribe(channel, inbox_, route); });
    }
    [[nodiscard]] Subscription psubscribe(Engine& engine, std::string_view pattern, EventHandler handler) {
        return with_route(std::move(handler), FANWIRE_EVENT_ENDED,
                          [&](void* route) { return engine.psubscribe(pattern, inbox_, route); });
    }

    // `handler` gets the one PUBLISHED event: status() and, when that is OK, count(), the receivers.
    void publish(Engine& engine, std::string_view channel, std::string_view payload, EventHandler handler) {
        with_route(std::move(handler), FANWIRE_EVENT_PUBLISHED,
                   [&](void* route) { engine.publish_async(channel, payload, inbox_, route); });
    }

    // `handler` gets the CONNECTED, DISCONNECTED, RECONNECTING, ERROR and GAVE_UP events of the engines that are opened
    // with `options` while the Dispatcher lives.
    void engine_events(Options& options, EventHandler handler) {
        with_route(std::move(handler), 0, [&](void* route) { options.engine_inbox(inbox_, route); });
    }

    fanwire_inbox_stats stats() const { return inbox_.stats(); }

 private:
    struct Route {
        EventHandler handler;
        int last;  // the kind of event after which it is not needed; 0: none
    };
    // Shared with the dispatching thread, which may outlive this object by the call that destroyed it.
    struct Routes {
        std::mutex mutex;
        std::unordered_map<void*, std::shared_ptr<Route>> map;

        void add(const std::shared_ptr<Route>& route) {
            const std::lock_guard<std::mutex> lock(mutex);
            map.emplace(route.get(), route);
        }
        std::shared_ptr<Route> find(void* key, int kind) {
            const std::lock_guard<std::mutex> lock(mutex);
            const auto found = map.find(key);
            if (found == map.end()) return nullptr;
            std::shared_ptr<Route> route = found->second;
            if (route->last == kind) map.erase(found);
            return route;
        }
        std::shared_ptr<Route> remove(void* key) {  // returned, for its handler is freed without the lock
            const std::lock_guard<std::mutex> lock(mutex);
            const auto found = map.find(key);
            if (found == map.end()) return nullptr;
            std::shared_ptr<Route> route = std::move(found->second);
            map.erase(found);
            return route;
        }
    };

    void start(ErrorHandler on_error) {
        inbox_.dispatch(
            [routes = routes_](const Event& event) {
                if (const auto route = routes->find(event.user_data(), event.kind())) route->handler(event);
            },
            std::move(on_error));
    }

    template <typename Call>
    std::invoke_result_t<Call, void*> with_route(EventHandler handler, int last, Call call) {
        if (!handler) throw Error(FANWIRE_INVALID_ARGUMENT, "the handler is empty");
        if (!routes_) throw Error(FANWIRE_INVALID_ARGUMENT, "the Dispatcher was moved from");
        const auto route = std::make_shared<Route>(Route{std::move(handler), last});
        routes_->add(route);  // first: the event may come before the call returns
        try {
            return call(route.get());
        } catch (...) {
            routes_->remove(route.get());
            throw;
        }
    }

    std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
    Inbox inbox_;  // destroyed first
};

}  // namespace fanwire
