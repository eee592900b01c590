// Places between two steps of one thread where the steps of another may come. Tests compile the files that have them
// with FANWIRE_DOORS and have those steps made there, not by luck. Otherwise nothing stands there.
#pragma once

#ifdef FANWIRE_DOORS
namespace fanwire::core {
extern void (*at_door)(const char* name);  // the test's
}
#define FANWIRE_DOOR(name) \
    if (fanwire::core::at_door) fanwire::core::at_door(name)
#else
#define FANWIRE_DOOR(name) static_cast<void>(0)
#endif
