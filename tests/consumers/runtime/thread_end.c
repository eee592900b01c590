/* Threads that end in the middle of things, where the C++ library is another one than the compiler's own: a callback
 * that ends the dispatcher's thread, and threads that are cancelled between and in calls. Prints "ok". */
#include <fanwire/fanwire.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int called, published;

static void must(int status, const char* what) {
    if (status == FANWIRE_OK) return;
    fprintf(stderr, "%s: %s\n", what, fanwire_last_error());
    exit(1);
}

static void note(int* count) {
    pthread_mutex_lock(&mutex);
    ++*count;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void await(const int* count, int wanted) {
    struct timespec until;
    int late = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&mutex);
    while (*count < wanted && !late) late = pthread_cond_timedwait(&changed, &mutex, &until);
    pthread_mutex_unlock(&mutex);
    if (late) {
        fprintf(stderr, "%d of %d calls after a minute\n", *count, wanted);
        exit(1);
    }
}

static void end_thread(void* data, const fanwire_event* event) {
    (void)event;
    note(data);
    pthread_exit(NULL);
}

static void* publish(void* data) {
    for (;;) {
        fanwire_publish_wait(data, "b", 1, "x", 1, FANWIRE_FOREVER, NULL);
        note(&published);
        pthread_testcancel();
    }
    return NULL;
}

int main(void) {
    fanwire_options* options = NULL;
    fanwire_engine* engine = NULL;
    fanwire_inbox* inbox = NULL;
    fanwire_subscription* subscription = NULL;
    uint64_t receivers = 0;
    int i;

    must(fanwire_options_create(&options), "options");
    must(fanwire_options_set(options, "url", "memory://"), "url");
    must(fanwire_engine_open(&engine, options), "open");
    must(fanwire_inbox_create(&inbox, NULL), "inbox");
    must(fanwire_inbox_dispatch(inbox, end_thread, &called), "dispatch");
    must(fanwire_subscribe(&subscription, engine, "a", 1, inbox, NULL), "subscribe");
    await(&called, 1);
    must(fanwire_publish_wait(engine, "a", 1, "x", 1, 60000, &receivers), "publish");

    for (i = 0; i < 20; ++i) {
        pthread_t thread;
        void* ended = NULL;
        const int before = published;
        if (pthread_create(&thread, NULL, publish, engine) != 0) return 1;
        await(&published, before + 3);
        pthread_cancel(thread);
        pthread_join(thread, &ended);
        if (ended != PTHREAD_CANCELED) return fprintf(stderr, "the thread was not cancelled\n"), 1;
    }

    fanwire_subscription_destroy(&subscription);
    fanwire_inbox_destroy(&inbox);
    must(fanwire_engine_close(engine, 60000), "close");
    fanwire_engine_destroy(&engine);
    fanwire_options_destroy(&options);
    if (receivers != 1 || called != 1) return fprintf(stderr, "%d receivers, %d calls\n", (int)receivers, called), 1;
    puts("ok");
    return 0;
}
