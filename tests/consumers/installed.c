/* A program outside of this project: opens, subscribes, publishes, receives, checks, closes. */
#include <fanwire/fanwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char channel[] = "greetings";
static const char payload[] = "hello\0world";

static void check(int status, const char* what) {
    if (status == FANWIRE_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, fanwire_status_name(status), fanwire_last_error());
    exit(1);
}

/* Fills *event with the next event, which must be of this kind. */
static void expect(fanwire_inbox* inbox, int kind, fanwire_event* event) {
    size_t count = 0;
    check(fanwire_inbox_wait(inbox, 10000), "wait");
    check(fanwire_inbox_drain(inbox, event, sizeof *event, 1, &count), "drain");
    if (count == 1 && event->kind == kind) return;
    fprintf(stderr, "expected an event of kind %d, got %d of kind %d\n", kind, (int)count, count ? event->kind : 0);
    exit(1);
}

int main(void) {
    fanwire_options* options = NULL;
    fanwire_engine* engine = NULL;
    fanwire_inbox* inbox = NULL;
    fanwire_subscription* subscription = NULL;
    fanwire_event event;
    uint64_t receivers = 0;

    check(FANWIRE_CHECK_VERSION(), "check_version");
    check(fanwire_options_create(&options), "options_create");
    check(fanwire_options_set(options, "url", "memory://consumer"), "options_set");
    check(fanwire_inbox_create(&inbox, options), "inbox_create");
    check(fanwire_engine_open(&engine, options), "engine_open");
    fanwire_options_destroy(&options);
    check(fanwire_engine_wait_connected(engine, 10000), "wait_connected");
    check(fanwire_subscribe(&subscription, engine, channel, strlen(channel), inbox, &receivers), "subscribe");
    expect(inbox, FANWIRE_EVENT_ACTIVE, &event);

    check(fanwire_publish_wait(engine, channel, strlen(channel), payload, sizeof payload, 10000, &receivers),
          "publish_wait");
    expect(inbox, FANWIRE_EVENT_MESSAGE, &event);
    if (receivers != 1 || event.user_data != &receivers || event.payload_size != sizeof payload ||
        memcmp(event.payload, payload, sizeof payload) != 0 || strcmp(event.channel, channel) != 0) {
        fprintf(stderr, "not what was published\n");
        return 1;
    }
    check(fanwire_events_release(&event, sizeof event, 1), "release");

    check(fanwire_engine_close(engine, 10000), "close");
    expect(inbox, FANWIRE_EVENT_ENDED, &event);
    fanwire_subscription_destroy(&subscription);
    fanwire_engine_destroy(&engine);
    fanwire_inbox_destroy(&inbox);
    printf("received through libfanwire %s\n", fanwire_version());
    return 0;
}
