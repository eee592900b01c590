// An open connection as the Dialer hands it over.
#pragma once

#include <memory>
#include <string>

#include "core/net/socket_handle.h"
#include "core/net/tls_pipe.h"

namespace fanwire::core {

struct Dialed {
    SocketHandle socket;
    std::unique_ptr<TlsPipe> tls;  // whose handshake is done, and which may have received more already; null: plain
    std::string peer;              // for texts
    bool local = false;            // a unix socket
};

}  // namespace fanwire::core
