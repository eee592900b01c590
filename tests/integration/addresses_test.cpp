// Hosts with several addresses, of which some are of no use. Each test has a network and an /etc/hosts of its own, in a
// child process; where the system does not allow that, it is left out.
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "tests/integration/support.h"

namespace integration_test {
namespace {

constexpr int as_expected = 7;

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
}

// A network with a loopback interface and nothing else, where names are what `hosts` says. Of this thread and those
// that it starts.
bool enter_namespaces(const std::string& hosts) {
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
        const std::string user = std::to_string(getuid()), group = std::to_string(getgid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) != 0 || !write_file("/proc/self/setgroups", "deny") ||
            !write_file("/proc/self/uid_map", "0 " + user + " 1") ||
            !write_file("/proc/self/gid_map", "0 " + group + " 1"))
            return false;
    }
    char path[] = "/tmp/fanwire-hosts-XXXXXX";
    const int file = mkstemp(path);
    if (file < 0) return false;
    close(file);
    const bool mounted = write_file(path, hosts) && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         mount(path, "/etc/hosts", nullptr, MS_BIND, nullptr) == 0;
    unlink(path);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    const bool up = ioctl(fd, SIOCGIFFLAGS, &loopback) == 0 && (loopback.ifr_flags |= IFF_UP) &&
                    ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
    close(fd);
    return mounted && up;
}

bool possible() {
    static const bool yes = [] {
        const pid_t child = fork();
        if (child == 0) _exit(enter_namespaces("") ? 0 : 1);
        int status = 1;
        waitpid(child, &status, 0);
        return status == 0;
    }();
    return yes;
}

// An address that is not one of loopback, so that the system counts as one that has IPv6.
bool add_ipv6_address() {
    struct {
        in6_addr address{};
        std::uint32_t prefix = 128;
        int interface = static_cast<int>(if_nametoindex("lo"));
    } request;
    request.address.s6_addr[0] = 0xfd;
    request.address.s6_addr[15] = 1;
    const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool done = fd >= 0 && ioctl(fd, SIOCSIFADDR, &request) == 0;
    if (fd >= 0) close(fd);
    return done;
}

// Accepts and says nothing.
int silent_on_ipv6_loopback(int port) {
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    address.sin6_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd, 64), 0);
    return fd;
}

void expect_roundtrip(const std::string& url) {
    Inbox inbox;
    Options options({{"url", url}, {"max_reconnect_attempts", "1"}});
    Engine engine;
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_open(engine.out(), options));
    ASSERT_STATUS(FANWIRE_OK, fanwire_engine_wait_connected(engine, deadline_ms));  // in the first attempt
    Subscription sub = subscribe(engine, "chat", inbox);
    EXPECT_EQ(publish(engine, "chat", "hello"), 1u);
    EXPECT_EQ(inbox.next(FANWIRE_EVENT_MESSAGE).payload, "hello");
}

[[noreturn]] void report() {
    std::_Exit(testing::Test::HasFailure() ? 1 : as_expected);
}

[[noreturn]] void on_ipv4_alone_where_only_ipv6_has_an_address() {
    alarm(60);
    EXPECT_TRUE(enter_namespaces("127.0.0.1 localhost\n"));
    EXPECT_TRUE(add_ipv6_address());
    {
        RedisServer server({"--bind", "127.0.0.1"});
        expect_roundtrip("redis://localhost:" + std::to_string(server.port()));
    }
    report();
}

[[noreturn]] void behind_one_that_is_silent() {
    alarm(60);
    EXPECT_TRUE(enter_namespaces("::1 redis.test\n127.0.0.1 redis.test\n"));
    {
        RedisServer server({"--bind", "127.0.0.1"});
        const int silent = silent_on_ipv6_loopback(server.port());
        expect_roundtrip("redis://redis.test:" + std::to_string(server.port()));
        close(silent);
    }
    report();
}

TEST(Addresses, LocalhostIsFoundOnIpv4WhereOnlyIpv6HasAnAddress) {
    if (!possible()) GTEST_SKIP() << "no namespaces of one's own here";
    EXPECT_EXIT(on_ipv4_alone_where_only_ipv6_has_an_address(), testing::ExitedWithCode(as_expected), "");
}

// What accepts connections and never greets must not keep us from the address behind it.
TEST(Addresses, AHealthyOneIsFoundBehindOneThatIsSilent) {
    if (!possible()) GTEST_SKIP() << "no namespaces of one's own here";
    EXPECT_EXIT(behind_one_that_is_silent(), testing::ExitedWithCode(as_expected), "");
}

}  // namespace
}  // namespace integration_test
