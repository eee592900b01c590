#include "bindings/cli/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

namespace fanwire::cli {

void fill_standard_descriptors() {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
        // open() gives the lowest free number, which is fd itself: the ones below are open by now.
        const int useless = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
        if (::fcntl(fd, F_GETFD) < 0) [[maybe_unused]]
            const int opened = ::open("/dev/null", useless);
    }
}

}  // namespace fanwire::cli
