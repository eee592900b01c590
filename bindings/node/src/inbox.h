#pragma once

#include <vector>

#include "handle.h"
#include "options.h"

namespace fanwire::node {

// An inbox whose wake makes JavaScript call onWake(id).
class Inbox : public Handle {
 public:
    Inbox(std::shared_ptr<Environment> environment, const Options& options, uint32_t id, size_t capacity);
    ~Inbox() override { Inbox::close(); }
    const void* type() const override { return type_of<Inbox>(); }
    void close() override;

    fanwire_inbox* get() const { return inbox_; }

    // The events of the batch at hand that JavaScript has not seen; drains the next batch when there are none.
    // Returns false when nothing waits.
    bool refill();
    bool more() const { return next_ < count_ || full_; }
    const fanwire_event* event() const { return next_ < count_ ? &events_[next_] : nullptr; }
    void advance() { ++next_; }
    // Another number for each message, of events in the order in which they are drained. One that is delivered to
    // several subscriptions has the same number in all of their events that follow each other.
    uint32_t number_of(const fanwire_event& event) {
        if (event.message != last_message_) ++number_;
        last_message_ = event.message;
        return number_;
    }

 private:
    void release_events();
    void keep_message(fanwire_message* message);
    int64_t memory() const;  // about what the garbage collector cannot see

    // What the IO thread needs to wake us: kept until fanwire_inbox_destroy() has promised not to call again.
    struct Wake {
        std::shared_ptr<Waker> waker;
        uint32_t id;
    };

    Wake wake_;
    fanwire_inbox* inbox_ = nullptr;
    std::vector<fanwire_event> events_;
    size_t next_ = 0;
    size_t count_ = 0;
    const fanwire_message* last_message_ = nullptr;  // only compared
    fanwire_message* kept_message_ = nullptr;        // so that the next batch has no other at the same place
    uint32_t number_ = 0;
    bool full_ = false;  // the last drain gave all it was allowed to: more may wait
};

void export_inbox(napi_env env, napi_value exports);

}  // namespace fanwire::node
