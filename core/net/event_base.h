// Makes the event_base of a loop, so that libevent does not end the process when there are no descriptors for it.
#pragma once

struct event_base;

namespace fanwire::core {

// Throws Failure SYSTEM_ERROR, or std::bad_alloc.
event_base* make_event_base();

}  // namespace fanwire::core
