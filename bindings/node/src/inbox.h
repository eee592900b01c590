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

   private:
    void release_events();

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
    bool full_ = false; // the last drain gave all it was allowed to: more may wait
};

void export_inbox(napi_env env, napi_value exports);

} // namespace fanwire::node
