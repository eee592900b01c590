/* fanwire.h compiles as strict C89 and as C++98, twice included, and its macros are usable there. */
#include "fanwire/fanwire.h"

static void on_event(void* user_data, const fanwire_event* event) {
    *(int*)user_data = event->kind == FANWIRE_EVENT_MESSAGE;
}

static int is_callback(fanwire_event_fn callback) {
    return callback != 0;
}

int main(void) {
    const uint64_t forever = FANWIRE_FOREVER, unknown = FANWIRE_COUNT_UNKNOWN;
    const int version = FANWIRE_CHECK_VERSION();
    return is_callback(on_event) && forever == unknown && version == FANWIRE_OK;
}
