// Asks a server that leaves a TLS handshake unanswered whether it speaks plain RESP: a Redis without TLS waits for the
// end of what it takes for a command, and says nothing. IO thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/net/loop.h"
#include "core/net/resolver.h"

namespace fanwire::core {

class PlaintextProbe {
 public:
    // Connects and sends a PING, which tells nothing of us. `answered` is called from the loop, once, with the first
    // line of an answer that is RESP; never for anything else. It may not destroy the probe.
    PlaintextProbe(Loop& loop, const Address& address, std::function<void(std::string)> answered);
    ~PlaintextProbe();
    // In the child of a fork(): closes its copy of the socket and touches nothing else.
    void abandon() noexcept;
    PlaintextProbe(const PlaintextProbe&) = delete;
    PlaintextProbe& operator=(const PlaintextProbe&) = delete;

 private:
    void connected();
    void readable();

    const std::function<void(std::string)> answered_;
    int fd_;
    std::unique_ptr<Loop::Watch> watch_;
};

}  // namespace fanwire::core
