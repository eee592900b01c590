/* One of the demo's five programs, in C. packaging/demo/README.md says what they do. */
#include <fanwire/fanwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, BATCH = 256, SENDERS_MAX = 16, NAME_MAX_SIZE = 32 };

struct sender {
    char name[NAME_MAX_SIZE];
    unsigned long count;
};

static void check(int status) {
    if (status == FANWIRE_OK) return;
    fprintf(stderr, "demo.c: %s\n", fanwire_last_error());
    exit(1);
}

/* Counts one message, "NAME NUMBER"; ends the program when it is not the next one of its sender. */
static void count_message(struct sender* senders, const fanwire_event* event) {
    char name[NAME_MAX_SIZE];
    unsigned long number, i = 0;
    /* a payload is followed by a NUL that is not counted, so it can be scanned as a string */
    if (sscanf(event->payload, "%31s %lu", name, &number) != 2) number = 0;
    while (i < SENDERS_MAX - 1 && senders[i].count > 0 && strcmp(senders[i].name, name) != 0) i++;
    strcpy(senders[i].name, name);
    if (number != ++senders[i].count) {
        fprintf(stderr, "demo.c: expected message %lu of %s, got \"%s\"\n", senders[i].count, name, event->payload);
        exit(1);
    }
}

int main(int argc, char** argv) {
    if (argc != 5) return fprintf(stderr, "usage: demo.c NAME CHANNEL COUNT PROGRAMS\n"), 2;
    const char *name = argv[1], *channel = argv[2];
    const unsigned long count = strtoul(argv[3], NULL, 10), expected = count * strtoul(argv[4], NULL, 10);
    struct sender senders[SENDERS_MAX] = {{{0}, 0}};
    unsigned long received = 0;
    char text[64];

    fanwire_engine* engine = NULL;
    fanwire_inbox* inbox = NULL;
    fanwire_subscription* subscription = NULL;
    check(FANWIRE_CHECK_VERSION());
    check(fanwire_engine_open(&engine, NULL)); /* NULL: settings from the environment */
    check(fanwire_inbox_create(&inbox, NULL));
    check(fanwire_engine_wait_connected(engine, DEADLINE_MS));
    check(fanwire_subscribe(&subscription, engine, channel, strlen(channel), inbox, NULL));
    check(fanwire_subscription_wait_active(subscription, DEADLINE_MS));
    puts("ready");
    fflush(stdout);
    if (fgets(text, sizeof text, stdin) == NULL) return 1;

    for (unsigned long i = 1; i <= count; i++) {
        const int size = snprintf(text, sizeof text, "%s %lu", name, i);
        check(fanwire_publish(engine, channel, strlen(channel), text, (size_t)size));
    }
    while (received < expected) {
        fanwire_event events[BATCH];
        size_t drained = 0;
        if (fanwire_inbox_wait(inbox, DEADLINE_MS) == FANWIRE_TIMEOUT) break;
        check(fanwire_inbox_drain(inbox, events, sizeof events[0], BATCH, &drained));
        for (size_t i = 0; i < drained; i++) {
            if (events[i].kind != FANWIRE_EVENT_MESSAGE) continue; /* ACTIVE and the like */
            count_message(senders, &events[i]);
            received++;
        }
        check(fanwire_events_release(events, sizeof events[0], drained));
    }
    for (size_t i = 0; i < SENDERS_MAX && senders[i].count > 0; i++) {
        printf("received %s %lu\n", senders[i].name, senders[i].count);
    }
    puts("done");
    fanwire_subscription_destroy(&subscription);
    fanwire_inbox_destroy(&inbox);
    fanwire_engine_destroy(&engine);
    return received == expected ? 0 : 1;
}
