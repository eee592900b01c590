// An inbox with the limits that the settings ask for.
#pragma once

#include <memory>

#include "core/base/settings.h"
#include "core/fanout/inbox.h"

namespace fanwire::core {

// Belongs to no engine yet. Throws Failure SYSTEM_ERROR or std::bad_alloc.
std::shared_ptr<Inbox> make_inbox(const Settings& settings);

}  // namespace fanwire::core
