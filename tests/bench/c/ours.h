/* The parts of the driver of ours. All of it exits with a message on stderr when something is wrong. */
#ifndef FANWIRE_BENCH_OURS_H
#define FANWIRE_BENCH_OURS_H

#include <fanwire/fanwire.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "bench.h"

enum { batch = 1024 }; /* events that are drained at once */

struct client {
    fanwire_engine* engine;
    fanwire_inbox* inbox;
};

void must(int status, const char* what);
/* The defaults, but for an inbox that nothing overflows; `more` is a NULL-ended list of names and values. */
void open_client(struct client* client, const struct arguments* arguments, const char* const* more);
void close_client(struct client* client);
double seconds_of(clockid_t clock);
/* Waits for events; `events` has room for a batch. How many they are. */
size_t wait_and_drain(fanwire_inbox* inbox, fanwire_event* events);
void release(fanwire_event* events, size_t count);
/* Drains until `wanted` events of a kind have come; the number of events of kinds that are neither it nor `also`. */
uint64_t await_events(fanwire_inbox* inbox, int kind, int also, uint64_t wanted);
fanwire_subscription* subscribe(struct client* client, const char* name, size_t index);

/* ours_tools.c: each is a command, and gives the exit code. */
int fanout(const struct arguments* arguments);
int channels(const struct arguments* arguments);
int engines(const struct arguments* arguments);

#endif
