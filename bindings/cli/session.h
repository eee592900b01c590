// One engine, one inbox, and the one place where the command waits.
#pragma once

#include <poll.h>

#include <functional>
#include <string>
#include <vector>

#include "bindings/cli/arguments.h"
#include "bindings/cli/deadline.h"
#include "bindings/cli/handles.h"
#include "bindings/cli/signals.h"

namespace fanwire::cli {

class Session {
 public:
    // Opens an engine with the settings of the command line, and an inbox that gets everything it reports.
    explicit Session(Arguments& arguments);

    fanwire_engine* engine() const { return engine_.get(); }
    fanwire_inbox* inbox() const { return inbox_.get(); }
    const Signals& signals() const { return signals_; }

    // Blocks until events wait, a signal came, the deadline passed or one of `others` is ready (revents tells).
    void wait(std::vector<pollfd>& others, const Deadline& deadline);

    // Hands over the events that wait, at most one batch; false when there were none. Messages are released after.
    bool drain(const std::function<void(const fanwire_event&)>& handle);

    // Waits until both links to Redis are ready; throws what went wrong when the first attempt fails. False when a
    // signal came or the deadline passed. It swallows all other events, those of subscriptions too.
    bool connect(const Deadline& deadline);

    // Sends what was accepted and disconnects.
    void close(unsigned long long timeout_ms);

 private:
    Signals signals_;
    Handle<fanwire_inbox> inbox_;
    Handle<fanwire_engine> engine_;
    int inbox_fd_ = -1;
};

}  // namespace fanwire::cli
