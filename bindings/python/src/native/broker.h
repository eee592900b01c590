// A broker in Python: what an engine asks of it, on its way to the event loop, and what it reports.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bytes_view.h"
#include "failure.h"
#include "options.h"
#include "waker.h"

namespace fanwire::python {

// The engine's IO thread must never wait for the GIL, so it only leaves its calls here and rings; the event loop takes
// them. Its size is bounded by what bounds the engine: publish_buffer_bytes and the number of subscriptions.
class Broker {
 public:
    Broker() : state_(std::make_shared<State>()) {}

    // The engine that is opened with these options uses it. Only one may be.
    void attach(const Options& options);
    // No engine was opened after all.
    void detach() { state_->self.reset(); }

    // Readable while calls wait.
    int fd() const { return state_->waker.fd(); }
    // ([(name of the call, ...), ...], in order; whether all calls are there: one for which there was no memory is
    // not).
    py::tuple take();

    void ready();
    void lost(int status, const std::string& text);
    void confirmed(bool is_pattern, const BytesView& name);
    void refused(bool is_pattern, const BytesView& name, int status, const std::string& text);
    // False: it was dropped.
    bool message(bool is_pattern, const BytesView& name, const BytesView& channel, const BytesView& payload);
    void settled(std::uint64_t id, int status, const std::string& text, std::uint64_t receivers);
    void counted(std::uint64_t id, int status, const std::string& text, const std::vector<std::uint64_t>& counts);

 private:
    struct Call {
        enum class Kind { start, subscribe, unsubscribe, publish, numsub, reconnect, close };
        Kind kind;
        int target;
        std::uint64_t id;
        std::string name, payload;
        std::vector<std::string> names;

        explicit Call(Kind k, int t = 0, std::uint64_t i = 0, std::string n = {}, std::string p = {})
            : kind(k), target(t), id(i), name(std::move(n)), payload(std::move(p)) {}
    };

    // Shared with the engine from `start` to `close`, which may outlive the object.
    struct State {
        ~State() { fanwire_broker_destroy(&handle); }
        // Adds the call that `make` makes.
        template <class Make>
        void add(Make&& make) noexcept;

        Waker waker;
        std::mutex mutex;
        std::deque<Call> calls;
        bool incomplete = false;  // there was no memory for a call
        fanwire_broker* handle = nullptr;
        std::shared_ptr<State> self;  // the engine's share
    };

    const std::shared_ptr<State> state_;
};

void define_broker(py::module_& module);

}  // namespace fanwire::python
