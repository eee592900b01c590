/* fanwire: a Redis fan-out engine. This header is the whole C ABI.
 *
 * Conventions, said once:
 *  - Handles are opaque. `*_create`, `*_open` and `fanwire_*subscribe` give the caller a handle to own;
 *    the matching `*_destroy` takes its address, frees it and sets it to NULL. Destroying NULL is harmless.
 *    A handle may be destroyed in any order with respect to the others.
 *  - Every function that can fail returns a fanwire_status as `int`; FANWIRE_OK is 0. When it is not OK,
 *    nothing was changed and fanwire_last_error() has the detail for the calling thread.
 *  - A NULL handle, or a handle of another type, gives FANWIRE_INVALID_ARGUMENT. A handle that was destroyed
 *    must not be used again: that is the one misuse that cannot be detected.
 *  - Any thread may call any function on any handle at any time, unless a function says otherwise. Destroying
 *    a handle while another thread is inside a call on it is the caller's error.
 *  - Strings that are settings, names of settings and texts are NUL-terminated UTF-8. Channels, patterns and
 *    payloads are bytes with a length and may hold NUL. `const` pointers passed in are only read during the call.
 *  - Times are milliseconds. A timeout of FANWIRE_FOREVER waits without limit, 0 does not wait.
 *  - After fork() the child's copies of engines, inboxes and subscriptions belong to the parent: calls on them give
 *    FANWIRE_FORKED, destroying them only frees what is safe to free and closes the child's copies of the sockets.
 *    The child may open engines of its own. Messages that it holds stay valid.
 *  - Nothing is written to stdout or stderr, and no call blocks unless it has a timeout argument.
 *  - A signal that is handled during a call does not end it: a wait goes on until what it waits for, or its timeout.
 * The library's own threads block all signals.
 *  - No call is a cancellation point: a pthread_cancel() that comes during one takes effect at the thread's next
 *    cancellation point behind it. To end a wait, make what it waits for happen, or close the engine.
 *  - Every function is available since 0.1.0 unless it says otherwise.
 */
#ifndef FANWIRE_FANWIRE_H
#define FANWIRE_FANWIRE_H

/* Laid out by hand, since it is read more than it is changed. */
/* clang-format off */

#include <stddef.h>
#include <stdint.h>

#define FANWIRE_VERSION_MAJOR 0
#define FANWIRE_VERSION_MINOR 1
#define FANWIRE_VERSION_PATCH 0

#if defined(FANWIRE_STATIC)
#define FANWIRE_API
#elif defined(__GNUC__)
#define FANWIRE_API __attribute__((visibility("default")))
#else
#define FANWIRE_API
#endif

#define FANWIRE_FOREVER UINT64_MAX       /* as a timeout */
#define FANWIRE_COUNT_UNKNOWN UINT64_MAX /* as a GAP's count, and as `missing` */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status ------------------------------------------------------------------------------------------- */

/* What every call and every asynchronous outcome reports. The texts and which are worth a retry come from
 * fanwire_status_at(). Values are never reused. */
typedef enum fanwire_status {
    FANWIRE_OK = 0,
    FANWIRE_INVALID_ARGUMENT = 1,
    FANWIRE_INVALID_URL = 2,
    FANWIRE_UNKNOWN_OPTION = 3,
    FANWIRE_INVALID_OPTION = 4,
    FANWIRE_INVALID_CHANNEL = 5,
    FANWIRE_MESSAGE_TOO_LARGE = 6,
    FANWIRE_LIMIT_REACHED = 7,
    FANWIRE_NO_MEMORY = 8,
    FANWIRE_CLOSED = 9,
    FANWIRE_UNSUBSCRIBED = 10,
    FANWIRE_TIMEOUT = 11,
    FANWIRE_NOT_CONNECTED = 12,
    FANWIRE_QUEUE_FULL = 13,
    FANWIRE_OUTCOME_UNKNOWN = 14,
    FANWIRE_RESOLVE_FAILED = 15,
    FANWIRE_CONNECT_FAILED = 16,
    FANWIRE_CONNECTION_LOST = 17,
    FANWIRE_AUTH_FAILED = 18,
    FANWIRE_NO_PERMISSION = 19,
    FANWIRE_PROTOCOL_ERROR = 20,
    FANWIRE_REDIS_ERROR = 21,
    FANWIRE_SYSTEM_ERROR = 22,
    FANWIRE_VERSION_MISMATCH = 23,
    FANWIRE_INTERNAL = 24,
    FANWIRE_FORKED = 25,
    FANWIRE_TLS_FAILED = 26,
    FANWIRE_TLS_UNTRUSTED = 27,
    FANWIRE_TLS_WRONG_NAME = 28,
    FANWIRE_TLS_EXPIRED = 29,
    FANWIRE_TLS_NOT_SPOKEN = 30,
    FANWIRE_CONNECT_TIMEOUT = 31,
    FANWIRE_WRONG_SERVER = 32,
    FANWIRE_NO_MASTER = 33,
    FANWIRE_NOT_MASTER = 34
} fanwire_status;

typedef struct fanwire_status_info {
    int code;         /* a fanwire_status */
    int retryable;    /* 1: the same call may succeed later with nothing changed by the caller */
    const char *name; /* "NO_MEMORY"; static */
    const char *text; /* "out of memory"; static */
} fanwire_status_info;

/* Number of rows in the status table. Thread: any. Errors: none. */
FANWIRE_API size_t fanwire_status_count(void);

/* Row `index` of the status table into *info, of which `info_size` bytes are written at most (pass sizeof *info).
 * Bindings build their exception classes by looping over this. Thread: any.
 * Errors: INVALID_ARGUMENT (index out of range, info NULL or info_size below the first version's). */
FANWIRE_API int fanwire_status_at(size_t index, fanwire_status_info *info, size_t info_size);

/* Name ("CONNECT_FAILED") and text of a status; "UNKNOWN" and "unknown status" for a number outside the table.
 * Ownership: static. Thread: any. Errors: none. */
FANWIRE_API const char *fanwire_status_name(int status);
FANWIRE_API const char *fanwire_status_text(int status);

/* The detail of the last failed call of this thread, for people: it names the thing that is wrong. "" when no
 * call of this thread has failed yet. Passwords never stand in it. Ownership: the library's, valid until this
 * thread's next failing call. Thread: the calling one. Errors: none. */
FANWIRE_API const char *fanwire_last_error(void);

/* ---- Names of numbers --------------------------------------------------------------------------------- */

typedef enum fanwire_name_set {
    FANWIRE_NAMES_EVENT_KIND = 1,         /* of fanwire_event_kind: "message" "active" ... */
    FANWIRE_NAMES_GAP_REASON = 2,         /* of fanwire_gap_reason */
    FANWIRE_NAMES_SUBSCRIPTION_STATE = 3, /* of fanwire_subscription_state */
    FANWIRE_NAMES_ENGINE_STATE = 4,       /* of fanwire_engine_state */
    FANWIRE_NAMES_HEALTH_VERDICT = 5,     /* of fanwire_health_verdict */
    FANWIRE_NAMES_LOG_LEVEL = 6,          /* of fanwire_log_level */
    FANWIRE_NAMES_LATENCY_KIND = 7,       /* of fanwire_latency_kind */
    FANWIRE_NAMES_METRICS_FORMAT = 8,     /* of fanwire_metrics_format */
    FANWIRE_NAMES_PAYLOAD_TYPE = 9,       /* of fanwire_payload_type */
    FANWIRE_NAMES_ENVELOPE_KIND = 10      /* of fanwire_envelope_kind */
} fanwire_name_set;

typedef struct fanwire_name_info {
    int code;         /* the number in the set's enumeration */
    const char *name; /* "output_buffer"; static */
    const char *help; /* one line for people; static */
} fanwire_name_info;

/* Returns the number of rows of a set of names; 0 for a set that this library does not know. Thread: any. Errors: none. */
FANWIRE_API size_t fanwire_name_count(int set);

/* Row `index` of a set of names into *info, of which info_size bytes are written at most (pass sizeof *info). Bindings
 * make their words from these rows instead of listing them. Thread: any.
 * Errors: INVALID_ARGUMENT (unknown set, index out of range, info NULL or info_size below the first version's). */
FANWIRE_API int fanwire_name_at(int set, size_t index, fanwire_name_info *info, size_t info_size);

/* Returns the name of a number of a set, and "unknown" for what is not in it. Ownership: static. Thread: any.
 * Errors: none. */
FANWIRE_API const char *fanwire_name(int set, int code);

/* ---- Version ------------------------------------------------------------------------------------------ */

/* The library's version, "0.1.0". Ownership: static. Thread: any. Errors: none. */
FANWIRE_API const char *fanwire_version(void);

/* Whether code compiled against a header of version major.minor.patch may use this library: the same major, and
 * a library at least as new (before 1.0.0: the same minor too). Call as FANWIRE_CHECK_VERSION(). Thread: any.
 * Errors: VERSION_MISMATCH. */
FANWIRE_API int fanwire_check_version(int major, int minor, int patch);
#define FANWIRE_CHECK_VERSION() \
    fanwire_check_version(FANWIRE_VERSION_MAJOR, FANWIRE_VERSION_MINOR, FANWIRE_VERSION_PATCH)

/* Name and version of the libraries this one stands on ("hiredis", "0.14.1"), index from 0.
 * Ownership: static. Thread: any. Errors: INVALID_ARGUMENT (index out of range, NULL). */
FANWIRE_API int fanwire_dependency_at(size_t index, const char **name, const char **version);

/* Where the certificates of the authorities are that TLS trusts when the setting tls_ca_file is empty: a file, or a
 * directory, copied to buffer with a NUL; "" when the system has none. SSL_CERT_FILE and SSL_CERT_DIR of the environment
 * come first, then the places of OpenSSL and of the distributions. *size is the buffer's size in and the bytes needed, NUL
 * included, out. buffer may be NULL with *size 0 to ask for the size. Thread: any, but none that sets the environment.
 * Errors: INVALID_ARGUMENT; LIMIT_REACHED when the buffer is too small; NO_MEMORY. */
FANWIRE_API int fanwire_authorities(char *buffer, size_t *size);

/* ---- Settings ----------------------------------------------------------------------------------------- */

typedef struct fanwire_options fanwire_options; /* a set of settings; see fanwire_option_at() for all of them */

typedef struct fanwire_option_info {
    const char *name;          /* "connect_timeout_ms"; static, as are the others */
    const char *type;          /* "string" "integer" "number" "size" "boolean" or "enum" */
    const char *default_value; /* as fanwire_options_set() would take it; "" when unset */
    const char *range;         /* "1..65535", "queue|fail"; "" when anything goes */
    const char *help;          /* one line */
    int secret;                /* 1: its value is shown as "***" */
} fanwire_option_info;

/* Number of settings, and row `index` of the table of settings into *info, of which `info_size` bytes are written
 * at most (pass sizeof *info). Thread: any. Errors: INVALID_ARGUMENT. */
FANWIRE_API size_t fanwire_option_count(void);
FANWIRE_API int fanwire_option_at(size_t index, fanwire_option_info *info, size_t info_size);

/* A new, empty set of settings in *options, owned by the caller. Settings that are not set come from the URL, then
 * from the environment (FANWIRE_<NAME>; REDIS_URL for url), then from the table. Parameters of other clients in REDIS_URL
 * that mean a setting are understood; the others have no effect but a line in the log, as have variables that Kubernetes
 * and Docker set for services.
 * Thread: any, but not two at once on the same options. Errors: INVALID_ARGUMENT, NO_MEMORY. */
FANWIRE_API int fanwire_options_create(fanwire_options **options);

/* Frees *options and sets it to NULL. Engines and inboxes made from it keep their own copy. */
FANWIRE_API void fanwire_options_destroy(fanwire_options **options);

/* Sets one setting from text. `name` "url" takes a whole URL, checked here.
 * Errors: UNKNOWN_OPTION, INVALID_OPTION, INVALID_URL; the options stay as they were. */
FANWIRE_API int fanwire_options_set(fanwire_options *options, const char *name, const char *value);

/* The value that setting `name` would have in an engine opened now, copied to buffer with a NUL; *size is the
 * buffer's size in and the bytes needed, NUL included, out. buffer may be NULL with *size 0 to ask for the size.
 * A secret that is set reads "***"; passwords inside url too.
 * Errors: UNKNOWN_OPTION; LIMIT_REACHED when the buffer is too small; whatever fanwire_engine_open() would say. */
FANWIRE_API int fanwire_options_get(const fanwire_options *options, const char *name, char *buffer, size_t *size);

/* Where the value comes from: *source becomes "option" "url" "environment" or "default". Ownership: static.
 * Errors: as fanwire_options_get(). */
FANWIRE_API int fanwire_options_source(const fanwire_options *options, const char *name, const char **source);

typedef enum fanwire_log_level {
    FANWIRE_LOG_ERROR = 1,
    FANWIRE_LOG_WARN = 2,
    FANWIRE_LOG_INFO = 3,
    FANWIRE_LOG_DEBUG = 4
} fanwire_log_level;

/* Called with one line of text, without a newline, NUL-terminated, valid during the call. May come from the
 * engine's IO thread: it must not block and must not call back into the engine. */
typedef void (*fanwire_log_fn)(void *user_data, int level, const char *text);

/* Where an engine opened with these options sends its log; which levels is the setting log_level. NULL: nowhere.
 * user_data must stay valid until the engine is destroyed. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_options_set_log(fanwire_options *options, fanwire_log_fn log, void *user_data);

/* ---- Events, messages, inboxes ------------------------------------------------------------------------ */

typedef struct fanwire_engine fanwire_engine;             /* one connection to one Redis, with its IO thread */
typedef struct fanwire_subscription fanwire_subscription; /* one wish for one channel or pattern */
typedef struct fanwire_inbox fanwire_inbox;               /* a bounded queue of events with one consumer */
typedef struct fanwire_message fanwire_message;           /* immutable, reference counted */
typedef struct fanwire_request fanwire_request;           /* a message that asks for replies */

typedef enum fanwire_event_kind {
    /* of a subscription, in stream order */
    FANWIRE_EVENT_MESSAGE = 1, /* channel, pattern, payload */
    FANWIRE_EVENT_ACTIVE = 2,  /* Redis confirmed the subscription for the first time */
    FANWIRE_EVENT_LOST = 3,    /* the link broke; still wanted. status, text: why */
    FANWIRE_EVENT_RESUMED = 4, /* Redis confirmed it again after LOST; the GAP of the break stands before it. When a full
                                  inbox had to fold the events before it, the only one that says that the subscription
                                  is confirmed: ACTIVE and LOST may not come then, but that GAP always does */
    FANWIRE_EVENT_GAP = 5,     /* messages are missing here. reason, count (or FANWIRE_COUNT_UNKNOWN) */
    FANWIRE_EVENT_FAILED = 6,  /* Redis refused the subscription: retried slowly; or the engine gave up connecting: ACTIVE,
                                  or GAP and RESUMED, follow when it is revived. status, text: why */
    FANWIRE_EVENT_ENDED = 7,   /* the last event of a subscription: user_data is not used again.
                                  status UNSUBSCRIBED, or CLOSED when the engine was closed */
    /* of a publish */
    FANWIRE_EVENT_PUBLISHED = 8, /* exactly one for each accepted fanwire_publish_async(). status; count: receivers */
    /* of an engine */
    FANWIRE_EVENT_CONNECTED = 9,     /* both links are ready */
    FANWIRE_EVENT_DISCONNECTED = 10, /* no longer. status, text: why; will_reconnect */
    FANWIRE_EVENT_RECONNECTING = 11, /* count: which attempt in a row; delay_ms until it is made */
    FANWIRE_EVENT_ERROR = 12,        /* an attempt to connect failed. status, text: why; will_reconnect */
    FANWIRE_EVENT_GAVE_UP = 13,      /* the last of max_reconnect_attempts failed, as an ERROR has said; fanwire_engine_reconnect()
                                        tries again. status, text: why; count: failed attempts */
    /* of a question */
    FANWIRE_EVENT_NUMSUB = 14, /* exactly one for each accepted fanwire_numsub_async(). status, text: why there are no
                                  numbers; payload: one uint64_t for each channel, aligned; count: how many channels */
    /* of a request */
    FANWIRE_EVENT_REPLY = 15,       /* payload, message */
    FANWIRE_EVENT_REQUEST_DONE = 16 /* exactly one for each opened request, its last. status, text; count: how many REPLY
                                       events came; missing: how many more were expected */
} fanwire_event_kind;

typedef enum fanwire_gap_reason {
    FANWIRE_GAP_RECONNECT = 1, /* the link was down: what was published meanwhile is gone; count unknown */
    FANWIRE_GAP_OVERFLOW = 2,  /* the inbox was full, or there was no memory; count exact */
    FANWIRE_GAP_OUTPUT_BUFFER = 3, /* as RECONNECT, and while the link was up Redis closed a client because its output
                                      buffer had outgrown client-output-buffer-limit: most likely us. Known only where
                                      Redis lets us read INFO stats and counts it there (it does not in 7.0) */
    FANWIRE_GAP_FAILOVER = 4 /* as RECONNECT, and another server has become the master of the group meanwhile */
} fanwire_gap_reason;

/* Fields that an event's kind does not name are 0 or NULL. Pointers stay valid while `message` is retained. */
typedef struct fanwire_event {
    int kind;   /* a fanwire_event_kind */
    int status; /* a fanwire_status */
    int reason; /* a fanwire_gap_reason */
    int will_reconnect;
    void *user_data;          /* as given to subscribe, publish_async, numsub_async, request_open or set_engine_inbox */
    fanwire_message *message; /* owned by whoever drained it: release it. NULL when nothing needs keeping alive */
    const char *channel;      /* without the namespace; followed by a NUL that is not counted, as are the next two */
    size_t channel_size;
    const char *pattern; /* the pattern it came by, without the namespace; NULL for exact subscriptions */
    size_t pattern_size;
    const char *payload;
    size_t payload_size;
    const char *text; /* NUL-terminated; NULL when there is nothing to say */
    uint64_t count;
    uint64_t delay_ms;
    uint64_t missing; /* FANWIRE_COUNT_UNKNOWN: nobody knows how many were to be expected */
} fanwire_event;

/* A new inbox in *inbox, owned by the caller, with the limits inbox_count, inbox_bytes and overflow of `options`
 * (NULL: the defaults). It may serve several subscriptions and several engines, and outlives them.
 * Thread: any. Errors: INVALID_ARGUMENT, NO_MEMORY, and those of the settings. */
FANWIRE_API int fanwire_inbox_create(fanwire_inbox **inbox, const fanwire_options *options);

/* Ends the subscriptions that use it, stops its dispatcher (waits for the callback that is running), discards what
 * is queued, frees *inbox and sets it to NULL. After it returns neither its wake function nor its callback is
 * called again. Called from its own dispatcher's callback it only takes effect when that callback returns. */
FANWIRE_API void fanwire_inbox_destroy(fanwire_inbox **inbox);

/* Into *fd a descriptor that is readable while events wait; for poll, epoll, asyncio, libuv. Do not read or close
 * it: draining does that. Ownership: the inbox's, valid until it is destroyed.
 * Errors: INVALID_ARGUMENT, SYSTEM_ERROR (no descriptors left). */
FANWIRE_API int fanwire_inbox_fd(fanwire_inbox *inbox, int *fd);

/* Called once whenever the inbox goes from empty to non-empty. May come from any thread, mostly an engine's IO
 * thread, which must not be kept waiting: it must neither block nor call anything of this header. */
typedef void (*fanwire_wake_fn)(void *user_data);

/* Sets the wake function (NULL: none); called at once if events already wait. When this returns the former one is
 * not running and will not be called again. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_inbox_set_wake(fanwire_inbox *inbox, fanwire_wake_fn wake, void *user_data);

/* Moves up to `capacity` events into the caller's array, oldest first, and their number into *count (0: none wait).
 * event_size is sizeof(fanwire_event) as the caller was compiled. Does not block. While it gives `capacity` events
 * more may wait: the wake function is called again only after a drain has emptied the inbox; the descriptor stays
 * readable until then. The caller owns every event.message. Thread: one at a time.
 * Errors: INVALID_ARGUMENT (also: a dispatcher is running). */
FANWIRE_API int fanwire_inbox_drain(fanwire_inbox *inbox, fanwire_event *events, size_t event_size, size_t capacity,
                                    size_t *count);

/* Waits until events wait. Errors: TIMEOUT; INVALID_ARGUMENT (also: a dispatcher is running). */
FANWIRE_API int fanwire_inbox_wait(fanwire_inbox *inbox, uint64_t timeout_ms);

/* Releases the messages of `count` drained events in one call and sets them to NULL. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_events_release(fanwire_event *events, size_t event_size, size_t count);

/* Called with each event on the dispatcher's thread; the event and its message are only valid during the call
 * (fanwire_message_retain() keeps a message longer). May call anything of this header; of a subscription that it has
 * ended only ENDED follows. A C++ exception that leaves it is caught and counted (fanwire_inbox_stats.callback_errors);
 * delivery goes on. It should not end its thread (pthread_exit()): then nothing more is delivered, and events wait in the
 * inbox until it is destroyed. */
typedef void (*fanwire_event_fn)(void *user_data, const fanwire_event *event);

/* Starts the inbox's dispatcher: a thread that calls `callback` with every event, in order.
 * From then on drain and wait are refused. Errors: INVALID_ARGUMENT (already running), SYSTEM_ERROR, NO_MEMORY. */
FANWIRE_API int fanwire_inbox_dispatch(fanwire_inbox *inbox, fanwire_event_fn callback, void *user_data);

/* Of one inbox since it was created, unless marked "now". Grows at the end. */
typedef struct fanwire_inbox_stats {
    uint64_t queued;          /* now: events that wait */
    uint64_t queued_bytes;    /* now: what inbox_bytes limits: of the messages that wait, the bytes of channel, pattern and
                                 payload and some 80 more for each */
    uint64_t drained;         /* events handed to the consumer */
    uint64_t dropped;         /* messages dropped because it was full; each stands in a GAP */
    uint64_t callback_errors; /* C++ exceptions that left the dispatcher's callback */
} fanwire_inbox_stats;

/* A snapshot into *stats, of which stats_size bytes are written at most (pass sizeof *stats).
 * Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_inbox_stats_get(const fanwire_inbox *inbox, fanwire_inbox_stats *stats, size_t stats_size);

/* What an event's `message` keeps alive. channel is without the namespace; pattern is NULL and 0 for exact ones.
 * Ownership: borrowed, valid while the message is retained. Errors: INVALID_ARGUMENT. size may be NULL. */
FANWIRE_API int fanwire_message_channel(const fanwire_message *message, const char **bytes, size_t *size);
FANWIRE_API int fanwire_message_pattern(const fanwire_message *message, const char **bytes, size_t *size);
FANWIRE_API int fanwire_message_payload(const fanwire_message *message, const char **bytes, size_t *size);

/* One more owner; one owner less, freeing with the last. NULL is harmless. Thread: any, lock-free. Errors: none. */
FANWIRE_API void fanwire_message_retain(fanwire_message *message);
FANWIRE_API void fanwire_message_release(fanwire_message *message);

/* ---- JSON for JavaScript ------------------------------------------------------------------------------- */

/* Takes the keys "__proto__", "constructor" and "prototype" out of JSON that a JavaScript program will parse, where they
 * could change what other objects inherit: each member of such a key, at any depth and also when it is spelled with
 * \uXXXX, with its value and one comma. All else stays byte for byte; what is not valid JSON stays entirely.
 * *changed becomes 1 if there was something to take out, else 0; *size is the buffer's size in and the bytes of the
 * result out. Only when *changed is 1 is the result written to buffer, without a NUL; it is smaller than the text.
 * buffer may be `json` itself to clean in place, or NULL with *size 0 to ask: so text that needs nothing, as almost all
 * does, costs one pass over it and no copy. There is no limit of size or nesting. Thread: any; nobody may write to
 * `json` during the call.
 * Errors: INVALID_ARGUMENT; LIMIT_REACHED when the buffer is too small (*size says what it takes); NO_MEMORY. */
FANWIRE_API int fanwire_json_clean(const char *json, size_t json_size, char *buffer, size_t *size, int *changed);

/* ---- Envelopes ----------------------------------------------------------------------------------------- */

/* What a payload in an envelope is. */
typedef enum fanwire_payload_type {
    FANWIRE_PAYLOAD_BINARY = 0,
    FANWIRE_PAYLOAD_TEXT = 1, /* UTF-8 */
    FANWIRE_PAYLOAD_JSON = 2  /* as UTF-8 */
} fanwire_payload_type;

/* What the payload of a message turns out to be. */
typedef enum fanwire_envelope_kind {
    FANWIRE_ENVELOPE_PLAIN = 0,           /* of somebody who puts nothing in front */
    FANWIRE_ENVELOPE_ENVELOPE = 1,        /* the fields say what it is */
    FANWIRE_ENVELOPE_UNKNOWN_VERSION = 2, /* written by a later library; its 4th byte is the version */
    FANWIRE_ENVELOPE_MALFORMED = 3        /* begins like an envelope and is none */
} fanwire_envelope_kind;

/* A payload and what may stand in front of it; capi/docs/envelopes.md has the bytes. Zero it first: 0, NULL and ids of zeros
 * mean "none". Ids are the 16 bytes of a UUID. Numbers are at most 2^53 - 1, which JavaScript holds exactly. */
typedef struct fanwire_envelope {
    const char *payload;
    size_t payload_size;
    const char *reply_to; /* the channel where an answer goes, at most 1024 bytes */
    size_t reply_to_size;
    const char *correlation_id; /* what an answer repeats, at most 255 bytes */
    size_t correlation_id_size;
    const char *dedupe_id; /* alike for one message that is published twice, at most 255 bytes */
    size_t dedupe_id_size;
    uint64_t sequence;           /* counted by the publisher for each channel, from 1; 0: not counted */
    uint64_t timestamp_ms;       /* of publishing, since 1970 by the publisher's clock */
    unsigned char publisher[16]; /* whoever counts the sequence; another one after each start */
    unsigned char excluded[16];  /* the connection that is not to get it */
    int kind;                    /* a fanwire_envelope_kind; only decoding says it */
    int type;                    /* a fanwire_payload_type; decoding may give others, of a later library: take them as BINARY */
} fanwire_envelope;

/* The bytes to publish for *envelope, of which envelope_size is sizeof. *size is the buffer's size in and the bytes needed
 * out; buffer may be NULL with *size 0 to ask for them. No NUL is added. The buffer must not overlap what is encoded. A plain
 * payload that begins like an envelope (no text and no JSON does) has to be put into one. Thread: any.
 * Errors: INVALID_ARGUMENT (also an unknown type, a text or number beyond its limit, a sequence without a publisher, fields
 * that this library does not know and that are not 0); LIMIT_REACHED when the buffer is too small; NO_MEMORY. */
FANWIRE_API int fanwire_envelope_encode(const fanwire_envelope *envelope, size_t envelope_size, char *buffer, size_t *size);

/* Reads the payload of a message into *envelope, of which envelope_size bytes are written at most (pass sizeof *envelope).
 * Whatever the bytes are, this succeeds: `kind` says what they are. Unless that is ENVELOPE, `payload` is all of them and the
 * other fields are 0. Nothing is copied.
 * Ownership: what *envelope points to are parts of `bytes`, valid as long as those. Thread: any. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_envelope_decode(const char *bytes, size_t size, fanwire_envelope *envelope, size_t envelope_size);

/* ---- Engine ------------------------------------------------------------------------------------------- */

/* Sends the engine events (CONNECTED DISCONNECTED RECONNECTING ERROR GAVE_UP) of an engine opened with these options to
 * `inbox`, which must not be destroyed before fanwire_engine_open(). An inbox keeps at most 1024 of them undrained;
 * what comes beyond is not kept. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_options_set_engine_inbox(fanwire_options *options, fanwire_inbox *inbox, void *user_data);

/* Opens an engine in *engine, owned by the caller: reads the settings (options may be NULL), starts its IO thread,
 * begins to connect and returns at once. Connects again for as long as it is open, whatever happens, unless the setting
 * max_reconnect_attempts limits how many attempts may fail in a row.
 * A program that uses OpenSSL itself and ends by exit() should destroy its engines with TLS first: OpenSSL frees at
 * exit() what they use, unless an engine was the first in the process to initialise it.
 * Errors: those of the settings, SYSTEM_ERROR (no descriptors or no thread left), NO_MEMORY. That no server answers is not
 * one: see below. */
FANWIRE_API int fanwire_engine_open(fanwire_engine **engine, const fanwire_options *options);

/* Waits until both links are ready, or the last attempt to connect has failed: then that attempt's status (its text
 * in fanwire_last_error()), while the engine goes on trying. memory:// is connected at once.
 * Errors: TIMEOUT (timeout_ms passed), CLOSED; those of an attempt: RESOLVE_FAILED, CONNECT_FAILED, CONNECT_TIMEOUT,
 * AUTH_FAILED, PROTOCOL_ERROR, ...; INVALID_ARGUMENT when called from a wake or log function. */
FANWIRE_API int fanwire_engine_wait_connected(fanwire_engine *engine, uint64_t timeout_ms);

typedef enum fanwire_engine_state {
    FANWIRE_ENGINE_CONNECTING = 1,   /* both links have never been ready yet */
    FANWIRE_ENGINE_CONNECTED = 2,    /* both are ready */
    FANWIRE_ENGINE_RECONNECTING = 3, /* they were */
    FANWIRE_ENGINE_GAVE_UP = 4,      /* max_reconnect_attempts attempts have failed in a row, the first ones or after a break */
    FANWIRE_ENGINE_CLOSED = 5
} fanwire_engine_state;

/* Its state now, into *state; also after close. Errors: INVALID_ARGUMENT, FORKED. */
FANWIRE_API int fanwire_engine_state_get(const fanwire_engine *engine, int *state);

/* Makes the next attempt to connect at once instead of after its wait, and revives an engine that gave up: its
 * subscriptions, which are FAILED and kept, are asked for again, publishes are accepted, and failed attempts are counted
 * from 0. Links that are ready are left alone. Returns at once; fanwire_engine_wait_connected() waits for the outcome.
 * Without this call a publish or a subscribe ends a wait for the next attempt as well, but no sooner than a second, or
 * reconnect_delay_ms if that is longer, after the last one; and with the setting revive_on_use it revives the engine.
 * Nothing happens on memory://. Errors: CLOSED; INVALID_ARGUMENT, FORKED. */
FANWIRE_API int fanwire_engine_reconnect(fanwire_engine *engine);

/* Logs in as another user, or with another password, from now on: every connection that is made uses them, one that
 * waits for its next attempt makes it at once, and the publish link, if connected, logs in again without a break.
 * Redis lets no subscribed connection log in again (RESP2): with the same username the subscribe link stays as it
 * is, since Redis keeps a connection that has logged in; with another username it is renewed, with the usual LOST,
 * GAP and RESUMED, once the publish link has logged in. A login that Redis refuses leaves live links as they were, and
 * is told as an ERROR event with AUTH_FAILED. username NULL or "": the server's default user; password NULL or "": none; with neither, the publish
 * link is renewed, since nobody can be logged out. Both are copied. What is in use already changes nothing.
 * Returns at once; nothing happens on memory://.
 * Errors: INVALID_OPTION (longer than the settings username and password may be), CLOSED, NO_MEMORY. */
FANWIRE_API int fanwire_engine_set_credentials(fanwire_engine *engine, const char *username, const char *password);

/* Refuses new work, sends the accepted publishes and waits for their outcomes for up to timeout_ms, then ends all
 * subscriptions (ENDED, CLOSED), disconnects and stops the IO thread. Every outcome has been reported when it
 * returns. The handle stays valid: calls on it give CLOSED. A second close is OK and does nothing; while another
 * thread closes, it waits for that one.
 * Errors: TIMEOUT (closed all the same; the text says how many publishes had no outcome); INTERNAL (a fault of the engine's
 * own had ended it before: its subscriptions have ENDED with INTERNAL, an ERROR event and the log say what it was);
 * INVALID_ARGUMENT when called from a wake or log function. */
FANWIRE_API int fanwire_engine_close(fanwire_engine *engine, uint64_t timeout_ms);

/* Closes with a timeout of 0 if still open, frees *engine and sets it to NULL. Does nothing when called from a wake or
 * log function. */
FANWIRE_API void fanwire_engine_destroy(fanwire_engine **engine);

/* Publishes without an outcome: accepted means queued, within the limits of `offline`, `offline_bytes`,
 * `offline_count` and `publish_buffer_bytes`. The payload is copied. What becomes of it is counted in the stats.
 * What is published while there is no connection, or before the subscriptions that were wanted by then are confirmed
 * on it, is sent when they are, or drain_wait_ms after the connection is ready.
 * Errors: INVALID_CHANNEL, MESSAGE_TOO_LARGE, QUEUE_FULL, NOT_CONNECTED (offline=fail, or the engine gave up connecting),
 * CLOSED, NO_MEMORY. */
FANWIRE_API int fanwire_publish(fanwire_engine *engine, const char *channel, size_t channel_size, const char *payload,
                                size_t payload_size);

/* The same, and exactly one PUBLISHED event with user_data to `inbox`: OK and the number of receivers as Redis
 * counts them, or TIMEOUT (never sent within publish_timeout_ms), NOT_CONNECTED, CONNECTION_LOST (two connections broke
 * while it was being written: it was not published), NO_PERMISSION, REDIS_ERROR, CLOSED, or OUTCOME_UNKNOWN: sent, and no
 * answer came, so that it may have happened; that is the only one of which this is so. An outcome and the message itself come in no certain order. Errors: as above, and QUEUE_FULL
 * when 1048576 outcomes of this inbox are not drained; then there is no event. */
FANWIRE_API int fanwire_publish_async(fanwire_engine *engine, const char *channel, size_t channel_size,
                                      const char *payload, size_t payload_size, fanwire_inbox *inbox, void *user_data);

/* The same, waiting for the outcome; *receivers (may be NULL) becomes the number of receivers. TIMEOUT after
 * timeout_ms leaves the publish under way. Errors: those of both above; INVALID_ARGUMENT when called from a wake or
 * log function. */
FANWIRE_API int fanwire_publish_wait(fanwire_engine *engine, const char *channel, size_t channel_size,
                                     const char *payload, size_t payload_size, uint64_t timeout_ms,
                                     uint64_t *receivers);

/* One publish. Zero it first; fields that are added later are then what they were before. */
typedef struct fanwire_publish_args {
    const char *channel;
    size_t channel_size;
    const char *payload;
    size_t payload_size;
    uint64_t timeout_ms;  /* 0: the setting publish_timeout_ms; FANWIRE_FOREVER: 49 days, which is the most */
    fanwire_inbox *inbox; /* where its PUBLISHED event goes; NULL: nowhere, as with fanwire_publish() */
    void *user_data;      /* of that event */
} fanwire_publish_args;

/* fanwire_publish(), or with an inbox fanwire_publish_async(), with a timeout of its own: unsent by then it is never sent
 * and ends as TIMEOUT, sent and unanswered as OUTCOME_UNKNOWN. With very many publishes under way an outcome may come some
 * milliseconds late. args_size is sizeof *args. Errors: those of both, and INVALID_ARGUMENT (fields that this
 * library does not know are not 0). */
FANWIRE_API int fanwire_publish_with(fanwire_engine *engine, const fanwire_publish_args *args, size_t args_size);

/* fanwire_publish_with() for each of `count` publishes, in their order and as one: no other thread's publish comes in between
 * of those that are accepted in a row of 64. *accepted (may be NULL) becomes how many were accepted: all, or those before the
 * first that was refused; whoever wants the others published calls again behind that one. args_size is sizeof *args.
 * Errors, of the first that was refused: those of fanwire_publish_with(). */
FANWIRE_API int fanwire_publish_many(fanwire_engine *engine, const fanwire_publish_args *args, size_t args_size,
                                     size_t count, size_t *accepted);

/* ---- Who listens ---------------------------------------------------------------------------------------- */

/* Asks Redis how many subscribers each of `count` channels has, by PUBSUB NUMSUB on the publish link: counts[i] becomes that
 * of channels[i], whose size is channel_sizes[i]. Redis counts each connection once, and no patterns; an engine, which has
 * one connection for all its subscriptions, counts once. Channels are given without the namespace. At most 1024 at once.
 * On memory:// the engines of the bus are counted. Waits up to timeout_ms, also for a connection; when the connection
 * breaks the question is asked again on the next one. Thread: any. Nothing is written to counts unless it returns OK.
 * Errors: TIMEOUT; LIMIT_REACHED (more than 1024 channels, or max_requests questions have no answer); QUEUE_FULL (such
 * questions fill publish_buffer_bytes); INVALID_CHANNEL; NOT_CONNECTED (offline=fail, or the engine gave up);
 * NO_PERMISSION; REDIS_ERROR; CLOSED; NO_MEMORY; INVALID_ARGUMENT (also from a wake or log function). */
FANWIRE_API int fanwire_numsub(fanwire_engine *engine, const char *const *channels, const size_t *channel_sizes,
                               size_t count, uint64_t *counts, uint64_t timeout_ms);

/* The same without waiting: exactly one NUMSUB event with user_data to `inbox`, at the latest after publish_timeout_ms
 * (TIMEOUT). Errors, and then there is no event: as above; QUEUE_FULL also when 1048576 outcomes of this inbox are not
 * drained. */
FANWIRE_API int fanwire_numsub_async(fanwire_engine *engine, const char *const *channels, const size_t *channel_sizes,
                                     size_t count, fanwire_inbox *inbox, void *user_data);

/* ---- Requests ------------------------------------------------------------------------------------------- */

typedef struct fanwire_request_args {
    const char *channel;
    size_t channel_size;
    const char *payload;
    size_t payload_size;
    uint64_t expect;     /* replies to wait for; 0: as many as Redis says received the request */
    uint64_t timeout_ms; /* for all of it; 0: publish_timeout_ms; FANWIRE_FOREVER: until the replies came, or cancel */
    fanwire_inbox *inbox;
    void *user_data;
} fanwire_request_args;

/* Publishes a message that can be answered, and gathers the replies. *request is owned by the caller. The replies come on a
 * private channel of the engine, __fanwire:reply:<id> in its namespace, which is subscribed with the first request and
 * which no pattern sees. The request is published when Redis has confirmed that channel, in no certain order to other
 * publishes, and never after its time. Subscribers that use fanwire get the bare payload and answer by fanwire_reply();
 * others see a small frame in front of it ("The frame" in core/DESIGN.md). Channel and payload are copied; args_size is
 * sizeof *args.
 *
 * With user_data, to the inbox: a REPLY for each reply as it comes, and then exactly one REQUEST_DONE:
 *  - OK: as many came as were expected. With `expect` 0 those are all that Redis counted as receivers, also those that do not
 *    answer; receivers may answer more than once.
 *  - TIMEOUT: the time is over, or nobody received it. `count` came, `missing` did not.
 *  - UNSUBSCRIBED: cancelled. LIMIT_REACHED: replies found the inbox full, and are missing; inbox_count and inbox_bytes count
 *    replies apart from messages. NOT_CONNECTED, NO_PERMISSION, REDIS_ERROR, NO_MEMORY, CLOSED, and TIMEOUT with another text:
 *    it could not be published.
 * A break does not end it: replies that were published meanwhile are lost, others come, and what is missing is counted. When
 * nobody knows whether the request itself was published, it ends with its time, and its text says so.
 * An inbox that is destroyed ends its requests. Thread: any.
 * Errors, and then there is no event: INVALID_CHANNEL; MESSAGE_TOO_LARGE; LIMIT_REACHED (max_requests are open); QUEUE_FULL
 * (requests that are not published yet fill publish_buffer_bytes, or 1048576 outcomes of the inbox are not drained);
 * NOT_CONNECTED (offline=fail); CLOSED; NO_MEMORY; INVALID_ARGUMENT. */
FANWIRE_API int fanwire_request_open(fanwire_request **request, fanwire_engine *engine, const fanwire_request_args *args,
                                     size_t args_size);

/* Ends it early: REQUEST_DONE with UNSUBSCRIBED follows. Thread: any. Errors: UNSUBSCRIBED (it had ended, or was cancelled
 * before); INVALID_ARGUMENT. */
FANWIRE_API int fanwire_request_cancel(fanwire_request *request);

/* Cancels it if need be, frees *request and sets it to NULL. REQUEST_DONE still follows in its inbox; user_data is not used
 * after that. */
FANWIRE_API void fanwire_request_destroy(fanwire_request **request);

/* 1: the message is a request, and fanwire_reply() answers it; 0: it is not, or NULL. Thread: any. Errors: none. */
FANWIRE_API int fanwire_message_is_request(const fanwire_message *message);

/* Publishes a reply to a request that this engine, or one of the same server and namespace, has received: accepted means
 * queued, as for fanwire_publish(). A request may be answered several times and from any thread, for as long as the message
 * is retained. Whether it arrived is not reported.
 * Errors: INVALID_ARGUMENT (the message is no request); those of fanwire_publish(). */
FANWIRE_API int fanwire_reply(fanwire_engine *engine, const fanwire_message *message, const char *payload,
                              size_t payload_size);

/* ---- Subscriptions ------------------------------------------------------------------------------------ */

/* Asks for a channel, or for all channels matching a pattern (Redis's glob: * ? [a-z] [^a] and \ to escape); its
 * events go to `inbox` with `user_data`. Returns at once; ACTIVE follows when Redis confirmed. Several subscriptions
 * to the same channel are independent and share one Redis subscription. *subscription is owned by the caller.
 * Errors: INVALID_CHANNEL, LIMIT_REACHED (max_subscriptions), CLOSED, NO_MEMORY, INVALID_ARGUMENT. */
FANWIRE_API int fanwire_subscribe(fanwire_subscription **subscription, fanwire_engine *engine, const char *channel,
                                  size_t channel_size, fanwire_inbox *inbox, void *user_data);
FANWIRE_API int fanwire_psubscribe(fanwire_subscription **subscription, fanwire_engine *engine, const char *pattern,
                                   size_t pattern_size, fanwire_inbox *inbox, void *user_data);

typedef enum fanwire_subscription_kind {
    FANWIRE_SUBSCRIPTION_CHANNEL = 0, /* one channel by its name */
    FANWIRE_SUBSCRIPTION_PATTERN = 1  /* all channels that match a pattern */
} fanwire_subscription_kind;

/* One subscription. Zero it first; fields that are added later are then what they were before. */
typedef struct fanwire_subscribe_args {
    const char *name; /* the channel or pattern */
    size_t name_size;
    uint64_t kind;    /* a fanwire_subscription_kind */
    fanwire_inbox *inbox;
    void *user_data;
} fanwire_subscribe_args;

/* fanwire_subscribe() or fanwire_psubscribe(), as args->kind says. args_size is sizeof *args. Errors: those of both;
 * INVALID_ARGUMENT also when this library does not know the kind, or fields that it does not know are not 0. */
FANWIRE_API int fanwire_subscribe_with(fanwire_subscription **subscription, fanwire_engine *engine,
                                       const fanwire_subscribe_args *args, size_t args_size);

/* Ends it: drains that begin afterwards give none of its messages, only ENDED. The handle stays valid.
 * Errors: UNSUBSCRIBED (it had ended before), CLOSED. */
FANWIRE_API int fanwire_unsubscribe(fanwire_subscription *subscription);

typedef enum fanwire_subscription_state {
    FANWIRE_SUBSCRIPTION_PENDING = 1, /* not yet confirmed */
    FANWIRE_SUBSCRIPTION_ACTIVE = 2,  /* confirmed on the present link */
    FANWIRE_SUBSCRIPTION_LOST = 3,    /* the link is down; still wanted */
    FANWIRE_SUBSCRIPTION_FAILED = 4,  /* refused by Redis: retried slowly; or the engine gave up connecting */
    FANWIRE_SUBSCRIPTION_ENDED = 5    /* unsubscribed, or its engine is closed */
} fanwire_subscription_state;

/* Its state now, into *state. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_subscription_state_get(const fanwire_subscription *subscription, int *state);

/* Waits until Redis has confirmed it. Errors: TIMEOUT; the status of FAILED (NO_PERMISSION, ...); UNSUBSCRIBED;
 * CLOSED; INVALID_ARGUMENT when called from a wake or log function. */
FANWIRE_API int fanwire_subscription_wait_active(fanwire_subscription *subscription, uint64_t timeout_ms);

/* Unsubscribes if need be, frees *subscription and sets it to NULL. ENDED still follows in its inbox. */
FANWIRE_API void fanwire_subscription_destroy(fanwire_subscription **subscription);

/* ---- A broker of your own --------------------------------------------------------------------------------- */

/* What an engine that is opened with fanwire_options_set_broker() reports to, made by the library. */
typedef struct fanwire_broker fanwire_broker;

/* What carries messages in the place of Redis: another client of it, or another broker. The engine calls these on its IO
 * thread, one at a time: they may neither block nor call anything of this header but the functions below. A C++ exception must
 * not leave them. Names have the namespace. Zero the struct first; fields that are added later are then what they were
 * before. */
typedef struct fanwire_broker_calls {
    /* The first call: begin to connect. fanwire_broker_ready() or fanwire_broker_lost() follow, and again whenever that
     * changes. `broker` is owned by the callee, which frees it by fanwire_broker_destroy() when it reports nothing more. */
    void (*start)(void *user_data, fanwire_broker *broker);
    /* Only while ready. fanwire_broker_confirmed() or fanwire_broker_refused() follow. After lost and ready the engine asks
     * for everything again. `kind` is a fanwire_subscription_kind. */
    void (*subscribe)(void *user_data, int kind, const char *name, size_t name_size);
    void (*unsubscribe)(void *user_data, int kind, const char *name, size_t name_size);
    /* Only while ready. fanwire_broker_settled() with the id follows, once. The bytes are valid during the call. */
    void (*publish)(void *user_data, uint64_t id, const char *channel, size_t channel_size, const char *payload,
                    size_t payload_size);
    /* May be NULL: then fanwire_numsub() fails with INVALID_ARGUMENT. Only while ready; fanwire_broker_counted() with the id
     * follows, once. */
    void (*numsub)(void *user_data, uint64_t id, const char *const *channels, const size_t *channel_sizes, size_t count);
    /* May be NULL. Somebody needs the broker while it is not ready: an attempt to connect that waits may be made at once. */
    void (*reconnect)(void *user_data);
    /* The last call. Reports are ignored from now on. */
    void (*close)(void *user_data);
} fanwire_broker_calls;

/* Engines that are opened with these options use a broker of the application's instead of the server in the URL. `calls` is
 * copied, of calls_size bytes (pass sizeof *calls); NULL: none again. Inboxes, continuity, limits, namespace, offline queue,
 * statistics and requests are as with Redis; what a setting says about connections to it has no effect. user_data must stay
 * valid until `close` was called. Errors: INVALID_ARGUMENT (start, subscribe, unsubscribe, publish or close is NULL; a field
 * that this library does not know is not 0), NO_MEMORY. */
FANWIRE_API int fanwire_options_set_broker(fanwire_options *options, const fanwire_broker_calls *calls,
                                           size_t calls_size, void *user_data);

/* The broker is connected, for the first time or again: subscriptions are asked for, and what waited is published. Thread of
 * this and all that follow: any, also from within the calls above. Errors: INVALID_ARGUMENT, NO_MEMORY; of those that are
 * about a subscription, a message, a publish or a count also QUEUE_FULL (1048576 reports wait for the IO thread: report it
 * again). */
FANWIRE_API int fanwire_broker_ready(fanwire_broker *broker);

/* The connection is lost, or could not be made: `status` and `text` (NULL: the status's own) say why. Subscriptions are LOST
 * until they are confirmed again, publishes without an outcome end as OUTCOME_UNKNOWN. What the broker says of what was asked
 * before is not to be reported any more. */
FANWIRE_API int fanwire_broker_lost(fanwire_broker *broker, int status, const char *text);

/* A subscription is confirmed: what was published from then on comes. */
FANWIRE_API int fanwire_broker_confirmed(fanwire_broker *broker, int kind, const char *name, size_t name_size);

/* A subscription is refused: it FAILED, and is asked for again after a second. */
FANWIRE_API int fanwire_broker_refused(fanwire_broker *broker, int kind, const char *name, size_t name_size, int status,
                                       const char *text);

/* A message for a subscription: its kind and name, and the channel, which for a channel is the name itself (NULL). The
 * bytes are copied. Errors also: QUEUE_FULL (64 MiB wait for the IO thread: the message is dropped, and each subscription gets
 * a GAP). */
FANWIRE_API int fanwire_broker_message(fanwire_broker *broker, int kind, const char *name, size_t name_size,
                                       const char *channel, size_t channel_size, const char *payload,
                                       size_t payload_size);

/* What became of publish `id`: FANWIRE_OK and how many received it, or why it failed. */
FANWIRE_API int fanwire_broker_settled(fanwire_broker *broker, uint64_t id, int status, const char *text,
                                       uint64_t receivers);

/* How many subscribers each channel of numsub `id` has, or why that is not known. */
FANWIRE_API int fanwire_broker_counted(fanwire_broker *broker, uint64_t id, int status, const char *text,
                                       const uint64_t *counts, size_t count);

/* Frees *broker and sets it to NULL. NULL is harmless. */
FANWIRE_API void fanwire_broker_destroy(fanwire_broker **broker);

/* ---- Health and statistics ---------------------------------------------------------------------------- */

typedef enum fanwire_health_verdict {
    FANWIRE_HEALTH_OK = 1,       /* both links work, every wanted channel is confirmed, the probe (if on) comes back */
    FANWIRE_HEALTH_DEGRADED = 2, /* both links work, but something that is wanted is not delivered, or not known to be */
    FANWIRE_HEALTH_DOWN = 3      /* a link is down, the IO thread is held up, or the engine is closed */
} fanwire_health_verdict;

/* "Is delivery working?" Grows at the end. */
typedef struct fanwire_health {
    int verdict;             /* a fanwire_health_verdict */
    int status;              /* a fanwire_status: why it is not OK; FANWIRE_OK when it is */
    int publish_link;        /* 1: ready */
    int subscribe_link;      /* 1: ready */
    uint64_t unconfirmed;    /* distinct channels and patterns wanted and not confirmed, the refused ones included */
    uint64_t refused;        /* ... of them refused by Redis; all, once max_reconnect_attempts were made */
    uint64_t silence_ms;     /* since anything was received on the subscribe link; FANWIRE_COUNT_UNKNOWN: never */
    uint64_t probe_age_ms;   /* since a probe last came back; FANWIRE_COUNT_UNKNOWN: none has, or probe_interval_ms is 0 */
    uint64_t probe_us;       /* round trip of that probe, microseconds */
    char text[256];          /* the verdict in words, NUL-terminated */
} fanwire_health;

/* A snapshot into *health, of which health_size bytes are written at most (pass sizeof *health). Does not block and
 * asks nobody: with the setting probe_interval_ms the engine sends itself a message through Redis at that interval, from the
 * publish link to the subscribe link, and a link that answers PING but delivers nothing is found and renewed.
 * Also after close. Errors: INVALID_ARGUMENT, FORKED. */
FANWIRE_API int fanwire_engine_health(const fanwire_engine *engine, fanwire_health *health, size_t health_size);

/* Counters since the engine was opened, unless marked "now". Grows at the end. */
typedef struct fanwire_engine_stats {
    uint64_t connected;               /* now: 1 when both links are ready */
    uint64_t connects;                /* times both links became ready */
    uint64_t disconnects;             /* times they no longer were */
    uint64_t connect_errors;          /* failed attempts */
    uint64_t published;               /* publishes accepted */
    uint64_t publish_ok;              /* ... confirmed by Redis */
    uint64_t publish_failed;          /* ... ended with a status other than OK and OUTCOME_UNKNOWN */
    uint64_t publish_unknown;         /* ... ended with OUTCOME_UNKNOWN */
    uint64_t publish_queued;          /* now: accepted and without an outcome */
    uint64_t received;                /* messages from Redis (or memory://) */
    uint64_t delivered;               /* put into an inbox, once for each subscription */
    uint64_t dropped;                 /* not delivered because an inbox was full */
    uint64_t gaps;                    /* GAP events made */
    uint64_t bytes_in;                /* from Redis */
    uint64_t bytes_out;               /* to Redis */
    uint64_t subscriptions;           /* now: open subscriptions */
    uint64_t subscriptions_desired;   /* now: distinct channels and patterns wanted from Redis */
    uint64_t subscriptions_confirmed; /* now: ... and confirmed by it */
    uint64_t subscriptions_refused;   /* now: ... and refused by it */
    uint64_t publish_rejected;        /* publishes not accepted: QUEUE_FULL, NOT_CONNECTED */
    uint64_t publish_timeouts;        /* of publish_failed: never sent within publish_timeout_ms */
    uint64_t publish_unsent;          /* now: of publish_queued: not written yet */
    uint64_t publish_unsent_bytes;    /* now: ... their encoded bytes */
    uint64_t publish_link;            /* now: 1 when the publish link is ready */
    uint64_t subscribe_link;          /* now: 1 when the subscribe link is ready */
    uint64_t probes;                  /* probes sent (probe_interval_ms) */
    uint64_t probe_failures;          /* probes that did not come back in time; the links were renewed */
    uint64_t output_buffer_kills;     /* breaks of the subscribe link put down to Redis's client-output-buffer-limit */
} fanwire_engine_stats;

/* A snapshot into *stats, of which stats_size bytes are written at most (pass sizeof *stats). Also after close.
 * Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_engine_stats_get(const fanwire_engine *engine, fanwire_engine_stats *stats, size_t stats_size);

typedef struct fanwire_stat_info {
    const char *name; /* of the field in fanwire_engine_stats, and in fanwire_engine_metrics(); static */
    const char *kind; /* "counter" only grows, "gauge" is as of now, "flag" is a gauge of 0 or 1; static */
    const char *help; /* one line for people; static */
    size_t offset;    /* of the field, a uint64_t, in fanwire_engine_stats: offset + 8 <= sizeof where it is known */
} fanwire_stat_info;

/* Returns the number of fields of the library's own fanwire_engine_stats. Thread: any. Errors: none. */
FANWIRE_API size_t fanwire_stat_count(void);

/* Row `index` of them into *info, of which info_size bytes are written at most (pass sizeof *info). Bindings make their
 * statistics from these rows instead of listing the fields. Thread: any.
 * Errors: INVALID_ARGUMENT (index out of range, info NULL or info_size below the first version's). */
FANWIRE_API int fanwire_stat_at(size_t index, fanwire_stat_info *info, size_t info_size);

typedef enum fanwire_latency_kind {
    FANWIRE_LATENCY_PUBLISH = 1, /* from accepting a publish to its outcome */
    FANWIRE_LATENCY_DELIVERY = 2 /* from reading a message off the socket to draining it, once for each subscription */
} fanwire_latency_kind;

#define FANWIRE_LATENCY_BUCKETS 28

/* A histogram in microseconds since the engine was opened. buckets[i] counts what took more than 2^(i-1) and at most
 * 2^i microseconds (buckets[0]: at most 1); the last one also everything above. */
typedef struct fanwire_latency {
    uint64_t count;
    uint64_t sum_us;
    uint64_t max_us;
    uint64_t buckets[FANWIRE_LATENCY_BUCKETS];
} fanwire_latency;

/* The histogram of one kind into *latency, of which latency_size bytes are written at most (pass sizeof *latency). Its
 * values are read one after the other while the engine goes on. Errors: INVALID_ARGUMENT. */
FANWIRE_API int fanwire_engine_latency(const fanwire_engine *engine, int kind, fanwire_latency *latency,
                                       size_t latency_size);

typedef enum fanwire_metrics_format {
    FANWIRE_METRICS_JSON = 1,      /* one object: health, every field of the stats, latencies with p50 p90 p99 p999 */
    FANWIRE_METRICS_PROMETHEUS = 2 /* text exposition format 0.0.4, labelled with client (client_name) and namespace */
} fanwire_metrics_format;

/* Health, stats and latencies as text, copied to buffer with a NUL; *size is the buffer's size in and the bytes needed,
 * NUL included, out. buffer may be NULL with *size 0 to ask for the size, which may grow until the next call.
 * Errors: INVALID_ARGUMENT; LIMIT_REACHED when the buffer is too small; NO_MEMORY. */
FANWIRE_API int fanwire_engine_metrics(const fanwire_engine *engine, int format, char *buffer, size_t *size);

#ifdef __cplusplus
}
#endif

#endif /* FANWIRE_FANWIRE_H */
