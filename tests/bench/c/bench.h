/* What the C drivers share: their arguments, clocks, the numbered messages and how they are checked, and the line of
 * JSON that says how it went. See tests/bench/README.md for the contract between drivers and runner. */
#ifndef FANWIRE_BENCH_H
#define FANWIRE_BENCH_H

#include <stddef.h>
#include <stdint.h>

enum {
    digits_size = 16,      /* what a payload begins with */
    patience_ms = 30000,   /* nothing came for so long: it never will */
    read_size = 64 * 1024, /* of one recv() */
};

#define CHANNEL_PREFIX "ws:bench:" /* on the wire; in the namespace "ws" it is "bench:" */

struct arguments {
    const char* what; /* "receive", ... */
    const char *url, *ca;
    const char *before, *after; /* what stands around each payload of the load; "" */
    long channels, size, count, threads, in_flight, rate, skip;
    int outcomes;
    int broken_once; /* the link breaks before the first message: come back */
};

/* Exits with a message on stderr when something is wrong. */
void parse_arguments(struct arguments* arguments, int argc, char** argv);
void die(const char* format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void* checked_alloc(size_t count, size_t size);

double now_s(void); /* wall clock, monotonic */
uint64_t now_ns(void);
double process_cpu_s(void); /* user and system time of the whole process */

/* Prints a line and flushes it. */
void say(const char* format, ...) __attribute__((format(printf, 1, 2)));
void say_ready(void);

/* Ascending; then percentile() is the value that `share` (0..1) of them do not exceed. */
void sort_ns(uint64_t* values, size_t count);
double percentile_us(const uint64_t* sorted, size_t count, double share);

/* The numbers of a payload and of a channel's name: all drivers read and check them alike, so that this costs each of
 * them the same few nanoseconds. */
static inline uint64_t digits8(const char* at) {
    uint64_t v;
    __builtin_memcpy(&v, at, 8);
    v -= UINT64_C(0x3030303030303030);
    v = v * 10 + (v >> 8);
    return (((v & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064)) +
            (((v >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001))) >>
           32;
}

static inline uint64_t digits16(const char* at) {
    return digits8(at) * UINT64_C(100000000) + digits8(at + 8);
}

static inline uint64_t digits_until(const char* at, const char* end) {
    uint64_t v = 0;
    for (; at < end; ++at) v = v * 10 + (uint64_t)(*at - '0');
    return v;
}

/* What a receiver has seen of the stream: message i on channel i modulo `channels`, each channel in order. */
struct stream {
    uint64_t* next; /* of each channel: the number that must come */
    uint64_t channels;
    size_t size;
    uint64_t count; /* how many are to come in all */
    uint64_t seen;
    double first_s, cpu_s; /* when the first came; CPU when ready */
};

void stream_begin(struct stream* stream, const struct arguments* arguments);
/* Says what came instead of what was due, and exits: what follows would only be late. */
void stream_wrong(const struct stream* stream, uint64_t channel, const char* payload, size_t size)
    __attribute__((noreturn, cold));

static inline void stream_check(struct stream* stream, uint64_t channel, const char* payload, size_t size) {
    if (stream->seen++ == 0) stream->first_s = now_s();
    if (channel >= stream->channels || size != stream->size || digits16(payload) != stream->next[channel])
        stream_wrong(stream, channel, payload, size);
    stream->next[channel] += stream->channels;
}

static inline int stream_done(const struct stream* stream) {
    return stream->seen >= stream->count;
}

/* Says the result. */
void stream_end(struct stream* stream);

/* ---- Connections without any library ------------------------------------------------------------------- */

struct connection {
    int fd;
    void* tls; /* an SSL, if any */
};

/* Blocking; reads give up after patience_ms. */
void connect_url(struct connection* connection, const struct arguments* arguments);
void send_all(struct connection* connection, const char* bytes, size_t size);
size_t receive_some(struct connection* connection, char* buffer, size_t size);
void close_connection(struct connection* connection);

/* Host and port of redis://HOST:PORT, or path of unix://PATH (then *port is 0), into `where`. */
void parse_url(const char* url, char* where, size_t where_size, int* port);

#endif
