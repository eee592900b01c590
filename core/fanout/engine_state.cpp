#include "core/fanout/engine_state.h"

namespace fanwire::core {

const Error closed_error{Status::CLOSED, "the engine is closed"};

void LiveState::connected() noexcept {
    {
        std::lock_guard lock(changed_.mutex);
        attempt_ = Attempt::succeeded;
        was_connected_ = true;
        why_ = {};
    }
    changed_.notify();
}

void LiveState::disconnected(const Error& why) noexcept {
    std::lock_guard lock(changed_.mutex);
    attempt_ = Attempt::under_way;  // none has failed yet
    why_ = why;
}

void LiveState::attempt_failed(const Error& why, bool will_retry) noexcept {
    {
        std::lock_guard lock(changed_.mutex);
        attempt_ = Attempt::failed;
        why_ = why;
        exhausted_ = !will_retry;
    }
    changed_.notify();
}

void LiveState::revived() noexcept {
    std::lock_guard lock(changed_.mutex);
    attempt_ = Attempt::under_way;
    exhausted_ = false;
}

void LiveState::closed() noexcept {
    {
        std::lock_guard lock(changed_.mutex);
        attempt_ = Attempt::closed;
    }
    changed_.notify();
}

void LiveState::attempt_follows() noexcept {
    std::lock_guard lock(changed_.mutex);
    if (attempt_ == Attempt::failed) attempt_ = Attempt::under_way;
}

EngineState LiveState::now() const {
    std::lock_guard lock(changed_.mutex);
    if (attempt_ == Attempt::closed) return EngineState::closed;
    if (attempt_ == Attempt::succeeded) return EngineState::connected;
    if (exhausted_) return EngineState::gave_up;
    return was_connected_ ? EngineState::reconnecting : EngineState::connecting;
}

void LiveState::wait_connected(Deadline deadline) {
    std::unique_lock lock(changed_.mutex);
    if (!changed_.wait(lock, deadline, [&] { return attempt_ != Attempt::under_way; }))
        throw Failure(Status::TIMEOUT, "not connected yet");
    if (attempt_ == Attempt::closed) throw Failure(closed_error);
    if (attempt_ == Attempt::failed) throw Failure(why_);
}

LiveState::Trouble LiveState::trouble() const {
    std::lock_guard lock(changed_.mutex);
    return {why_, exhausted_};
}

}  // namespace fanwire::core
