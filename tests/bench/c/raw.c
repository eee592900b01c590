/* The floors and the load: what the same bytes cost without any library.
 *
 *   raw receive   blocking recv() of 64 KB and a hand scan of the push frames in place
 *   raw publish   the same bytes again and again, encoded before the clock runs; the replies are compared and counted.
 *                 With --outcomes at most --in-flight of them are unanswered
 *   raw replay    SUBSCRIBE for --channels names, 512 in each command, pipelined
 *   raw load      publishes what the receivers count: message i to channel i modulo --channels; at most a few hundred
 *                 replies ahead. --rate N: N a second until --count or until it is stopped. --skip N: without message
 * N.
 *                 --before TEXT, --after TEXT: what stands around each payload
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "bench.h"
#include "names.h"

/* ---- Frames ---------------------------------------------------------------------------------------------- */

struct frame {
    const char *channel, *payload;
    size_t channel_size, payload_size;
};

/* "123\r\n" from *at on; moves *at behind it. -1: not all of it is there. */
static long header(const char** at, const char* end) {
    long value = 0;
    for (const char* p = *at; p + 1 < end; ++p) {
        if (*p == '\r') {
            *at = p + 2;
            return value;
        }
        value = value * 10 + (*p - '0');
    }
    return -1;
}

/* "$4\r\nname\r\n" likewise. */
static int bulk(const char** at, const char* end, const char** bytes, size_t* size) {
    if (*at >= end) return 0;
    if (**at != '$') die("not a bulk string: %.20s", *at);
    const char* p = *at + 1;
    const long length = header(&p, end);
    if (length < 0 || end - p < length + 2) return 0;
    *bytes = p;
    *size = (size_t)length;
    *at = p + length + 2;
    return 1;
}

/* The frame at *at, if it is there whole. */
static int message(const char** at, const char* end, struct frame* frame) {
    static const char head[] = "*3\r\n$7\r\nmessage\r\n";
    const char* p = *at + sizeof head - 1;
    if (p >= end) return 0;
    if (memcmp(*at, head, sizeof head - 1)) die("not a message: %.20s", *at);
    if (!bulk(&p, end, &frame->channel, &frame->channel_size)) return 0;
    if (!bulk(&p, end, &frame->payload, &frame->payload_size)) return 0;
    *at = p;
    return 1;
}

static int acknowledged(const char** at, const char* end) {
    static const char head[] = "*3\r\n$9\r\nsubscribe\r\n";
    const char *p = *at + sizeof head - 1, *name;
    size_t size;
    if (p >= end) return 0;
    if (memcmp(*at, head, sizeof head - 1)) die("not an acknowledgement: %.20s", *at);
    if (!bulk(&p, end, &name, &size) || p >= end) return 0;
    ++p;
    if (header(&p, end) < 0) return 0;
    *at = p;
    return 1;
}

/* ---- Subscribing ----------------------------------------------------------------------------------------- */

typedef size_t (*name_fn)(char* out, size_t index);

static size_t name_of_stream(char* out, size_t index) {
    return (size_t)sprintf(out, CHANNEL_PREFIX "%zu", index);
}

/* Writes and reads at once, as a server with a million acknowledgements to send wants it. */
static void subscribe(struct connection* connection, size_t channels, name_fn name) {
    enum { names_each = 512, room = 1 << 16 };
    char *out = checked_alloc(room, 1), *in = checked_alloc(room, 1);
    size_t made = 0, out_size = 0, out_sent = 0, in_size = 0, seen = 0;
    if (connection->tls) { /* not worth a state machine: the commands first, then the acknowledgements */
        for (; made < channels; ++made) {
            char one[64];
            const size_t size = name(one, made);
            out_size = (size_t)sprintf(out, "*2\r\n$9\r\nSUBSCRIBE\r\n$%zu\r\n%.*s\r\n", size, (int)size, one);
            send_all(connection, out, out_size);
        }
        out_size = 0;
    } else {
        fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) | O_NONBLOCK);
    }
    while (seen < channels) {
        if (out_sent == out_size && made < channels) {
            const size_t names = channels - made < names_each ? channels - made : names_each;
            out_sent = 0;
            out_size = (size_t)sprintf(out, "*%zu\r\n$9\r\nSUBSCRIBE\r\n", names + 1);
            for (size_t i = 0; i < names; ++i, ++made) {
                char one[64];
                const size_t size = name(one, made);
                out_size += (size_t)sprintf(out + out_size, "$%zu\r\n%.*s\r\n", size, (int)size, one);
            }
        }
        if (!connection->tls) {
            struct pollfd wait = {connection->fd, (short)(POLLIN | (out_sent < out_size ? POLLOUT : 0)), 0};
            if (poll(&wait, 1, patience_ms) != 1) die("only %zu of %zu were subscribed", seen, channels);
            if (wait.revents & POLLOUT) {
                const ssize_t sent = send(connection->fd, out + out_sent, out_size - out_sent, MSG_NOSIGNAL);
                if (sent > 0) out_sent += (size_t)sent;
            }
            if (!(wait.revents & ~POLLOUT)) continue;
        }
        in_size += receive_some(connection, in + in_size, room - in_size);
        const char *at = in, *end = in + in_size;
        while (acknowledged(&at, end)) ++seen;
        in_size = (size_t)(end - at);
        memmove(in, at, in_size);
    }
    if (!connection->tls) fcntl(connection->fd, F_SETFL, fcntl(connection->fd, F_GETFL) & ~O_NONBLOCK);
    free(out);
    free(in);
}

static int replay(const struct arguments* arguments) {
    struct connection connection;
    const double from = now_s(), cpu_s = process_cpu_s();
    connect_url(&connection, arguments);
    subscribe(&connection, (size_t)arguments->channels, name_of_20_bytes);
    say("{\"channels\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": 0}", arguments->channels,
        now_s() - from, process_cpu_s() - cpu_s);
    close_connection(&connection);
    return 0;
}

/* ---- Receiving ------------------------------------------------------------------------------------------- */

static int receive(const struct arguments* arguments) {
    struct connection connection;
    struct stream stream;
    stream_begin(&stream, arguments);
    connect_url(&connection, arguments);
    subscribe(&connection, stream.channels, name_of_stream);
    /* Two messages and what one recv() may bring: so a part is seldom moved. */
    const size_t room = 2 * ((size_t)arguments->size + 128) + 4 * read_size;
    char* buffer = checked_alloc(room, 1);
    size_t begin = 0, end = 0;
    stream.cpu_s = process_cpu_s();
    say_ready();
    while (!stream_done(&stream)) {
        if (room - end < read_size) {
            memmove(buffer, buffer + begin, end - begin);
            end -= begin;
            begin = 0;
        }
        end += receive_some(&connection, buffer + end, read_size);
        const char* at = buffer + begin;
        struct frame frame;
        while (message(&at, buffer + end, &frame))
            stream_check(&stream,
                         digits_until(frame.channel + sizeof CHANNEL_PREFIX - 1, frame.channel + frame.channel_size),
                         frame.payload, frame.payload_size);
        begin = (size_t)(at - buffer);
        if (begin == end) begin = end = 0;
    }
    free(buffer);
    close_connection(&connection);
    stream_end(&stream);
    return 0;
}

/* ---- Publishing ------------------------------------------------------------------------------------------ */

enum { publish_size = 1024 * 1024 }; /* of one send() */

/* All of them are the same command, so that what is to be sent can be repeated from any byte on, and so can the answer.
 */
struct repeated {
    char* bytes;
    size_t one, all; /* the size of one, and of as many as there are */
};

static struct repeated repeat(const char* one, size_t size, size_t room) {
    const size_t count = room / size + 1;
    struct repeated made = {checked_alloc(count, size), size, count * size};
    for (size_t i = 0; i < count; ++i) memcpy(made.bytes + i * size, one, size);
    return made;
}

static struct repeated repeat_publish(size_t size) {
    char* one = checked_alloc(size + 128, 1);
    int at = sprintf(one, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n" CHANNEL_PREFIX "publish\r\n$%zu\r\n",
                     sizeof CHANNEL_PREFIX "publish" - 1, size);
    memset(one + at, 'x', size);
    memcpy(one + at + size, "\r\n", 2);
    const struct repeated made = repeat(one, (size_t)at + size + 2, publish_size);
    free(one);
    return made;
}

/* Wakes only when so many bytes are there: else Redis pays for a wake-up after each few replies that it writes. */
static void wake_at(const struct connection* connection, uint64_t bytes) {
    const int low = (int)bytes;
    setsockopt(connection->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
}

static int publish(const struct arguments* arguments) {
    struct connection connection;
    connect_url(&connection, arguments);
    if (connection.tls || arguments->threads > 1) die("raw publish is one thread without TLS");
    fcntl(connection.fd, F_SETFL, fcntl(connection.fd, F_GETFL) | O_NONBLOCK);
    const struct repeated commands = repeat_publish((size_t)arguments->size);
    const struct repeated replies = repeat(":0\r\n", 4, read_size);
    char* in = checked_alloc(read_size + 1, 1); /* ends with a 0 */
    const uint64_t count = (uint64_t)arguments->count, all = count * replies.one;
    const uint64_t ahead = arguments->outcomes ? (uint64_t)arguments->in_flight : count;
    const uint64_t some =
        (ahead < read_size / replies.one ? ahead : read_size / replies.one) * 2 - 1; /* not quite half */
    uint64_t sent = 0, answered = 0, low = 0;                                        /* bytes */
    say_ready();
    const double from = now_s(), cpu_s = process_cpu_s();
    while (answered < all) {
        const uint64_t whole = answered / replies.one, may = count - whole < ahead ? count : whole + ahead;
        const uint64_t left = may * commands.one - sent;
        /* Replies are read whenever there is room for more commands, and waited for only when no more may be sent. */
        struct pollfd wait = {connection.fd, left ? POLLOUT : POLLIN, 0};
        const uint64_t enough = left ? low : all - answered < some ? all - answered : some;
        if (enough != low) wake_at(&connection, low = enough);
        if (poll(&wait, 1, patience_ms) != 1) die("only %" PRIu64 " of %" PRIu64 " were answered", whole, count);
        if (left) {
            const size_t begin = (size_t)(sent % commands.one), most = commands.all - begin;
            const ssize_t did = send(connection.fd, commands.bytes + begin, left < most ? left : most, MSG_NOSIGNAL);
            if (did > 0) sent += (uint64_t)did;
        }
        const ssize_t got = recv(connection.fd, in, read_size, 0);
        if (got < 0 && errno == EAGAIN) continue;
        if (got <= 0) die("no answer to PUBLISH: %s", got ? strerror(errno) : "closed");
        const char* expected = replies.bytes + answered % replies.one;
        if (memcmp(in, expected, (size_t)got)) {
            ssize_t same = 0, line = 0;
            for (; in[same] == expected[same]; ++same)
                if (in[same] == '\n') line = same + 1;
            die("PUBLISH was answered %.*s", (int)strcspn(in + line, "\r"), in + line);
        }
        answered += (uint64_t)got;
    }
    say("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": %d}", answered / replies.one,
        now_s() - from, process_cpu_s() - cpu_s, answered != all);
    close_connection(&connection);
    free(commands.bytes);
    free(replies.bytes);
    free(in);
    return answered != all;
}

/* ---- The load -------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;

static void stop(int signal) {
    (void)signal;
    stopped = 1;
}

struct load {
    struct connection connection;
    char *out, *in;
    size_t out_size, command_max, in_size;
    uint64_t sent, answered, unheard;
};

static size_t payload_size(const struct arguments* arguments) {
    return strlen(arguments->before) + (size_t)arguments->size + strlen(arguments->after);
}

static void add_command(struct load* load, const struct arguments* arguments, uint64_t number) {
    char channel[64];
    const size_t size = name_of_stream(channel, (size_t)(number % (uint64_t)arguments->channels));
    char* at = load->out + load->out_size;
    at += sprintf(at, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n%s%016llu", size, channel, payload_size(arguments),
                  arguments->before, (unsigned long long)number);
    memset(at, 'x', (size_t)arguments->size - digits_size);
    at += arguments->size - digits_size;
    at += sprintf(at, "%s\r\n", arguments->after);
    load->out_size = (size_t)(at - load->out);
}

static void send_commands(struct load* load) {
    send_all(&load->connection, load->out, load->out_size);
    load->out_size = 0;
}

/* Each publish has exactly one receiver. */
static void take_replies(struct load* load, int flags) {
    const ssize_t got = recv(load->connection.fd, load->in + load->in_size, read_size - load->in_size, flags);
    if (got < 0 && (errno == EAGAIN || errno == EINTR) && (flags & MSG_DONTWAIT)) return;
    if (got <= 0) die("load: no answer to PUBLISH: %s", got ? strerror(errno) : "closed");
    load->in_size += (size_t)got;
    const char *at = load->in, *end = at + load->in_size;
    while (at < end) {
        const char* p = at + 1;
        if (*at != ':') die("load: PUBLISH was answered %.60s", at);
        const long receivers = header(&p, end);
        if (receivers < 0) break;
        if (receivers != 1) ++load->unheard;
        ++load->answered;
        at = p;
    }
    load->in_size = (size_t)(end - at);
    memmove(load->in, at, load->in_size);
}

static void full_speed(struct load* load, const struct arguments* arguments, size_t each, uint64_t ahead) {
    for (uint64_t number = 0; number < (uint64_t)arguments->count && !stopped;) {
        for (size_t i = 0; i < each && number < (uint64_t)arguments->count; ++i, ++number) {
            if (arguments->skip && number == (uint64_t)arguments->skip) continue;
            add_command(load, arguments, number);
            ++load->sent;
        }
        send_commands(load);
        while (load->sent - load->answered > ahead) take_replies(load, 0);
    }
}

static void at_rate(struct load* load, const struct arguments* arguments) {
    const uint64_t from = now_ns();
    for (uint64_t tick = 1; load->sent < (uint64_t)arguments->count && !stopped; ++tick) {
        const uint64_t due = from + tick * UINT64_C(1000000);
        const uint64_t target = tick * (uint64_t)arguments->rate / 1000;
        for (; load->sent < target && load->sent < (uint64_t)arguments->count; ++load->sent) {
            if (load->out_size + load->command_max > read_size) send_commands(load);
            add_command(load, arguments, load->sent);
        }
        send_commands(load);
        take_replies(load, MSG_DONTWAIT);
        const struct timespec until = {(time_t)(due / 1000000000), (long)(due % 1000000000)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    }
}

static int load(const struct arguments* arguments) {
    struct load load;
    memset(&load, 0, sizeof load);
    connect_url(&load.connection, arguments);
    load.command_max = payload_size(arguments) + 256;
    load.out = checked_alloc(read_size + load.command_max, 1);
    load.in = checked_alloc(read_size, 1);
    signal(SIGTERM, stop);
    size_t each = read_size / load.command_max;
    if (each > 100) each = 100;
    if (each == 0) each = 1;
    say_ready();
    const double from = now_s(), cpu_s = process_cpu_s();
    if (arguments->rate)
        at_rate(&load, arguments);
    else
        full_speed(&load, arguments, each, each * 8);
    while (load.answered < load.sent) take_replies(&load, 0);
    say("{\"messages\": %llu, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": %llu}",
        (unsigned long long)load.sent, now_s() - from, process_cpu_s() - cpu_s, (unsigned long long)load.unheard);
    close_connection(&load.connection);
    free(load.out);
    free(load.in);
    return load.unheard != 0;
}

int main(int argc, char** argv) {
    struct arguments arguments;
    parse_arguments(&arguments, argc, argv);
    if (!strcmp(arguments.what, "receive")) return receive(&arguments);
    if (!strcmp(arguments.what, "publish")) return publish(&arguments);
    if (!strcmp(arguments.what, "replay")) return replay(&arguments);
    if (!strcmp(arguments.what, "load")) return load(&arguments);
    die("raw does not know \"%s\"", arguments.what);
}
