// A TlsSession whose bytes of the wire go through a socket, somebody else's. Nothing here waits.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "core/net/tls.h"

namespace fanwire::core {

class TlsPipe {
 public:
    // As much is received at once, and handed to session().write() at once.
    static constexpr std::size_t piece = std::size_t{64} << 10;

    // Throws as TlsSession.
    TlsPipe(std::shared_ptr<const TlsContext> context, std::string_view server_name);

    TlsSession& session() { return session_; }

    // Receives once and feeds the session, which must be hungry. Returns how many bytes came; 0: the other end has
    // closed; negative: see errno.
    std::ptrdiff_t receive(int fd);
    // Sends what the session has made. Returns 0 when everything is out, else the error, EAGAIN among them.
    int flush(int fd);
    // Sends of it what the system takes at once: an alert or a goodbye before the socket is closed.
    void send_rest(int fd);

 private:
    TlsSession session_;
    std::vector<char> buffer_;  // what the session has not taken yet
};

}  // namespace fanwire::core
