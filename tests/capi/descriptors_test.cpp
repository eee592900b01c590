// Processes that have no descriptors left: an engine says so, and nothing of it ends the process or writes to its
// stderr.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "../support/sanitized.h"
#include "support.h"

namespace capi_test {
namespace {

constexpr int fine = 70, refused = 71, otherwise = 72;  // how a child ends

struct Ended {
    int status = 0;      // of waitpid()
    std::string output;  // on stdout and stderr
};

// Runs `task` in a child and gives its end. The child ends by what `task` returns, unless something else ends it.
Ended in_child(const std::function<int()>& task) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(task());
    }
    close(ends[1]);
    Ended ended;
    char bytes[1024];
    ssize_t n;
    while ((n = read(ends[0], bytes, sizeof bytes)) > 0) ended.output.append(bytes, static_cast<std::size_t>(n));
    close(ends[0]);
    waitpid(child, &ended.status, 0);
    return ended;
}

// Leaves exactly `free` descriptors.
void use_up_all_but(int free) {
    const rlimit few{128, 128};
    setrlimit(RLIMIT_NOFILE, &few);
    int last = -1, fd;
    while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) last = fd;
    for (int i = 0; i < free; ++i) close(last - i);
}

int end_of(int status) {
    return status == FANWIRE_OK ? fine : status == FANWIRE_SYSTEM_ERROR ? refused : otherwise;
}

// Opens an engine, uses it as far as that is possible and closes it.
int open_and_use(const char* url) {
    fanwire_options* options = nullptr;
    fanwire_engine* engine = nullptr;
    fanwire_inbox* inbox = nullptr;
    fanwire_subscription* sub = nullptr;
    if (fanwire_options_create(&options) != FANWIRE_OK || fanwire_options_set(options, "url", url) != FANWIRE_OK)
        return otherwise;
    fanwire_options_set(options, "max_flush_delay_us", "100");  // which takes a descriptor
    fanwire_options_set(options, "reconnect_delay_ms", "1");
    const int opened = fanwire_engine_open(&engine, options);
    if (opened != FANWIRE_OK && std::string(fanwire_last_error()).empty()) return otherwise;
    if (opened == FANWIRE_OK) {
        const int connected = fanwire_engine_wait_connected(engine, 10000);
        fanwire_publish(engine, "c", 1, "x", 1);
        if (fanwire_inbox_create(&inbox, options) == FANWIRE_OK) {
            fanwire_subscribe(&sub, engine, "c", 1, inbox, nullptr);
            fanwire_subscription_destroy(&sub);
            fanwire_inbox_destroy(&inbox);
        }
        fanwire_engine_destroy(&engine);
        fanwire_options_destroy(&options);
        // Nobody listens at a redis:// one, and a socket is one more descriptor.
        const bool memory = std::string(url).starts_with("memory");
        if (memory ? connected != FANWIRE_OK : connected == FANWIRE_OK) return otherwise;
    }
    fanwire_options_destroy(&options);
    return end_of(opened);
}

struct Descriptors : testing::TestWithParam<const char*> {
    // The sanitizers' own look at an object's type takes a pipe, and without one they report what is not so.
    void SetUp() override {
#ifdef FANWIRE_SANITIZED
        GTEST_SKIP() << "the sanitizer needs descriptors itself";
#endif
    }
};

TEST_P(Descriptors, WithoutThemOpeningFailsAndNothingElse) {
    int last = refused;
    for (int free = 0; free <= 24; ++free) {
        SCOPED_TRACE(testing::Message() << free << " free");
        const Ended ended = in_child([&] {
            use_up_all_but(free);
            return open_and_use(GetParam());
        });
        ASSERT_TRUE(WIFEXITED(ended.status)) << ended.status;
        const int end = WEXITSTATUS(ended.status);
        EXPECT_TRUE(end == fine || end == refused) << end;
        EXPECT_EQ(ended.output, "");
        if (free <= 3) {
            EXPECT_EQ(end, refused);
        }
        if (free >= 8 && std::string(GetParam()).find("rediss") == std::string::npos) {
            EXPECT_EQ(end, fine);
        }
        EXPECT_TRUE(last == refused || end == fine) << "with more of them it is not refused again";
        last = end;
    }
}

// Others take descriptors between the moment when they were seen to be free and their use.
TEST_P(Descriptors, OthersMayTakeThemMeanwhile) {
    const Ended ended = in_child([&] {
        use_up_all_but(7);
        std::atomic<bool> stop{false};
        std::thread other([&] {
            while (!stop) {
                int fds[5];
                for (int& fd : fds) fd = dup(0);
                for (const int fd : fds)
                    if (fd >= 0) close(fd);
            }
        });
        int end = fine;
        for (int i = 0; i < 1500 && end != otherwise; ++i) {
            const int now = open_and_use(GetParam());
            if (now == otherwise) end = otherwise;
            if (i > 200 && std::string(GetParam()).starts_with("redis")) break;
        }
        stop = true;
        other.join();
        return end;
    });
    ASSERT_TRUE(WIFEXITED(ended.status)) << ended.status;
    EXPECT_EQ(WEXITSTATUS(ended.status), fine);
    EXPECT_EQ(ended.output, "");
}

INSTANTIATE_TEST_SUITE_P(Urls, Descriptors,
                         testing::Values("memory://", "memory://shared", "redis://127.0.0.1:1?max_reconnect_attempts=1",
                                         "redis://localhost:1?max_reconnect_attempts=1",
                                         "rediss://127.0.0.1:1?max_reconnect_attempts=1&tls_verify=false"));

}  // namespace
}  // namespace capi_test
