/* fanwire.h compiles as strict C89, twice included, and its macros are usable there. */
#include "fanwire/fanwire.h"
#include "fanwire/fanwire.h"

static void on_event(void *user_data, const fanwire_event *event) {
    *(int *)user_data = event->kind == FANWIRE_EVENT_MESSAGE;
}

int main(void) {
    const fanwire_event_fn callback = on_event;
    const uint64_t forever = FANWIRE_FOREVER, unknown = FANWIRE_COUNT_UNKNOWN;
    const int version = FANWIRE_CHECK_VERSION();
    return callback != 0 && forever == unknown && version == FANWIRE_OK;
}
