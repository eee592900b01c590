// Engines' IO threads know themselves, since calls that wait for one must not be made on one.
#pragma once

namespace fanwire::core {

// The calling thread is an engine's IO thread from here on.
void become_io_thread() noexcept;
// Throws INVALID_ARGUMENT on any engine's IO thread, where `what` would wait for itself or hold up others.
void refuse_io_thread(const char* what);

}  // namespace fanwire::core
