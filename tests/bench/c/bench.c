#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void die(const char* format, ...) {
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

void* checked_alloc(size_t count, size_t size) {
    void* memory = calloc(count ? count : 1, size);
    if (!memory) die("no memory");
    return memory;
}

void say(const char* format, ...) {
    va_list list;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}

void say_ready(void) {
    say("ready");
}

/* ---- Arguments ------------------------------------------------------------------------------------------- */

static long number(const char* name, const char* text) {
    char* end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0) die("%s takes a number, not \"%s\"", name, text);
    return value;
}

void parse_arguments(struct arguments* arguments, int argc, char** argv) {
    memset(arguments, 0, sizeof *arguments);
    arguments->channels = arguments->count = arguments->threads = 1;
    arguments->size = 128;
    arguments->before = arguments->after = "";
    arguments->in_flight = 1000;
    const struct {
        const char* name;
        long* value;
    } numbers[] = {
        {"--channels", &arguments->channels}, {"--size", &arguments->size},           {"--count", &arguments->count},
        {"--threads", &arguments->threads},   {"--in-flight", &arguments->in_flight}, {"--rate", &arguments->rate},
        {"--skip", &arguments->skip},
    };
    if (argc < 2) die("usage: %s WHAT --url URL [--NAME VALUE]...", argv[0]);
    arguments->what = argv[1];
    for (int i = 2; i < argc; ++i) {
        if (!strcmp(argv[i], "--outcomes")) {
            arguments->outcomes = 1;
            continue;
        }
        if (!strcmp(argv[i], "--broken-once")) {
            arguments->broken_once = 1;
            continue;
        }
        if (i + 1 == argc) die("%s takes a value", argv[i]);
        size_t n = 0;
        while (n < sizeof numbers / sizeof *numbers && strcmp(argv[i], numbers[n].name)) ++n;
        if (n < sizeof numbers / sizeof *numbers)
            *numbers[n].value = number(argv[i], argv[i + 1]);
        else if (!strcmp(argv[i], "--url"))
            arguments->url = argv[i + 1];
        else if (!strcmp(argv[i], "--ca"))
            arguments->ca = argv[i + 1];
        else if (!strcmp(argv[i], "--before"))
            arguments->before = argv[i + 1];
        else if (!strcmp(argv[i], "--after"))
            arguments->after = argv[i + 1];
        else
            die("unknown argument %s", argv[i]);
        ++i;
    }
    if (!arguments->url) die("--url is missing");
    if (arguments->size < digits_size) die("--size is at least %d", digits_size);
    if (!arguments->channels || !arguments->count || !arguments->threads || !arguments->in_flight)
        die("--channels, --count, --threads and --in-flight are above 0");
    signal(SIGPIPE, SIG_IGN);
}

void parse_url(const char* url, char* where, size_t where_size, int* port) {
    if (!strncmp(url, "unix://", 7)) {
        if (snprintf(where, where_size, "%s", url + 7) >= (int)where_size) die("the path is too long: %s", url);
        *port = 0;
        return;
    }
    const char* host = strstr(url, "://");
    const char* colon = host ? strrchr(host + 3, ':') : NULL;
    if (!colon || colon == host || (size_t)(colon - host - 3) >= where_size) die("no URL of host and port: %s", url);
    memcpy(where, host + 3, (size_t)(colon - host - 3));
    where[colon - host - 3] = 0;
    *port = atoi(colon + 1);
}

/* ---- Clocks ---------------------------------------------------------------------------------------------- */

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

double now_s(void) {
    return (double)now_ns() / 1e9;
}

double process_cpu_s(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int compare(const void* a, const void* b) {
    const uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
    return x < y ? -1 : x > y;
}

void sort_ns(uint64_t* values, size_t count) {
    qsort(values, count, sizeof *values, compare);
}

double percentile_us(const uint64_t* sorted, size_t count, double share) {
    size_t at = (size_t)((double)count * share);
    if (at >= count) at = count - 1;
    return (double)sorted[at] / 1e3;
}

/* ---- The stream ------------------------------------------------------------------------------------------ */

void stream_begin(struct stream* stream, const struct arguments* arguments) {
    memset(stream, 0, sizeof *stream);
    stream->channels = (uint64_t)arguments->channels;
    stream->size = (size_t)arguments->size;
    stream->count = (uint64_t)arguments->count;
    stream->next = checked_alloc(stream->channels, sizeof *stream->next);
    for (uint64_t i = 0; i < stream->channels; ++i) stream->next[i] = i;
}

void stream_wrong(const struct stream* stream, uint64_t channel, const char* payload, size_t size) {
    if (channel >= stream->channels) die("a message came on a channel that nobody asked for");
    if (size != stream->size) die("a message of %zu bytes came instead of %zu", size, stream->size);
    die("message %llu of channel %llu came where %llu was due", (unsigned long long)digits16(payload),
        (unsigned long long)channel, (unsigned long long)stream->next[channel]);
}

void stream_end(struct stream* stream) {
    const double cpu_s = process_cpu_s() - stream->cpu_s, seconds = now_s() - stream->first_s;
    if (!stream_done(stream))
        die("%llu of %llu messages did not come", (unsigned long long)(stream->count - stream->seen),
            (unsigned long long)stream->count);
    say("{\"messages\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": 0}",
        (unsigned long long)stream->seen, seconds, cpu_s);
    free(stream->next);
}

/* ---- Connections ----------------------------------------------------------------------------------------- */

static void connect_tls(struct connection* connection, const char* ca) {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    if (!context || !ca || SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
        die("TLS: no use of --ca %s", ca ? ca : "");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL* tls = SSL_new(context);
    SSL_CTX_free(context);
    if (!tls || SSL_set_fd(tls, connection->fd) != 1 || SSL_connect(tls) != 1)
        die("TLS: %s", ERR_reason_error_string(ERR_get_error()));
    connection->tls = tls;
}

void connect_url(struct connection* connection, const struct arguments* arguments) {
    char where[256];
    int port;
    union {
        struct sockaddr any;
        struct sockaddr_in inet;
        struct sockaddr_un unix_;
    } address;
    memset(&address, 0, sizeof address);
    socklen_t size;
    parse_url(arguments->url, where, sizeof where, &port);
    if (port) {
        address.inet.sin_family = AF_INET;
        address.inet.sin_port = htons((uint16_t)port);
        if (inet_pton(AF_INET, where, &address.inet.sin_addr) != 1) die("no IPv4 address: %s", where);
        size = sizeof address.inet;
    } else {
        address.unix_.sun_family = AF_UNIX;
        if (strlen(where) >= sizeof address.unix_.sun_path) die("the path is too long: %s", where);
        strcpy(address.unix_.sun_path, where);
        size = sizeof address.unix_;
    }
    connection->tls = NULL;
    connection->fd = socket(address.any.sa_family, SOCK_STREAM, 0);
    if (connection->fd < 0 || connect(connection->fd, &address.any, size) != 0)
        die("cannot connect to %s: %s", arguments->url, strerror(errno));
    const int yes = 1;
    if (port) setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const struct timeval patience = {patience_ms / 1000, 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!strncmp(arguments->url, "rediss:", 7)) connect_tls(connection, arguments->ca);
}

void send_all(struct connection* connection, const char* bytes, size_t size) {
    while (size > 0) {
        const ssize_t sent = connection->tls ? SSL_write(connection->tls, bytes, (int)size)
                                             : send(connection->fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0) die("cannot send: %s", strerror(errno));
        bytes += sent;
        size -= (size_t)sent;
    }
}

size_t receive_some(struct connection* connection, char* buffer, size_t size) {
    const ssize_t got =
        connection->tls ? SSL_read(connection->tls, buffer, (int)size) : recv(connection->fd, buffer, size, 0);
    if (got > 0) return (size_t)got;
    if (got == 0) die("the server closed the connection");
    die("nothing to read: %s", errno == EAGAIN ? "nothing came any more" : strerror(errno));
}

void close_connection(struct connection* connection) {
    if (connection->tls) SSL_free(connection->tls);
    close(connection->fd);
}
