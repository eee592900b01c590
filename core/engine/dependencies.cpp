#include "core/engine/dependencies.h"

#include <iterator>

#include "core/net/loop.h"
#include "core/net/tls.h"
#include "core/protocol/reply.h"

namespace fanwire::core {

const Dependency* dependency_at(std::size_t index) {
    static const Dependency all[] = {
        {"hiredis", hiredis_version()}, {"libevent", libevent_version()}, {"openssl", openssl_version()}};
    return index < std::size(all) ? &all[index] : nullptr;
}

}  // namespace fanwire::core
