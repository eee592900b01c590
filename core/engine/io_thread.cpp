#include "core/engine/io_thread.h"

#include <string>

#include "core/base/error.h"

namespace fanwire::core {

namespace {

thread_local bool on_io_thread = false;

}  // namespace

void become_io_thread() noexcept {
    on_io_thread = true;
}

void refuse_io_thread(const char* what) {
    if (on_io_thread)
        throw Failure(Status::INVALID_ARGUMENT,
                      std::string(what) + " must not be called from a wake or log function: the IO thread would wait");
}

}  // namespace fanwire::core
