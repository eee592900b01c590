// Host names to addresses, on a thread of its own: getaddrinfo blocks, and may do so for as long as DNS pleases.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/error.h"

namespace fanwire::core {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    int family() const { return storage.ss_family; }
    bool operator==(const Address& other) const;
    // "127.0.0.1:6379", "[::1]:6379", or the path of a unix socket.
    std::string text() const;
    // Throws Failure INVALID_OPTION when the path is too long for the system.
    static Address of_unix_path(const std::string& path);
};

struct Resolved {
    std::vector<Address> addresses;  // in the order to try them
    Error error;
};

// Asks the system; may block. `flags` are those of getaddrinfo().
Resolved look_up(const std::string& host, std::uint16_t port, int flags);

class Resolver {
 public:
    // Called on the resolver's thread.
    using Done = std::function<void(Resolved)>;
    // How names are looked up, and the time; tests have their own.
    using LookUp = std::function<Resolved(const std::string& host, std::uint16_t port, int flags)>;
    using Clock = std::function<TimeMs()>;

    static constexpr TimeMs answer_kept_ms = 60 * 1000;

    explicit Resolver(LookUp look_up = core::look_up, Clock now = now_ms);
    // Does not wait for a look-up that is under way: its result is dropped and its thread ends after it.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // Literal addresses are answered before this returns. Else the thread is started when first needed, and those who
    // ask for the same name while it is looked up get the same answer. An answer that took too long for who asked is
    // kept for the next one to ask within a minute, so that slow name servers delay a connection and do not prevent it.
    void resolve(const std::string& host, std::uint16_t port, Done done);

 private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace fanwire::core
