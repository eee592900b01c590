#include "bindings/cli/session.h"

#include <cerrno>
#include <cstring>

#include "bindings/cli/failure.h"

namespace fanwire::cli {

namespace {

// Whoever sets log_level wants to see the engine's log; what goes wrong is said without it.
void show_log_if_wanted(fanwire_options* options) {
    const char* source = nullptr;
    check(fanwire_options_source(options, "log_level", &source));
    if (std::string_view(source) == "default") return;
    check(fanwire_options_set_log(
        options, [](void*, int, const char* text) { say(std::string("log: ") + text); }, nullptr));
}

}  // namespace

Session::Session(Arguments& arguments) {
    show_log_if_wanted(arguments.options());
    fanwire_inbox* inbox = nullptr;
    check(fanwire_inbox_create(&inbox, arguments.options()));
    inbox_.reset(inbox);
    check(fanwire_inbox_fd(inbox, &inbox_fd_));
    check(fanwire_options_set_engine_inbox(arguments.options(), inbox, nullptr));

    const SignalsBlocked blocked;
    fanwire_engine* engine = nullptr;
    check(fanwire_engine_open(&engine, arguments.options()));
    engine_.reset(engine);
}

void Session::wait(std::vector<pollfd>& others, const Deadline& deadline) {
    others.push_back({signals_.fd(), POLLIN, 0});
    others.push_back({inbox_fd_, POLLIN, 0});
    const int ready = ::poll(others.data(), others.size(), poll_timeout(deadline));
    const int error = errno;
    others.resize(others.size() - 2);
    if (ready < 0) {
        for (pollfd& other : others) other.revents = 0;
        if (error != EINTR) throw runtime_error(std::string("cannot wait: ") + std::strerror(error));
    }
}

bool Session::drain(const std::function<void(const fanwire_event&)>& handle) {
    constexpr size_t kBatch = 256;
    fanwire_event events[kBatch];
    size_t count = 0;
    check(fanwire_inbox_drain(inbox_.get(), events, sizeof events[0], kBatch, &count));
    struct Release {
        fanwire_event* events;
        size_t count;
        ~Release() { fanwire_events_release(events, sizeof *events, count); }
    } const release{events, count};
    for (size_t i = 0; i < count; ++i) handle(events[i]);
    return count != 0;
}

bool Session::connect(const Deadline& deadline) {
    bool connected = false;
    std::vector<pollfd> none;
    while (!connected) {
        if (signals_.caught() != 0 || passed(deadline)) return false;
        wait(none, deadline);
        drain([&](const fanwire_event& event) {
            if (event.kind == FANWIRE_EVENT_CONNECTED) connected = true;
            if (event.kind == FANWIRE_EVENT_ERROR) throw failure_of(event.status, event.text);
        });
    }
    return true;
}

void Session::close(unsigned long long timeout_ms) {
    check(fanwire_engine_close(engine_.get(), timeout_ms));
}

}  // namespace fanwire::cli
