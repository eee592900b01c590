/* The C peer: hiredis used as its README shows, with blocking calls.
 *
 *   hiredis receive   redisGetReply() in a loop
 *   hiredis publish   redisAppendCommand(), --in-flight at once
 *   hiredis latency   PUBLISH on one connection, the message on another: the way of a message through Redis and back
 *   hiredis engines   two connections opened, asked for a PING and closed, --count times
 */
#define _GNU_SOURCE
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench.h"

static redisContext* open_context(const struct arguments* arguments) {
    char where[256];
    int port;
    parse_url(arguments->url, where, sizeof where, &port);
    redisContext* context = port ? redisConnect(where, port) : redisConnectUnix(where);
    if (!context || context->err) die("hiredis: %s", context ? context->errstr : "no memory");
    const struct timeval patience = {patience_ms / 1000, 0};
    redisSetTimeout(context, patience);
    return context;
}

static redisReply* next_reply(redisContext* context) {
    void* reply = NULL;
    if (redisGetReply(context, &reply) != REDIS_OK) die("hiredis: %s", context->errstr);
    if (((redisReply*)reply)->type == REDIS_REPLY_ERROR) die("hiredis: %s", ((redisReply*)reply)->str);
    return reply;
}

static int is_message(const redisReply* reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && !strcasecmp(reply->element[0]->str, "message");
}

static void subscribe(redisContext* context, long channels) {
    for (long i = 0; i < channels; ++i) redisAppendCommand(context, "SUBSCRIBE " CHANNEL_PREFIX "%ld", i);
    for (long i = 0; i < channels; ++i) freeReplyObject(next_reply(context));
}

static void check(struct stream* stream, const redisReply* reply) {
    const redisReply *channel = reply->element[1], *payload = reply->element[2];
    stream_check(stream, digits_until(channel->str + sizeof CHANNEL_PREFIX - 1, channel->str + channel->len),
                 payload->str, payload->len);
}

/* hiredis leaves it to the application to come back. */
static redisReply* next_message(redisContext* context, const struct arguments* arguments) {
    void* reply = NULL;
    if (!arguments->broken_once || redisGetReply(context, &reply) == REDIS_OK)
        return reply ? reply : next_reply(context);
    if (redisReconnect(context) != REDIS_OK) die("hiredis: %s", context->errstr);
    subscribe(context, arguments->channels);
    return next_reply(context);
}

static int receive(const struct arguments* arguments) {
    struct stream stream;
    stream_begin(&stream, arguments);
    redisContext* context = open_context(arguments);
    subscribe(context, arguments->channels);
    stream.cpu_s = process_cpu_s();
    say_ready();
    while (!stream_done(&stream)) {
        redisReply* reply = next_message(context, arguments);
        if (!is_message(reply)) die("something that is no message came");
        check(&stream, reply);
        freeReplyObject(reply);
    }
    redisFree(context);
    stream_end(&stream);
    return 0;
}

static int publish(const struct arguments* arguments) {
    redisContext* context = open_context(arguments);
    char* payload = checked_alloc((size_t)arguments->size, 1);
    memset(payload, 'x', (size_t)arguments->size);
    say_ready();
    const double from = now_s(), cpu_s = process_cpu_s();
    long sent = 0, answered = 0;
    while (answered < arguments->count) {
        for (; sent < arguments->count && sent - answered < arguments->in_flight; ++sent)
            redisAppendCommand(context, "PUBLISH " CHANNEL_PREFIX "publish %b", payload, (size_t)arguments->size);
        for (; answered < sent; ++answered) freeReplyObject(next_reply(context));
    }
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": 0}", answered, now_s() - from,
        process_cpu_s() - cpu_s);
    redisFree(context);
    free(payload);
    return 0;
}

static int latency(const struct arguments* arguments) {
    redisContext *out = open_context(arguments), *in = open_context(arguments);
    uint64_t* took = checked_alloc((size_t)arguments->count, sizeof *took);
    /* With --channels 2 the load comes on channel 0, and between its messages the probes. */
    subscribe(in, arguments->channels > 1 ? 1 : 0);
    redisAppendCommand(in, "SUBSCRIBE " CHANNEL_PREFIX "probe");
    freeReplyObject(next_reply(in));
    char* payload = checked_alloc((size_t)arguments->size, 1);
    memset(payload, 'x', (size_t)arguments->size);
    say_ready();
    if (arguments->channels > 1) freeReplyObject(next_reply(in)); /* the load has begun */
    const double cpu_s = process_cpu_s();
    long wrong = 0;
    uint64_t others = 0;
    for (long i = 0; i < arguments->count; ++i) {
        const uint64_t from = now_ns();
        redisAppendCommand(out, "PUBLISH " CHANNEL_PREFIX "probe %b", payload, (size_t)arguments->size);
        int written = 0;
        while (!written)
            if (redisBufferWrite(out, &written) != REDIS_OK) die("hiredis: %s", out->errstr);
        for (;;) {
            redisReply* reply = next_reply(in);
            const int ours = is_message(reply) && !strcmp(reply->element[1]->str, CHANNEL_PREFIX "probe");
            if (ours && reply->element[2]->len != (size_t)arguments->size) ++wrong;
            freeReplyObject(reply);
            if (ours) break;
            ++others;
        }
        took[i] = now_ns() - from;
        freeReplyObject(next_reply(out));
    }
    const double cpu = process_cpu_s() - cpu_s;
    sort_ns(took, (size_t)arguments->count);
    say("{\"messages\": %ld, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"cpu_seconds\": %.6f, "
        "\"others\": %llu, \"wrong\": %ld}",
        arguments->count, percentile_us(took, (size_t)arguments->count, 0.5),
        percentile_us(took, (size_t)arguments->count, 0.99), percentile_us(took, (size_t)arguments->count, 0.999), cpu,
        (unsigned long long)others, wrong);
    redisFree(out);
    redisFree(in);
    free(took);
    free(payload);
    return wrong != 0;
}

static int engines(const struct arguments* arguments) {
    const double from = now_s(), cpu_s = process_cpu_s();
    for (long i = 0; i < arguments->count; ++i) {
        redisContext* two[2];
        for (int k = 0; k < 2; ++k) {
            two[k] = open_context(arguments);
            redisAppendCommand(two[k], "PING");
            freeReplyObject(next_reply(two[k]));
        }
        for (int k = 0; k < 2; ++k) redisFree(two[k]);
    }
    say("{\"messages\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"wrong\": 0}", arguments->count, now_s() - from,
        process_cpu_s() - cpu_s);
    return 0;
}

int main(int argc, char** argv) {
    struct arguments arguments;
    parse_arguments(&arguments, argc, argv);
    if (!strcmp(arguments.what, "receive")) return receive(&arguments);
    if (!strcmp(arguments.what, "publish")) return publish(&arguments);
    if (!strcmp(arguments.what, "latency")) return latency(&arguments);
    if (!strcmp(arguments.what, "engines")) return engines(&arguments);
    die("hiredis does not know \"%s\"", arguments.what);
}
