// Whether an engine is connected, as its IO thread last saw it.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/base/error.h"
#include "core/fanout/change_signal.h"

namespace fanwire::core {

// What calls to an engine fail with when it is closed.
extern const Error closed_error;

enum class EngineState {
#define FANWIRE_ENGINE_STATE(upper, name, code, help) name = code,
#include "core/base/names.def"
};

class LiveState {
 public:
    using Deadline = std::chrono::steady_clock::time_point;

    explicit LiveState(ChangeSignal& changed) : changed_(changed) {}

    // ---- IO thread ----

    void connected() noexcept;
    void disconnected(const Error& why) noexcept;
    void attempt_failed(const Error& why, bool will_retry) noexcept;
    // Connecting goes on after all attempts had failed.
    void revived() noexcept;
    void closed() noexcept;

    // ---- Thread: any ----

    // Another attempt follows: calls of wait_connected() from now on wait for that one.
    void attempt_follows() noexcept;
    EngineState now() const;
    // Waits until an attempt to connect has succeeded or failed. Throws Failure: why it failed, CLOSED, TIMEOUT.
    void wait_connected(Deadline deadline);

    struct Trouble {
        Error why;               // why it is not connected, if that is known
        bool exhausted = false;  // no attempt to connect follows
    };
    Trouble trouble() const;
    // Returns that reason, or OK while connected. Called under the signal's mutex.
    Error why_not_locked() const { return attempt_ == Attempt::succeeded ? Error() : why_; }

 private:
    enum class Attempt : std::uint8_t { under_way, succeeded, failed, closed };

    ChangeSignal& changed_;
    // Under its mutex:
    Attempt attempt_ = Attempt::under_way;  // how the last attempt ended
    Error why_;
    bool was_connected_ = false;  // ever
    bool exhausted_ = false;
};

}  // namespace fanwire::core
