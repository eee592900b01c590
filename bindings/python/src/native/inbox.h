// An inbox and the Python objects its events are for.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "failure.h"
#include "options.h"
#include "targets.h"
#include "waker.h"

namespace fanwire::python {

class Inbox {
 public:
    // `waker` (may be null) is told `key` when something comes. A drain gives at most `capacity` events.
    Inbox(const Options& options, std::size_t capacity, std::shared_ptr<Waker> waker, std::uint64_t key);
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    // A list of (target, item): target is the object the event is for (None: the engine itself), item a Message, the
    // number of receivers of a publish that succeeded, or (kind, status, text, reason, count, delay_ms,
    // will_reconnect) with count None when it is unknown.
    py::list drain(std::size_t limit);

    // False when nothing came in time.
    bool wait(std::uint64_t timeout_ms);

    Targets& targets() { return targets_; }
    fanwire_inbox* handle() const { return handle_; }

 private:
    py::object take_item(fanwire_event& event);
    py::object take_target(const fanwire_event& event);

    const std::shared_ptr<Waker> waker_;
    Waker::Source source_;
    fanwire_inbox* handle_ = nullptr;
    Targets targets_;
    std::size_t capacity_;
    std::vector<fanwire_event> spare_;  // empty while a drain uses it
};

void define_inbox(py::module_& module);

}  // namespace fanwire::python
