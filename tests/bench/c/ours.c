/* fanwire, as a C program uses it: an inbox that is waited for and drained in batches.
 *
 *   ours receive    see the contract in README.md
 *   ours publish    likewise; --threads publish through one engine
 *   ours latency    from fanwire_publish() to the drained message, one at a time
 *   ours paced      --count publishes, so many a second, without max_flush_delay_us and with it
 *   ours fanout     one message to --channels local subscriptions of one channel, --count times
 *   ours channels   --count subscriptions of --channels channels: time and memory to subscribe, resubscribe after a
 *                   break, unsubscribe
 *   ours engines    an engine opened, connected and closed, --count times
 */
#include "ours.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Receiving ------------------------------------------------------------------------------------------- */

static int receive(const struct arguments* arguments) {
    static fanwire_event events[batch];
    struct client client;
    struct stream stream;
    stream_begin(&stream, arguments);
    open_client(&client, arguments, NULL);
    fanwire_subscription** subscriptions = checked_alloc(stream.channels, sizeof *subscriptions);
    for (size_t i = 0; i < stream.channels; ++i) {
        char name[64];
        snprintf(name, sizeof name, "bench:%zu", i);
        subscriptions[i] = subscribe(&client, name, i);
    }
    if (await_events(client.inbox, FANWIRE_EVENT_ACTIVE, 0, stream.channels)) die("not only ACTIVE");
    stream.cpu_s = process_cpu_s();
    say_ready();
    while (!stream_done(&stream)) {
        const size_t count = wait_and_drain(client.inbox, events);
        for (size_t i = 0; i < count; ++i) {
            const fanwire_event* event = &events[i];
            if (event->kind != FANWIRE_EVENT_MESSAGE) {
                if (arguments->broken_once) continue;
                die("event %d came, which is no message", event->kind); /* LOST, GAP */
            }
            stream_check(&stream, (uint64_t)(uintptr_t)event->user_data, event->payload, event->payload_size);
        }
        release(events, count);
    }
    stream_end(&stream);
    for (size_t i = 0; i < (size_t)arguments->channels; ++i) fanwire_subscription_destroy(&subscriptions[i]);
    free(subscriptions);
    close_client(&client);
    return 0;
}

/* ---- Publishing ------------------------------------------------------------------------------------------ */

struct publisher {
    const struct arguments* arguments;
    fanwire_engine* engine;
    fanwire_inbox* inbox;
    long count;
    uint64_t wrong;
};

static void take_outcomes(struct publisher* publisher, long* in_flight) {
    fanwire_event events[batch];
    const size_t count = wait_and_drain(publisher->inbox, events);
    for (size_t i = 0; i < count; ++i)
        if (events[i].kind != FANWIRE_EVENT_PUBLISHED || events[i].status != FANWIRE_OK || events[i].count != 0)
            ++publisher->wrong;
    *in_flight -= (long)count;
    release(events, count);
}

/* Without outcomes one in `every` has one all the same: when the engine takes no more (QUEUE_FULL), the next of them
 * says that it does again. */
static void* publish_some(void* argument) {
    static const char channel[] = "bench:publish";
    struct publisher* publisher = argument;
    const struct arguments* arguments = publisher->arguments;
    const size_t size = (size_t)arguments->size;
    const long every = arguments->outcomes ? 1 : size < 4096 ? 1024 : 4;
    const long limit = arguments->outcomes ? arguments->in_flight : 64;
    long in_flight = 0;
    char* payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    for (long i = 0; i < publisher->count;) {
        int status;
        if (i % every == 0) {
            while (in_flight >= limit) take_outcomes(publisher, &in_flight);
            status = fanwire_publish_async(publisher->engine, channel, sizeof channel - 1, payload, size,
                                           publisher->inbox, NULL);
            if (status == FANWIRE_OK) ++in_flight;
        } else {
            status = fanwire_publish(publisher->engine, channel, sizeof channel - 1, payload, size);
        }
        if (status == FANWIRE_OK)
            ++i;
        else if (status == FANWIRE_QUEUE_FULL && in_flight > 0)
            take_outcomes(publisher, &in_flight);
        else
            must(status, "publish");
    }
    while (in_flight > 0) take_outcomes(publisher, &in_flight);
    free(payload);
    return NULL;
}

static int publish(const struct arguments* arguments) {
    struct client client;
    open_client(&client, arguments, NULL);
    const size_t threads = (size_t)arguments->threads;
    struct publisher* publishers = checked_alloc(threads, sizeof *publishers);
    pthread_t* ids = checked_alloc(threads, sizeof *ids);
    for (size_t i = 0; i < threads; ++i) {
        publishers[i].arguments = arguments;
        publishers[i].engine = client.engine;
        publishers[i].count =
            arguments->count / arguments->threads + (i == 0 ? arguments->count % arguments->threads : 0);
        must(fanwire_inbox_create(&publishers[i].inbox, NULL), "inbox");
    }
    say_ready();
    const double from = now_s(), cpu_s = process_cpu_s();
    uint64_t wrong = 0;
    for (size_t i = 1; i < threads; ++i)
        if (pthread_create(&ids[i], NULL, publish_some, &publishers[i]) != 0) die("no thread");
    publish_some(&publishers[0]);
    for (size_t i = 1; i < threads; ++i) pthread_join(ids[i], NULL);
    must(fanwire_engine_close(client.engine, patience_ms), "close"); /* returns when every publish has its outcome */
    const double seconds = now_s() - from, cpu = process_cpu_s() - cpu_s;
    fanwire_engine_stats stats;
    must(fanwire_engine_stats_get(client.engine, &stats, sizeof stats), "stats");
    if (stats.publish_ok != (uint64_t)arguments->count) ++wrong;
    for (size_t i = 0; i < threads; ++i) {
        wrong += publishers[i].wrong;
        fanwire_inbox_destroy(&publishers[i].inbox);
    }
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": %llu}", arguments->count, seconds,
        cpu, (unsigned long long)wrong);
    free(publishers);
    free(ids);
    close_client(&client);
    return wrong != 0;
}

/* ---- Publishing one by one --------------------------------------------------------------------------------- */

enum { pace_rate = 50000 };

/* What the engine's IO thread, and nothing else in the process, costs for each publish of a steady stream. */
static double io_seconds_of_paced(const struct arguments* arguments, const char* max_flush_delay_us) {
    struct client client;
    const char* const more[] = {"max_flush_delay_us", max_flush_delay_us, NULL};
    open_client(&client, arguments, more);
    const size_t size = (size_t)arguments->size;
    char* payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    const double process_s = process_cpu_s(), thread_s = seconds_of(CLOCK_THREAD_CPUTIME_ID), from = now_s();
    for (long i = 0; i < arguments->count; ++i) {
        while (now_s() < from + (double)i / pace_rate) continue;
        must(fanwire_publish(client.engine, "bench:publish", 13, payload, size), "publish");
    }
    must(fanwire_engine_close(client.engine, patience_ms), "close");
    const double io_s = (process_cpu_s() - process_s) - (seconds_of(CLOCK_THREAD_CPUTIME_ID) - thread_s);
    fanwire_engine_stats stats;
    must(fanwire_engine_stats_get(client.engine, &stats, sizeof stats), "stats");
    if (stats.publish_ok != (uint64_t)arguments->count)
        die("of %ld publishes %llu were executed", arguments->count, (unsigned long long)stats.publish_ok);
    free(payload);
    close_client(&client);
    return io_s;
}

static int paced(const struct arguments* arguments) {
    const double plain_s = io_seconds_of_paced(arguments, "0"), moderated_s = io_seconds_of_paced(arguments, "500");
    say("{\"messages\": %ld, \"io_cpu_seconds\": %.6f, \"moderated_io_cpu_seconds\": %.6f, \"wrong\": 0}",
        arguments->count, plain_s, moderated_s);
    return 0;
}

/* ---- Latency --------------------------------------------------------------------------------------------- */

static int latency(const struct arguments* arguments) {
    static fanwire_event events[batch];
    struct client client;
    open_client(&client, arguments, NULL);
    const size_t size = (size_t)arguments->size;
    char* payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    uint64_t* took = checked_alloc((size_t)arguments->count, sizeof *took);
    fanwire_subscription *probe = subscribe(&client, "bench:probe", 1), *load = NULL;
    if (arguments->channels > 1) load = subscribe(&client, "bench:0", 2);
    await_events(client.inbox, FANWIRE_EVENT_ACTIVE, 0, load ? 2 : 1);
    say_ready();
    if (load) await_events(client.inbox, FANWIRE_EVENT_MESSAGE, 0, 1); /* the load has begun */
    const double cpu_s = process_cpu_s();
    uint64_t wrong = 0, others = 0;
    for (long i = 0; i < arguments->count; ++i) {
        const uint64_t from = now_ns();
        must(fanwire_publish(client.engine, "bench:probe", 11, payload, size), "publish");
        for (int back = 0; !back;) {
            const size_t count = wait_and_drain(client.inbox, events);
            for (size_t k = 0; k < count; ++k) {
                if (events[k].kind != FANWIRE_EVENT_MESSAGE || events[k].payload_size != size) /* the load's size too */
                    ++wrong;
                else if (events[k].user_data == (void*)1)
                    back = 1, took[i] = now_ns() - from;
                else
                    ++others;
            }
            release(events, count);
        }
    }
    const double cpu = process_cpu_s() - cpu_s;
    sort_ns(took, (size_t)arguments->count);
    say("{\"messages\": %ld, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"cpu_seconds\": %.6f, "
        "\"others\": %llu, \"wrong\": %llu}",
        arguments->count, percentile_us(took, (size_t)arguments->count, 0.5),
        percentile_us(took, (size_t)arguments->count, 0.99), percentile_us(took, (size_t)arguments->count, 0.999), cpu,
        (unsigned long long)others, (unsigned long long)wrong);
    fanwire_subscription_destroy(&probe);
    fanwire_subscription_destroy(&load);
    close_client(&client);
    free(took);
    free(payload);
    return wrong != 0;
}

int main(int argc, char** argv) {
    struct arguments arguments;
    must(FANWIRE_CHECK_VERSION(), "version");
    parse_arguments(&arguments, argc, argv);
    if (!strcmp(arguments.what, "receive")) return receive(&arguments);
    if (!strcmp(arguments.what, "publish")) return publish(&arguments);
    if (!strcmp(arguments.what, "latency")) return latency(&arguments);
    if (!strcmp(arguments.what, "paced")) return paced(&arguments);
    if (!strcmp(arguments.what, "fanout")) return fanout(&arguments);
    if (!strcmp(arguments.what, "channels")) return channels(&arguments);
    if (!strcmp(arguments.what, "engines")) return engines(&arguments);
    die("ours does not know \"%s\"", arguments.what);
}
