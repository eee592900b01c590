// An inbox and the Python objects its events are for.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "decoder.h"
#include "failure.h"
#include "options.h"
#include "section.h"
#include "targets.h"
#include "waker.h"

namespace fanwire::python {

class Inbox {
 public:
    // `waker` (may be null) is told `key` when something comes. A drain gives at most `capacity` events.
    // `decode` (None: there is no codec) makes a value of the bytes of each message, or raises.
    Inbox(const Options& options, std::size_t capacity, std::shared_ptr<Waker> waker, std::uint64_t key,
          py::handle decode);
    ~Inbox();
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    // Takes a batch and calls the handlers with the messages in it; whether more may wait. The rest goes to
    // on_event(target, event), with target the Receiver or Outcome it is for (None: the engine itself) and event as
    // take() gives it, also for a message that cannot be decoded. on_trouble(receiver, message, error, awaitable) hears
    // of a handler that raised `error`, or that has returned a coroutine or the like. What these raise ends the batch,
    // as does what a handler raises and is neither an Exception nor a CancelledError, unless `catch_all`; the next call
    // goes on with the rest of the batch. -1 with a Python error set.
    int deliver(PyObject* on_event, PyObject* on_trouble, bool catch_all);

    // Whether there are outcomes whose callbacks are to be called.
    bool has_settled() const {
        Section section(lock());
        return next_settled_ < settled_.size();
    }
    // Calls them, as a turn of the event loop: no task may be running. False with a Python error set.
    bool call_back();

    // At most `limit` events, each a Message, (message, error) when the codec cannot decode it, or
    // (kind, status, text, reason, count, delay_ms, will_reconnect, missing) with count and missing None when they are
    // unknown. For an inbox with one subscription, made without a target.
    py::list take(std::size_t limit);
    // The same, but messages only, and up to the next event.
    py::list take_messages(std::size_t limit);

    // False when nothing came in time.
    bool wait(std::uint64_t timeout_ms);

    // What the messages of its one subscription have as channel or pattern (null: neither is known).
    void set_names(py::object channel, py::object pattern);

    // Whose section keeps other threads out of all this; anything, where there is a GIL.
    PyObject* lock() const { return lock_.ptr(); }
    // Needs the section of lock().
    Targets& targets() { return targets_; }
    // The objects that events are still to come for: subscriptions with a handler, and outcomes.
    py::list target_objects() const;

    // The Publisher through which its messages are answered. It must not lead back here.
    void set_replier(py::object replier) {
        Section section(lock());
        replier_ = std::move(replier);
    }

    // For the garbage collector.
    int traverse(visitproc visit, void* arg) const;
    void release_objects();

    fanwire_inbox* handle() const { return handle_; }

 private:
    void release_batch();
    void refill(std::size_t limit);
    PyObject* take_item();
    int deliver_all(Section& section, PyObject* on_event, PyObject* on_trouble, bool catch_all);
    bool deliver_message(Section& section, fanwire_event& event, PyObject* on_event, PyObject* on_trouble,
                         bool catch_all);
    bool deliver_rest(Section& section, PyObject* on_event, PyObject* on_trouble, bool catch_all);
    bool deliver_event(Section& section, const fanwire_event& event, PyObject* on_event);

    const py::object lock_;
    const std::shared_ptr<Waker> waker_;
    Waker::Source source_;
    fanwire_inbox* handle_ = nullptr;
    Targets targets_;
    std::size_t capacity_;
    std::vector<fanwire_event> batch_;  // of its first count_, those from next_ on are still to be handled
    std::size_t count_ = 0;
    std::size_t next_ = 0;
    std::vector<PyObject*> settled_;  // owned; those from next_settled_ on are still to be called back
    std::size_t next_settled_ = 0;
    Decoder decoder_;
    py::object replier_ = py::none();
    py::object put_back_;  // what take_messages() came upon that is no message
    py::object channel_;   // of the one subscription; null: it is for a pattern, or there are more
    py::object pattern_;
};

void define_inbox(py::module_& module);

}  // namespace fanwire::python
