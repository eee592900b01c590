#include "core/net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <utility>

#include "core/base/clock.h"
#include "core/base/thread.h"

namespace fanwire::core {

namespace {

constexpr std::size_t waiting_max = 16;
// Not AI_ADDRCONFIG: it hides a whole family when no interface but loopback has an address of it, also from "localhost"
// and from routes that need none. An address that cannot be reached is put last by getaddrinfo() and fails at once.
constexpr int name_flags = 0;

}  // namespace

Resolved look_up(const std::string& host, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    addrinfo* list = nullptr;
    Resolved resolved;
    const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
    if (code != 0) {
        resolved.error = {Status::RESOLVE_FAILED, "cannot resolve host \"" + host + "\": " + gai_strerror(code)};
        return resolved;
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(list, &freeaddrinfo);
    for (const addrinfo* item = list; item; item = item->ai_next) {
        Address address;
        std::memcpy(&address.storage, item->ai_addr, item->ai_addrlen);
        address.size = item->ai_addrlen;
        // /etc/hosts may name one twice; each has a share of the time.
        if (std::find(resolved.addresses.begin(), resolved.addresses.end(), address) == resolved.addresses.end())
            resolved.addresses.push_back(address);
    }
    return resolved;
}

bool Address::operator==(const Address& other) const {
    return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

std::string Address::text() const {
    char host[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(&storage);
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        return std::string(host) + ":" + std::to_string(ntohs(in->sin_port));
    }
    if (family() == AF_INET6) {
        const auto* in = reinterpret_cast<const sockaddr_in6*>(&storage);
        inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof host);
        return std::string("[").append(host).append("]:").append(std::to_string(ntohs(in->sin6_port)));
    }
    return reinterpret_cast<const sockaddr_un*>(&storage)->sun_path;
}

Address Address::of_unix_path(const std::string& path) {
    Address address;
    auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
    if (path.size() >= sizeof un->sun_path)
        throw Failure(Status::INVALID_OPTION, "unix_path is longer than the " +
                                                  std::to_string(sizeof un->sun_path - 1) +
                                                  " bytes that the system allows: \"" + path + "\"");
    un->sun_family = AF_UNIX;
    std::memcpy(un->sun_path, path.c_str(), path.size() + 1);
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
}

// Outlives the Resolver while a look-up is under way.
struct Resolver::Shared {
    Shared(LookUp with, Clock clock) : look_up(std::move(with)), now(std::move(clock)) {}

    const LookUp look_up;
    const Clock now;

    struct Job {
        std::string host;
        std::uint16_t port;
        std::vector<Done> waiting;
    };

    std::mutex mutex;
    std::condition_variable changed;
    std::deque<Job> jobs;  // the front one is under way
    std::optional<Job> answered;
    std::vector<Address> answer;  // of `answered`, not used yet
    TimeMs answered_at = 0;
    bool running = false;
    bool stop = false;

    static void run(const std::shared_ptr<Shared>& shared) {
        std::unique_lock lock(shared->mutex);
        while (true) {
            shared->changed.wait(lock, [&] { return shared->stop || !shared->jobs.empty(); });
            if (shared->stop) return;
            const std::string& host = shared->jobs.front().host;  // stays where it is, and as it is
            const std::uint16_t port = shared->jobs.front().port;
            lock.unlock();
            Resolved resolved;
            try {
                resolved = shared->look_up(host, port, name_flags);
            } catch (const std::bad_alloc&) {
                resolved = {{}, {Status::NO_MEMORY, "out of memory"}};
            }
            const TimeMs answered_at = shared->now();
            lock.lock();
            if (shared->stop) return;  // after ~Resolver nobody is called any more
            Job job = std::move(shared->jobs.front());
            shared->jobs.pop_front();
            for (const Done& done : job.waiting) {
                try {
                    done(resolved);
                } catch (const std::bad_alloc&) {  // who waits for it has a deadline, and asks again
                }
            }
            job.waiting.clear();
            shared->answered = std::move(job);
            shared->answer = std::move(resolved.addresses);
            shared->answered_at = answered_at;
        }
    }

    // The kept answer for this name, once.
    std::vector<Address> take_answer(const std::string& host, std::uint16_t port) {
        if (!answered || answered->host != host || answered->port != port || now() > answered_at + answer_kept_ms)
            return {};
        return std::exchange(answer, {});
    }
};

Resolver::Resolver(LookUp look_up, Clock now) : shared_(std::make_shared<Shared>(std::move(look_up), std::move(now))) {}

Resolver::~Resolver() {
    {
        std::lock_guard lock(shared_->mutex);
        shared_->stop = true;
        for (Shared::Job& job : shared_->jobs) job.waiting.clear();
    }
    shared_->changed.notify_all();
}

void Resolver::resolve(const std::string& host, std::uint16_t port, Done done) {
    Resolved literal = core::look_up(host, port, AI_NUMERICHOST);
    if (!literal.error) {
        done(std::move(literal));
        return;
    }
    std::lock_guard lock(shared_->mutex);
    if (std::vector<Address> kept = shared_->take_answer(host, port); !kept.empty()) {
        done({std::move(kept), {}});
        return;
    }
    if (!shared_->running) {
        try {
            start_thread("fanwire-resolve", [shared = shared_] { Shared::run(shared); }).detach();
            shared_->running = true;
        } catch (const std::system_error& error) {
            done({{}, {Status::SYSTEM_ERROR, std::string("no thread for the resolver: ") + error.what()}});
            return;
        }
    }
    for (Shared::Job& job : shared_->jobs) {
        if (job.host != host || job.port != port) continue;
        if (job.waiting.size() >= waiting_max) job.waiting.erase(job.waiting.begin());  // it gave up long ago
        job.waiting.push_back(std::move(done));
        return;
    }
    Shared::Job job{host, port, {}};
    job.waiting.push_back(std::move(done));
    shared_->jobs.push_back(std::move(job));
    shared_->changed.notify_all();
}

}  // namespace fanwire::core
