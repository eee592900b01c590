// libevent 2.1 makes a pipe for signals in every event_base, also for those that never watch any, and calls exit(1)
// when it cannot; before that it writes to stderr. There is no setting for it. So it is only asked when the descriptors
// are there:
//
//  - All that it needs, and some more, is opened and closed again first. Without what it needs it is not asked.
//  - Others may take what was closed in between. Where there was plenty they would have to take many at once, in no
//  time.
//    Where there was little, libevent is asked with a callback that leaves it by longjmp() instead of letting it exit.
//    That callback is the whole process's, and so it is set then alone, and for as long as the call takes; on other
//    threads it changes nothing. What libevent had made until then is lost, some 2 KB of memory. So that no descriptor
//    is, such a loop uses poll() and has no epoll set, which is made before the pipe.
#include "core/net/event_base.h"

#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <cstring>
#include <mutex>
#include <new>
#include <string>

#include "core/base/error.h"

#ifdef __linux__
#include <sys/epoll.h>
#endif

namespace fanwire::core {

namespace {

constexpr int spare = 12;

[[noreturn]] void fail(const char* why) {
    throw Failure(Status::SYSTEM_ERROR, std::string("no event loop could be made: ") + why);
}

// Descriptors of the kinds that libevent will open, and more of them.
class Trial {
 public:
    Trial() {
#ifdef __linux__
        keep(epoll_create1(EPOLL_CLOEXEC));
#else
        keep(open("/dev/null", O_RDONLY | O_CLOEXEC));
#endif
        int ends[2] = {-1, -1};
        if (error_ == 0) {
            if (pipe(ends) != 0) error_ = errno;
            for (const int end : ends) keep_one(end);
        }
        while (error_ == 0 && count_ < needed + spare) {
            const int more = fcntl(fds_[0], F_DUPFD_CLOEXEC, 0);
            if (more < 0) break;
            keep_one(more);
        }
    }
    ~Trial() {
        while (count_ > 0) close(fds_[--count_]);
    }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

    // Why there are too few, or 0.
    int error() const {
        return error_;
    }
    bool plenty() const {
        return count_ == needed + spare;
    }

 private:
    void keep(int fd) {
        if (fd < 0) error_ = errno;
        keep_one(fd);
    }
    void keep_one(int fd) {
        if (fd < 0) return;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fds_[count_++] = fd;
    }

    static constexpr int needed = 3;
    int fds_[needed + spare];
    int count_ = 0;
    int error_ = 0;
};

thread_local std::jmp_buf* way_out = nullptr;

void leave_libevent(int) {
    if (way_out) std::longjmp(*way_out, 1);
}

void say_nothing(int, const char*) {}

// No object here has a destructor, but for what is made before setjmp().
event_base* ask_with_a_way_out(const event_config* config) {
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    event_set_fatal_callback(leave_libevent);
    event_set_log_callback(say_nothing);
    std::jmp_buf here;
    way_out = &here;
    event_base* volatile base = nullptr;
    if (setjmp(here) == 0) base = event_base_new_with_config(config);
    way_out = nullptr;
    event_set_log_callback(nullptr);
    event_set_fatal_callback(nullptr);
    return base;
}

}  // namespace

event_base* make_event_base() {
    bool plenty;
    {
        const Trial trial;
        if (trial.error() != 0) fail(std::strerror(trial.error()));
        plenty = trial.plenty();
    }
    event_config* config = event_config_new();
    if (!config) throw std::bad_alloc();
    // One thread only: no locks. No reading of EVENT_* from somebody else's environment.
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    if (!plenty) event_config_avoid_method(config, "epoll");
    event_base* base = plenty ? event_base_new_with_config(config) : ask_with_a_way_out(config);
    event_config_free(config);
    if (!base) fail("out of descriptors or memory");
    return base;
}

}  // namespace fanwire::core
