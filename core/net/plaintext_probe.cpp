#include "core/net/plaintext_probe.h"

#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "core/net/socket.h"

namespace fanwire::core {

PlaintextProbe::PlaintextProbe(Loop& loop, const Address& address, std::function<void(std::string)> answered)
    : answered_(std::move(answered)), fd_(make_socket(address.family())) {
    if (fd_ < 0) return;
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 && errno != EINPROGRESS)
        return;
    watch_ = std::make_unique<Loop::Watch>(
        loop, fd_, [this] { readable(); }, [this] { connected(); });
    watch_->write(true);
    watch_->read(true);
}

PlaintextProbe::~PlaintextProbe() {
    watch_.reset();
    if (fd_ >= 0) close(fd_);
}

void PlaintextProbe::abandon() noexcept {
    if (fd_ >= 0) close(fd_);
}

void PlaintextProbe::connected() {
    watch_->write(false);
    constexpr std::string_view ping = "PING\r\n";
    if (send(fd_, ping.data(), ping.size(), MSG_NOSIGNAL) < 0) watch_->read(false);
}

void PlaintextProbe::readable() {
    char bytes[256];
    const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
    if (n < 0 && would_block(errno)) return;
    watch_->read(false);
    if (n <= 0 || (bytes[0] != '+' && bytes[0] != '-')) return;
    const std::string_view answer(bytes, static_cast<std::size_t>(n));
    answered_(std::string(answer.substr(0, answer.find_first_of("\r\n"))));
}

}  // namespace fanwire::core
