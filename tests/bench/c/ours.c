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
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fanwire/fanwire.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "names.h"

enum { batch = 1024 };

static void must(int status, const char *what) {
    if (status != FANWIRE_OK) die("fanwire: %s: %s (%s)", what, fanwire_last_error(), fanwire_status_name(status));
}

struct client {
    fanwire_engine *engine;
    fanwire_inbox *inbox;
};

/* The defaults, but for an inbox that nothing overflows; `more` is a NULL-ended list of names and values. */
static void open_client(struct client *client, const struct arguments *arguments, const char *const *more) {
    fanwire_options *options = NULL;
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

static void close_client(struct client *client) {
    fanwire_engine_destroy(&client->engine);
    fanwire_inbox_destroy(&client->inbox);
}

static double seconds_of(clockid_t clock) {
    struct timespec at;
    if (clock_gettime(clock, &at) != 0) die("no clock of the thread");
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static size_t wait_and_drain(fanwire_inbox *inbox, fanwire_event *events) {
    size_t count = 0;
    must(fanwire_inbox_wait(inbox, patience_ms), "nothing came any more");
    must(fanwire_inbox_drain(inbox, events, sizeof *events, batch, &count), "drain");
    return count;
}

static void release(fanwire_event *events, size_t count) {
    must(fanwire_events_release(events, sizeof *events, count), "release");
}

/* Drains until `wanted` events of a kind have come; the number of events of kinds that are neither it nor `also`. */
static uint64_t await_events(fanwire_inbox *inbox, int kind, int also, uint64_t wanted) {
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

static fanwire_subscription *subscribe(struct client *client, const char *name, size_t index) {
    fanwire_subscription *subscription = NULL;
    must(fanwire_subscribe(&subscription, client->engine, name, strlen(name), client->inbox, (void *)(uintptr_t)index),
         "subscribe");
    return subscription;
}

/* ---- Receiving ------------------------------------------------------------------------------------------- */

static int receive(const struct arguments *arguments) {
    static fanwire_event events[batch];
    struct client client;
    struct stream stream;
    stream_begin(&stream, arguments);
    open_client(&client, arguments, NULL);
    fanwire_subscription **subscriptions = checked_alloc(stream.channels, sizeof *subscriptions);
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
            const fanwire_event *event = &events[i];
            if (event->kind != FANWIRE_EVENT_MESSAGE) die("event %d came, which is no message", event->kind); /* LOST, GAP */
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
    const struct arguments *arguments;
    fanwire_engine *engine;
    fanwire_inbox *inbox;
    long count;
    uint64_t wrong;
};

static void take_outcomes(struct publisher *publisher, long *in_flight) {
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
static void *publish_some(void *argument) {
    static const char channel[] = "bench:publish";
    struct publisher *publisher = argument;
    const struct arguments *arguments = publisher->arguments;
    const size_t size = (size_t)arguments->size;
    const long every = arguments->outcomes ? 1 : size < 4096 ? 1024 : 4;
    const long limit = arguments->outcomes ? arguments->in_flight : 64;
    long in_flight = 0;
    char *payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    for (long i = 0; i < publisher->count;) {
        int status;
        if (i % every == 0) {
            while (in_flight >= limit) take_outcomes(publisher, &in_flight);
            status = fanwire_publish_async(publisher->engine, channel, sizeof channel - 1, payload, size, publisher->inbox,
                                           NULL);
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

static int publish(const struct arguments *arguments) {
    struct client client;
    open_client(&client, arguments, NULL);
    const size_t threads = (size_t)arguments->threads;
    struct publisher *publishers = checked_alloc(threads, sizeof *publishers);
    pthread_t *ids = checked_alloc(threads, sizeof *ids);
    for (size_t i = 0; i < threads; ++i) {
        publishers[i].arguments = arguments;
        publishers[i].engine = client.engine;
        publishers[i].count = arguments->count / arguments->threads + (i == 0 ? arguments->count % arguments->threads : 0);
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
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": %llu}", arguments->count, seconds, cpu,
        (unsigned long long)wrong);
    free(publishers);
    free(ids);
    close_client(&client);
    return wrong != 0;
}

/* ---- Publishing one by one --------------------------------------------------------------------------------- */

enum { pace_rate = 50000 };

/* What the engine's IO thread, and nothing else in the process, costs for each publish of a steady stream. */
static double io_seconds_of_paced(const struct arguments *arguments, const char *max_flush_delay_us) {
    struct client client;
    const char *const more[] = {"max_flush_delay_us", max_flush_delay_us, NULL};
    open_client(&client, arguments, more);
    const size_t size = (size_t)arguments->size;
    char *payload = checked_alloc(size, 1);
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
    if (stats.publish_ok != (uint64_t)arguments->count) die("of %ld publishes %llu were executed", arguments->count,
                                                            (unsigned long long)stats.publish_ok);
    free(payload);
    close_client(&client);
    return io_s;
}

static int paced(const struct arguments *arguments) {
    const double plain_s = io_seconds_of_paced(arguments, "0"), moderated_s = io_seconds_of_paced(arguments, "500");
    say("{\"messages\": %ld, \"io_cpu_seconds\": %.6f, \"moderated_io_cpu_seconds\": %.6f, \"wrong\": 0}", arguments->count,
        plain_s, moderated_s);
    return 0;
}

/* ---- Latency --------------------------------------------------------------------------------------------- */

static int latency(const struct arguments *arguments) {
    static fanwire_event events[batch];
    struct client client;
    open_client(&client, arguments, NULL);
    const size_t size = (size_t)arguments->size;
    char *payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    uint64_t *took = checked_alloc((size_t)arguments->count, sizeof *took);
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
                else if (events[k].user_data == (void *)1)
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

/* ---- Fan-out --------------------------------------------------------------------------------------------- */

/* Told on the IO thread, when it has handed over all there is: how much CPU time it has used by then. */
struct wake {
    sem_t woken;
    double io_s;
};

static void on_wake(void *user_data) {
    struct wake *wake = user_data;
    wake->io_s = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    sem_post(&wake->woken);
}

static void await_wake(struct wake *wake) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += patience_ms / 1000;
    while (sem_timedwait(&wake->woken, &until) != 0)
        if (errno != EINTR) die("the message did not come");
}

/* The clock of the CPU time of the engine's IO thread, which is found by its name. */
static clockid_t io_thread_clock(void) {
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks) die("no /proc");
    clockid_t clock = 0;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file) && !strcmp(name, "fanwire-io\n"))
            clock = (clockid_t)(~(unsigned)atoi(entry->d_name) << 3 | 6); /* as pthread_getcpuclockid() makes them */
        if (file) fclose(file);
    }
    closedir(tasks);
    if (!clock) die("there is no thread \"fanwire-io\"");
    return clock;
}

static int fanout(const struct arguments *arguments) {
    static fanwire_event events[batch];
    struct client client;
    open_client(&client, arguments, NULL);
    const clockid_t io = io_thread_clock();
    const size_t all = (size_t)arguments->channels, size = (size_t)arguments->size;
    fanwire_subscription **subscriptions = checked_alloc(all, sizeof *subscriptions);
    uint64_t *seen = checked_alloc(all, sizeof *seen);
    char *payload = checked_alloc(size, 1);
    memset(payload, 'x', size);
    for (size_t i = 0; i < all; ++i) subscriptions[i] = subscribe(&client, "bench:fanout", i);
    await_events(client.inbox, FANWIRE_EVENT_ACTIVE, 0, all);
    struct wake wake = {.io_s = 0};
    sem_init(&wake.woken, 0, 0);
    must(fanwire_inbox_set_wake(client.inbox, on_wake, &wake), "set_wake");
    say_ready();
    const double from = now_s(), cpu_s = process_cpu_s();
    double io_s = 0;
    uint64_t wrong = 0;
    for (long n = 0; n < arguments->count; ++n) {
        char digits[24];
        snprintf(digits, sizeof digits, "%016ld", n);
        memcpy(payload, digits, digits_size);
        const double io_from = seconds_of(io);
        must(fanwire_publish(client.engine, "bench:fanout", 12, payload, size), "publish");
        await_wake(&wake);
        for (size_t got = 0; got < all;) {
            size_t count = 0;
            must(fanwire_inbox_drain(client.inbox, events, sizeof *events, batch, &count), "drain");
            if (count == 0) { /* woken for what the drain before has taken already */
                await_wake(&wake);
                continue;
            }
            if (got == 0) io_s += wake.io_s - io_from;
            for (size_t i = 0; i < count; ++i) {
                const size_t index = (size_t)(uintptr_t)events[i].user_data;
                if (events[i].kind != FANWIRE_EVENT_MESSAGE || events[i].payload_size != size ||
                    digits16(events[i].payload) != seen[index]++)
                    ++wrong;
            }
            got += count;
            release(events, count);
        }
    }
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"io_cpu_seconds\": %.6f, "
        "\"subscriptions\": %zu, \"wrong\": %llu}",
        arguments->count, now_s() - from, process_cpu_s() - cpu_s, io_s, all, (unsigned long long)wrong);
    must(fanwire_inbox_set_wake(client.inbox, NULL, NULL), "set_wake");
    sem_destroy(&wake.woken);
    for (size_t i = 0; i < all; ++i) fanwire_subscription_destroy(&subscriptions[i]);
    close_client(&client);
    free(subscriptions);
    free(seen);
    free(payload);
    return wrong != 0;
}

/* ---- Many channels --------------------------------------------------------------------------------------- */

struct memory {
    double used, resident; /* bytes: of malloc, and of the process */
};

static struct memory measure_memory(void) {
    malloc_trim(0);
    const struct mallinfo2 info = mallinfo2();
    struct memory memory = {(double)(info.uordblks + info.hblkhd), 0};
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1) die("no /proc/self/statm");
    fclose(file);
    memory.resident = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return memory;
}

/* One command on a connection of its own; its answer. */
static void ask(struct connection *connection, const char *command, char *answer, size_t size) {
    send_all(connection, command, strlen(command));
    const size_t got = receive_some(connection, answer, size - 1);
    answer[got] = 0;
}

static void await_no_channels(struct connection *connection) {
    char answer[8192];
    const double until = now_s() + 4 * patience_ms / 1000.0; /* of a million that are all freed at once */
    do {
        ask(connection, "INFO stats\r\n", answer, sizeof answer);
        if (strstr(answer, "pubsub_channels:0\r\n")) return;
        const struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    } while (now_s() < until);
    die("Redis still has channels");
}

static int channels(const struct arguments *arguments) {
    static const char *const settings[] = {"reconnect_delay_ms", "1", "unsubscribe_linger_ms", "0", NULL};
    struct client client;
    struct connection control;
    char name[64], answer[256];
    const size_t all = (size_t)arguments->count, names = (size_t)arguments->channels;
    open_client(&client, arguments, settings);
    connect_url(&control, arguments);
    fanwire_subscription **subscriptions = checked_alloc(all, sizeof *subscriptions);
    memset(subscriptions, 1, all * sizeof *subscriptions); /* touched: it is not the engine's */
    uint64_t wrong = 0;

    const struct memory before = measure_memory();
    double from = now_s(), cpu_s = process_cpu_s();
    for (size_t i = 0; i < all; ++i) {
        name_of_20_bytes(name, i % names);
        subscriptions[i] = subscribe(&client, name + name_prefix_size, i);
    }
    wrong += await_events(client.inbox, FANWIRE_EVENT_ACTIVE, 0, all);
    const double subscribe_s = now_s() - from, subscribe_cpu_s = process_cpu_s() - cpu_s;
    const struct memory with = measure_memory();

    ask(&control, "CLIENT KILL TYPE pubsub\r\n", answer, sizeof answer); /* answers when it is done */
    if (strcmp(answer, ":1\r\n")) die("CLIENT KILL: %s", answer);
    from = now_s();
    cpu_s = process_cpu_s();
    uint64_t lost_and_gaps = await_events(client.inbox, FANWIRE_EVENT_RESUMED, 0, all);
    if (lost_and_gaps != 2 * (uint64_t)all) ++wrong;
    const double resubscribe_s = now_s() - from, resubscribe_cpu_s = process_cpu_s() - cpu_s;

    from = now_s();
    for (size_t i = 0; i < all; ++i) fanwire_subscription_destroy(&subscriptions[i]);
    wrong += await_events(client.inbox, FANWIRE_EVENT_ENDED, 0, all);
    await_no_channels(&control);
    const double unsubscribe_s = now_s() - from;
    /* What Redis has answered before this one is confirmed has been read. */
    fanwire_subscription *fence = subscribe(&client, "fence", 0);
    must(fanwire_subscription_wait_active(fence, patience_ms), "fence");
    const struct memory after = measure_memory();

    say("{\"messages\": %zu, \"subscribe_seconds\": %.6f, \"subscribe_cpu_seconds\": %.6f, \"resubscribe_seconds\": %.6f, "
        "\"resubscribe_cpu_seconds\": %.6f, \"unsubscribe_seconds\": %.6f, \"used\": %.1f, \"resident\": %.1f, "
        "\"left_used\": %.1f, \"left_resident\": %.1f, \"wrong\": %llu}",
        all, subscribe_s, subscribe_cpu_s, resubscribe_s, resubscribe_cpu_s, unsubscribe_s, with.used - before.used,
        with.resident - before.resident, after.used - before.used, after.resident - before.resident,
        (unsigned long long)wrong);
    fanwire_subscription_destroy(&fence);
    free(subscriptions);
    close_connection(&control);
    close_client(&client);
    return wrong != 0;
}

/* ---- Engines --------------------------------------------------------------------------------------------- */

static int entries_of(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) die("no %s", path);
    int count = 0;
    while (readdir(directory)) ++count;
    closedir(directory);
    return count;
}

static int engines(const struct arguments *arguments) {
    struct client client;
    open_client(&client, arguments, NULL);
    close_client(&client);
    const int files = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
    const struct memory before = measure_memory();
    const double from = now_s(), cpu_s = process_cpu_s();
    for (long i = 0; i < arguments->count; ++i) {
        open_client(&client, arguments, NULL);
        must(fanwire_engine_close(client.engine, patience_ms), "close");
        close_client(&client);
    }
    const double seconds = now_s() - from, cpu = process_cpu_s() - cpu_s;
    const struct memory after = measure_memory();
    const int wrong = entries_of("/proc/self/fd") != files || entries_of("/proc/self/task") != threads;
    if (wrong) fprintf(stderr, "descriptors or threads are left\n");
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"left_used\": %.1f, \"wrong\": %d}",
        arguments->count, seconds, cpu, after.used - before.used, wrong);
    return wrong;
}

int main(int argc, char **argv) {
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
