#include "core/engine/make_inbox.h"

#include "core/base/keyed_hash.h"
#include "core/net/event_fd.h"

namespace fanwire::core {

std::shared_ptr<Inbox> make_inbox(const Settings& settings) {
    InboxLimits limits;
    limits.count = static_cast<std::size_t>(settings.inbox_count);
    limits.bytes = static_cast<std::size_t>(settings.inbox_bytes);
    limits.overflow = settings.overflow;
    return std::make_shared<Inbox>(limits, make_event_fd, random_seed());
}

}  // namespace fanwire::core
