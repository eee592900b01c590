#include "inbox.h"

#include "batch.h"

namespace fanwire::node {
namespace {

// inboxCreate(options, id, capacity) -> inbox
napi_value inbox_create(const Call& call) {
    const auto& options = handle_at<Options>(call, 0);
    return make_external(call.env(),
                         std::make_unique<Inbox>(Environment::of(call.env()), options, call.number(1), call.number(2)));
}

// inboxDestroy(inbox): ends the subscriptions that use it and forgets what it holds.
napi_value inbox_destroy(const Call& call) {
    handle_at<Inbox>(call, 0).close();
    return nullptr;
}

// inboxDrain(inbox, head) -> values or undefined: see batch.h
napi_value inbox_drain(const Call& call) {
    return write_batch(call.env(), handle_at<Inbox>(call, 0), call[1]);
}

// A message that is kept to be compared with the next one should not keep much.
constexpr size_t kLargestKept = size_t{64} << 10;

}  // namespace

Inbox::Inbox(std::shared_ptr<Environment> environment, const Options& options, uint32_t id, size_t capacity)
    : Handle(std::move(environment)), wake_{this->environment().waker(), id}, events_(capacity) {
    this->environment().check(fanwire_inbox_create(&inbox_, options.get()));
    const auto wake = [](void* data) noexcept {
        const auto* self = static_cast<const Wake*>(data);
        self->waker->wake(self->id);
    };
    this->environment().check(fanwire_inbox_set_wake(inbox_, wake, &wake_));
    this->environment().tell_memory(memory());
}

void Inbox::close() {
    release_events();
    keep_message(nullptr);
    if (inbox_ != nullptr) environment().tell_memory(-memory());
    fanwire_inbox_destroy(&inbox_);
    Handle::close();
}

void Inbox::release_events() {
    if (count_ > 0) {
        const fanwire_event& last = events_[count_ - 1];
        keep_message(last.payload_size <= kLargestKept ? last.message : nullptr);
        if (kept_message_ == nullptr) last_message_ = nullptr;
        fanwire_events_release(events_.data(), sizeof(fanwire_event), count_);
    }
    next_ = count_ = 0;
}

void Inbox::keep_message(fanwire_message* message) {
    if (message != nullptr) fanwire_message_retain(message);
    if (kept_message_ != nullptr) fanwire_message_release(kept_message_);
    kept_message_ = message;
}

int64_t Inbox::memory() const {
    constexpr size_t kOfEngine = 4096;  // the engine's part and the subscription's
    return static_cast<int64_t>(kOfEngine + events_.size() * sizeof(fanwire_event));
}

bool Inbox::refill() {
    if (next_ < count_) return true;
    release_events();
    full_ = false;
    if (inbox_ == nullptr) return false;
    environment().check(fanwire_inbox_drain(inbox_, events_.data(), sizeof(fanwire_event), events_.size(), &count_));
    full_ = count_ == events_.size();
    return count_ > 0;
}

void export_inbox(napi_env env, napi_value exports) {
    export_function<inbox_create>(env, exports, "inboxCreate");
    export_function<inbox_destroy>(env, exports, "inboxDestroy");
    export_function<inbox_drain>(env, exports, "inboxDrain");
}

}  // namespace fanwire::node
