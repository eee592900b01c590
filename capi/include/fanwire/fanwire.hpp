// fanwire for C++17: RAII over fanwire.h, header only. This is the one to include; link as for fanwire.h.
//
// Conventions, said once:
//  - Classes own one handle each and are moved, not copied, but for Message, whose copies share. Destruction never
//    throws and may happen in any order, from inside a handler too. A moved-from object may only be assigned to or
//    destroyed: other calls on it throw INVALID_ARGUMENT.
//  - What fails throws fanwire::Error and has changed nothing. Out of memory here throws std::bad_alloc.
//  - Any thread may call anything, unless a function says otherwise.
//  - std::string_view that a function returns is borrowed: the comment says from what. Channels, patterns and
//    payloads are bytes and may hold NUL.
//  - Times are std::chrono::milliseconds; `forever` waits without limit, zero and less do not wait.
//  - The enumerations (FANWIRE_EVENT_MESSAGE, FANWIRE_TIMEOUT, ...) and stats structs are those of fanwire.h.
//  - Everything is available since 0.1.0 unless it says otherwise.
#pragma once

// Said here, because what an older language makes of the rest says nothing. (MSVC keeps __cplusplus at that of C++98.)
#if __cplusplus < 201703L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 201703L)
#error "fanwire.hpp needs C++17 or later, as -std=c++17 chooses it; fanwire.h works with any C++ and C"
#else

#include "fanwire/cpp/dispatcher.hpp"
#include "fanwire/cpp/engine.hpp"
#include "fanwire/cpp/envelope.hpp"
#include "fanwire/cpp/error.hpp"
#include "fanwire/cpp/event.hpp"
#include "fanwire/cpp/inbox.hpp"
#include "fanwire/cpp/json.hpp"
#include "fanwire/cpp/options.hpp"
#include "fanwire/fanwire.h"

#endif
