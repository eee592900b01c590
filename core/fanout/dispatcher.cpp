#include "core/fanout/dispatcher.h"

#include <cxxabi.h>
#include <pthread.h>

#include <csetjmp>
#include <exception>
#include <utility>

#include "core/base/thread.h"

namespace fanwire::core {

namespace {
constexpr std::size_t batch = 256;
}

Dispatcher::Dispatcher(std::shared_ptr<Inbox> inbox, Callback callback) : state_(std::make_shared<State>()) {
    state_->inbox = std::move(inbox);
    state_->callback = std::move(callback);
    state_->items.reserve(batch);
    state_->batch.reserve(batch);
    thread_ = start_thread("fanwire-handler", [state = state_] {
        state->begun.wait(false);
        run(state);
    });
}

void Dispatcher::begin() noexcept {
    const std::shared_ptr<State> state = state_;  // `this` may be gone when the thread has begun
    state->begun.store(true);
    state->begun.notify_one();
}

Dispatcher::~Dispatcher() {
    state_->stop.store(true);
    state_->inbox->interrupt();
    begin();
    if (thread_.get_id() == std::this_thread::get_id())
        thread_.detach();
    else
        thread_.join();
}

void Dispatcher::run(const std::shared_ptr<State>& state) {
#ifndef __GLIBCXX__
    std::jmp_buf end_of_thread;
    // Not std::setjmp, which is a macro.
    if (setjmp(end_of_thread) != 0) pthread_exit(nullptr);
#endif
    struct Collect {
        std::vector<Item>& items;
        void message(Subscription& subscription, Message* message) {
            Event event = Event::of(EventKind::message);
            event.user_data = subscription.user_data();
            event.message = MessageRef::adopt(message);
            items.push_back({std::move(event), &subscription});
        }
        void event(Subscription* subscription, Event&& event) { items.push_back({std::move(event), subscription}); }
    };
    std::vector<Item>& items = state->items;
    while (!state->stop.load() && state->inbox->wait()) {
        state->inbox->drain(state->batch, batch, Collect{items});
        for (std::size_t i = 0; i < items.size() && !state->stop.load(); ++i) {
            const auto& [event, subscription] = items[i];
            // Abandoned since the drain, perhaps by the previous callback: only ENDED may follow.
            if (subscription && subscription->abandoned() && event.kind != EventKind::ended) continue;
            try {
                state->callback(event);
#ifdef __GLIBCXX__
            } catch (const abi::__forced_unwind&) {  // the callback has ended its thread (pthread_exit), which may not
                                                     // be stopped
                throw;
#endif
            } catch (...) {
#ifndef __GLIBCXX__
                // Other C++ libraries have no type for that and cannot rethrow it: here it is whatever is no C++
                // exception. Running off the end of this block would end the process, and so would ending the thread in
                // it.
                if (!std::current_exception()) std::longjmp(end_of_thread, 1);
#endif
                state->errors.fetch_add(1, std::memory_order_relaxed);
            }
        }
        MessageReleaser messages;
        for (Item& item : items) messages.release(item.event.message.detach());
        items.clear();
        state->batch.release();
    }
}

}  // namespace fanwire::core
