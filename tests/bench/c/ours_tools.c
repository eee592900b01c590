/* What the driver measures by itself, without a load: fan-out, many channels, engines. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "names.h"
#include "ours.h"

/* ---- Fan-out --------------------------------------------------------------------------------------------- */

/* Told on the IO thread, when it has handed over all there is: how much CPU time it has used by then. */
struct wake {
    sem_t woken;
    double io_s;
};

static void on_wake(void* user_data) {
    struct wake* wake = user_data;
    wake->io_s = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    sem_post(&wake->woken);
}

static void await_wake(struct wake* wake) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += patience_ms / 1000;
    while (sem_timedwait(&wake->woken, &until) != 0)
        if (errno != EINTR) die("the message did not come");
}

/* The clock of the CPU time of the engine's IO thread, which is found by its name. */
static clockid_t io_thread_clock(void) {
    DIR* tasks = opendir("/proc/self/task");
    if (!tasks) die("no /proc");
    clockid_t clock = 0;
    for (struct dirent* entry; (entry = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE* file = fopen(path, "r");
        if (file && fgets(name, sizeof name, file) && !strcmp(name, "fanwire-io\n"))
            clock = (clockid_t)(~(unsigned)atoi(entry->d_name) << 3 | 6); /* as pthread_getcpuclockid() makes them */
        if (file) fclose(file);
    }
    closedir(tasks);
    if (!clock) die("there is no thread \"fanwire-io\"");
    return clock;
}

int fanout(const struct arguments* arguments) {
    static fanwire_event events[batch];
    struct client client;
    open_client(&client, arguments, NULL);
    const clockid_t io = io_thread_clock();
    const size_t all = (size_t)arguments->channels, size = (size_t)arguments->size;
    fanwire_subscription** subscriptions = checked_alloc(all, sizeof *subscriptions);
    uint64_t* seen = checked_alloc(all, sizeof *seen);
    char* payload = checked_alloc(size, 1);
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
    FILE* file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1) die("no /proc/self/statm");
    fclose(file);
    memory.resident = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return memory;
}

/* One command on a connection of its own; its answer. */
static void ask(struct connection* connection, const char* command, char* answer, size_t size) {
    send_all(connection, command, strlen(command));
    const size_t got = receive_some(connection, answer, size - 1);
    answer[got] = 0;
}

static void await_no_channels(struct connection* connection) {
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

int channels(const struct arguments* arguments) {
    static const char* const settings[] = {"reconnect_delay_ms", "1", "unsubscribe_linger_ms", "0", NULL};
    struct client client;
    struct connection control;
    char name[64], answer[256];
    const size_t all = (size_t)arguments->count, names = (size_t)arguments->channels;
    open_client(&client, arguments, settings);
    connect_url(&control, arguments);
    fanwire_subscription** subscriptions = checked_alloc(all, sizeof *subscriptions);
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
    fanwire_subscription* fence = subscribe(&client, "fence", 0);
    must(fanwire_subscription_wait_active(fence, patience_ms), "fence");
    const struct memory after = measure_memory();

    say("{\"messages\": %zu, \"subscribe_seconds\": %.6f, \"subscribe_cpu_seconds\": %.6f, \"resubscribe_seconds\": "
        "%.6f, "
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

static int entries_of(const char* path) {
    DIR* directory = opendir(path);
    if (!directory) die("no %s", path);
    int count = 0;
    while (readdir(directory)) ++count;
    closedir(directory);
    return count;
}

int engines(const struct arguments* arguments) {
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
