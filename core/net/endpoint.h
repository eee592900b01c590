// Where to connect to, and how.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/clock.h"

namespace fanwire::core {

class TlsContext;

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;
    std::string unix_path;  // if not empty, this is the server, and host and port mean nothing
    TimeMs connect_timeout = 2000;
    std::uint32_t read_delay_max_us = 0;
    std::shared_ptr<const TlsContext> tls;  // null: TLS is not spoken
    std::string tls_name;                   // the name that the server's certificate must be for
};

}  // namespace fanwire::core
