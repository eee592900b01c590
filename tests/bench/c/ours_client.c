/* What the parts of the driver share; ours.h says it all. */
#include <stdio.h>
#include <string.h>

#include "ours.h"

void must(int status, const char* what) {
    if (status != FANWIRE_OK) die("fanwire: %s: %s (%s)", what, fanwire_last_error(), fanwire_status_name(status));
}

void open_client(struct client* client, const struct arguments* arguments, const char* const* more) {
    fanwire_options* options = NULL;
    must(fanwire_options_create(&options), "options");
    must(fanwire_options_set(options, "url", arguments->url), "url");
    if (arguments->ca) must(fanwire_options_set(options, "tls_ca_file", arguments->ca), "tls_ca_file");
    must(fanwire_options_set(options, "inbox_count", "100000000"), "inbox_count");
    must(fanwire_options_set(options, "inbox_bytes", "16GiB"), "inbox_bytes");
    for (; more && *more; more += 2) must(fanwire_options_set(options, more[0], more[1]), more[0]);
    must(fanwire_inbox_create(&client->inbox, options), "inbox");
    must(fanwire_engine_open(&client->engine, options), "open");
    must(fanwire_engine_wait_connected(client->engine, patience_ms), "connect");
    fanwire_options_destroy(&options);
}

void close_client(struct client* client) {
    fanwire_engine_destroy(&client->engine);
    fanwire_inbox_destroy(&client->inbox);
}

double seconds_of(clockid_t clock) {
    struct timespec at;
    if (clock_gettime(clock, &at) != 0) die("no clock of the thread");
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

size_t wait_and_drain(fanwire_inbox* inbox, fanwire_event* events) {
    size_t count = 0;
    must(fanwire_inbox_wait(inbox, patience_ms), "nothing came any more");
    must(fanwire_inbox_drain(inbox, events, sizeof *events, batch, &count), "drain");
    return count;
}

void release(fanwire_event* events, size_t count) {
    must(fanwire_events_release(events, sizeof *events, count), "release");
}

uint64_t await_events(fanwire_inbox* inbox, int kind, int also, uint64_t wanted) {
    static fanwire_event events[batch];
    uint64_t others = 0;
    while (wanted > 0) {
        const size_t count = wait_and_drain(inbox, events);
        for (size_t i = 0; i < count; ++i) {
            if (events[i].kind == kind)
                wanted -= wanted > 0;
            else if (events[i].kind != also)
                ++others;
        }
        release(events, count);
    }
    return others;
}

fanwire_subscription* subscribe(struct client* client, const char* name, size_t index) {
    fanwire_subscription* subscription = NULL;
    must(fanwire_subscribe(&subscription, client->engine, name, strlen(name), client->inbox, (void*)(uintptr_t)index),
         "subscribe");
    return subscription;
}
