/* Ends with live handles in the way that its argument names. Exit code 0 is what must come, soon, with nothing printed
 * and no crash.
 *
 * exit_program MODE LIBRARY [URL]: the library is loaded by dlopen, so that unloading can be tried too. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fanwire/fanwire.h"

/* clang-format off */
#define FUNCTIONS(X)                                                                                       \
    X(fanwire_options_create) X(fanwire_options_set) X(fanwire_options_destroy) X(fanwire_engine_open)     \
    X(fanwire_engine_wait_connected) X(fanwire_engine_close) X(fanwire_engine_destroy)                     \
    X(fanwire_inbox_create) X(fanwire_inbox_destroy) X(fanwire_inbox_dispatch) X(fanwire_subscribe)        \
    X(fanwire_subscription_wait_active) X(fanwire_subscription_destroy) X(fanwire_publish)                 \
    X(fanwire_publish_wait)
/* clang-format on */

static struct {
#define X(name) __typeof__(&name) name;
    FUNCTIONS(X)
#undef X
} f;

static fanwire_engine* engine;
static fanwire_inbox* inbox;
static fanwire_subscription* subscription;
static const char* mode;

static void check(int status, const char* what) {
    if (status == FANWIRE_OK) return;
    fprintf(stderr, "%s gave %d\n", what, status);
    _exit(1);
}

static void on_event(void* user_data, const fanwire_event* event) {
    (void)user_data;
    if (event->kind == FANWIRE_EVENT_MESSAGE && strcmp(mode, "exit-in-callback") == 0) exit(0);
}

static void* publishes(void* unused) {
    int i = 0;
    while (1) { /* one of a hundred waits, so that the others do not fill the queue */
        int status = ++i % 100 ? f.fanwire_publish(engine, "c", 1, "x", 1)
                               : f.fanwire_publish_wait(engine, "c", 1, "x", 1, 20000, NULL);
        if (status == FANWIRE_CLOSED) break;
    }
    return unused;
}

static void* load(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        _exit(1);
    }
#define X(name) memcpy(&f.name, (void*[]){dlsym(library, #name)}, sizeof f.name);
    FUNCTIONS(X)
#undef X
    return library;
}

static void open_all(const char* url) {
    fanwire_options* options = NULL;
    check(f.fanwire_options_create(&options), "options_create");
    check(f.fanwire_options_set(options, "url", url), "options_set");
    check(f.fanwire_engine_open(&engine, options), "engine_open");
    f.fanwire_options_destroy(&options);
    check(f.fanwire_engine_wait_connected(engine, 20000), "wait_connected");
    check(f.fanwire_inbox_create(&inbox, NULL), "inbox_create");
    check(f.fanwire_inbox_dispatch(inbox, on_event, NULL), "inbox_dispatch");
    check(f.fanwire_subscribe(&subscription, engine, "c", 1, inbox, NULL), "subscribe");
    check(f.fanwire_subscription_wait_active(subscription, 20000), "wait_active");
    check(f.fanwire_publish_wait(engine, "c", 1, "x", 1, 20000, NULL), "publish_wait");
}

static void destroy_in(const char* order) {
    for (; *order; ++order) {
        if (*order == 'e') f.fanwire_engine_destroy(&engine);
        if (*order == 'i') f.fanwire_inbox_destroy(&inbox);
        if (*order == 's') f.fanwire_subscription_destroy(&subscription);
    }
}

int main(int argc, char** argv) {
    const char* url = argc > 3 ? argv[3] : "memory://x";
    void* library;
    pthread_t thread;
    if (argc < 3) return 2;
    mode = argv[1];
    alarm(30);
    library = load(argv[2]);

    if (strcmp(mode, "unload") == 0) { /* loaded, used and unloaded in every order, again and again */
        static const char* orders[] = {"eis", "esi", "ies", "ise", "sei", "sie"};
        int i;
        for (i = 0; i < 12; ++i) {
            open_all(url);
            destroy_in(orders[i % 6]);
            dlclose(library);
            library = load(argv[2]);
        }
        return 0;
    }
    open_all(url);
    if (strcmp(mode, "return") == 0) return 0;
    if (strcmp(mode, "unload-with-live-handles") == 0) { /* a host's mistake that must not crash: the code stays */
        dlclose(library);
        return 0;
    }
    if (strcmp(mode, "signals") == 0) { /* none is handled by our threads, none disturbs them */
        sigset_t all;
        int i;
        struct sigaction ignore;
        memset(&ignore, 0, sizeof ignore);
        ignore.sa_handler = SIG_IGN;
        sigaction(SIGUSR1, &ignore, NULL);
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, NULL);
        for (i = 0; i < 100; ++i) {
            kill(getpid(), SIGUSR2); /* its default action ends the process: ours are blocked, so it stays pending */
            check(f.fanwire_publish_wait(engine, "c", 1, "x", 1, 20000, NULL), "publish_wait");
        }
        return 0;
    }
    if (pthread_create(&thread, NULL, publishes, NULL) != 0) return 1;
    if (strcmp(mode, "exit-in-callback") == 0) pause();
    if (strcmp(mode, "exit-while-publishing") == 0) {
        int i;
        for (i = 0; i < 100; ++i) check(f.fanwire_publish_wait(engine, "c", 1, "y", 1, 20000, NULL), "publish_wait");
        exit(0);
    }
    if (strcmp(mode, "close-while-publishing") == 0) {
        check(f.fanwire_engine_close(engine, 20000), "close");
        pthread_join(thread, NULL);
        destroy_in("sei");
        return 0;
    }
    return 2;
}
