/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader or the owner is told is the last thing that a function does: the link may be gone
 * afterwards. */
#include "peer/peer_link.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/ws_client.h"
#include "peer/peer_answer.h"
#include "peer/peer_message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define PATH "/ws/exchange"
#define QUEUE_MAX (16 * KIBIBYTE) /* pings and pongs alone */
#define CODE_VIOLATION 1002

enum link_phase {
    LINK_OPENING,  /* no hello yet */
    LINK_SNAPSHOT, /* between a hello that is not `resumed` and snapshot_end */
    LINK_LIVE,
};

struct peer_link {
    struct peer_link_options options;
    struct ws_client *client; /* owned */
    struct timer *watch;      /* owned: pings */
    enum link_phase phase;
    bool ended;
    unsigned silent;  /* pings since something was heard */
    unsigned waiting; /* pings since it was connected, until hello; in a snapshot, since its last
                         message */
    int64_t opened_ns;
    char node[LIMIT_PEER_NAME];
    char stream[LIMIT_STREAM_ID];
    int64_t epoch, next; /* where it stands */
    size_t snapshot_size;
};

/* Last thing done. */
static void PRINTF(2, 3) link_end(struct peer_link *link, const char *format, ...)
{
    char reason[LIMIT_PEER_ERROR];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (link->ended)
        return;
    link->ended = true;
    timer_stop(link->watch);
    link->options.callbacks.ended(link->options.callbacks.context, reason);
}

/* It broke the rules: it is told so, and no longer heard. Last thing done. */
static void link_break(struct peer_link *link, const char *reason)
{
    ws_client_close(link->client, CODE_VIOLATION, reason);
    link_end(link, "%s", reason);
}

/* ---- what comes ---- */

static void link_hello(struct peer_link *link, struct slice text)
{
    const struct peer_link_options *options = &link->options;
    struct peer_greeting greeting;
    struct err err;
    if (peer_greeting_read(text, &greeting, &err) != 0) {
        err_wrap(&err, "a hello that is none");
        link_break(link, err.text);
        return;
    }
    if (strcmp(greeting.node, link->node) != 0) {
        link_break(link, "another node answers than the one that leads");
        return;
    }
    bool first = link->opened_ns == 0;
    link->phase = greeting.resumed ? LINK_LIVE : LINK_SNAPSHOT;
    link->snapshot_size = 0;
    link->waiting = 0;
    link->epoch = greeting.epoch;
    link->next = greeting.next;
    memcpy(link->stream, greeting.stream, sizeof link->stream);
    if (first) {
        link->opened_ns = clock_monotonic_ns();
        options->callbacks.opened(options->callbacks.context); /* closes nothing */
    }
    options->reader->hello(options->reader->context, text);
}

static void link_snapshot_end(struct peer_link *link, struct slice text)
{
    const struct peer_reader *reader = link->options.reader;
    if (link->phase != LINK_SNAPSHOT) {
        link_break(link, "the end of a snapshot that had not begun");
        return;
    }
    link->phase = LINK_LIVE;
    reader->snapshot_end(reader->context, text);
}

static void link_snapshot(struct peer_link *link, struct slice text)
{
    const struct peer_reader *reader = link->options.reader;
    link->snapshot_size += text.size;
    link->waiting = 0;
    if (link->snapshot_size > LIMIT_PEER_SNAPSHOT)
        link_break(link, "a snapshot that is too large");
    else
        reader->snapshot(reader->context, text);
}

/* What is no record of ours but carries the seq of one before, as a later version's own may, is
 * passed over; one that jumps ahead shows that something is lost. */
static void link_record(struct peer_link *link, struct slice text,
                        const struct peer_message *message)
{
    const struct peer_reader *reader = link->options.reader;
    if (message->seq < link->next) {
        reader->alive(reader->context);
        return;
    }
    if (message->seq > link->next) {
        link_break(link, "a seq that does not follow the one before");
        return;
    }
    if (message->kind == PEER_MESSAGE_EPOCH) {
        int64_t epoch = peer_epoch_read(text);
        if (epoch < 0) {
            link_break(link, "an epoch that is none");
            return;
        }
        link->epoch = epoch;
    }
    link->next++;
    reader->record(reader->context, text);
}

static void link_take(struct peer_link *link, struct slice text)
{
    const struct peer_link_options *options = &link->options;
    struct peer_message message = peer_message_read(text);
    if (link->phase == LINK_OPENING && message.kind != PEER_MESSAGE_HELLO) {
        link_break(link, "its first message is no hello");
        return;
    }
    switch (message.kind) {
    case PEER_MESSAGE_MALFORMED:
        link_break(link, "a message that is none of ours");
        return;
    case PEER_MESSAGE_HELLO:
        link_hello(link, text);
        return;
    case PEER_MESSAGE_SNAPSHOT_END:
        link_snapshot_end(link, text);
        return;
    case PEER_MESSAGE_DRAINING:
        options->callbacks.draining(options->callbacks.context);
        return;
    case PEER_MESSAGE_EPOCH:
    case PEER_MESSAGE_RECORD:
        if (link->phase == LINK_SNAPSHOT)
            link_snapshot(link, text);
        else
            link_record(link, text, &message);
        return;
    case PEER_MESSAGE_NOTE:
        options->reader->alive(options->reader->context);
        return;
    }
}

static void link_on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    struct peer_link *link = context;
    link->silent = 0;
    if (link->ended)
        return;
    if (opcode == WS_TEXT)
        link_take(link, (struct slice){.data = data, .size = size});
    else
        link_break(link, "a message that is no text");
}

static void link_on_control(void *context, enum ws_opcode opcode, struct slice payload)
{
    (void)opcode;
    (void)payload;
    struct peer_link *link = context;
    const struct peer_reader *reader = link->options.reader;
    link->silent = 0;
    if (!link->ended && link->phase != LINK_OPENING)
        reader->alive(reader->context);
}

/* ---- its life ---- */

static void link_watch(void *context)
{
    struct peer_link *link = context;
    if (link->silent >= LIMIT_PEER_PINGS) {
        link_end(link, "nothing heard for %u ms", LIMIT_PEER_PINGS * LIMIT_PEER_PING_MS);
        return;
    }
    bool opening = link->phase == LINK_OPENING;
    unsigned most_ms = opening ? LIMIT_PEER_HELLO_MS : LIMIT_PEER_STALL_MS;
    if (link->phase != LINK_LIVE && ++link->waiting > most_ms / LIMIT_PEER_PING_MS) {
        link_end(link, "no %s within %u ms", opening ? "hello" : "more of its snapshot", most_ms);
        return;
    }
    link->silent++;
    (void)ws_client_send(link->client, WS_PING, (struct slice){.data = NULL});
}

static void link_on_open(void *context)
{
    struct peer_link *link = context;
    timer_start(link->watch, LIMIT_PEER_PING_MS, LIMIT_PEER_PING_MS);
}

static void link_on_closed(void *context, uint16_t close_code, const char *reason)
{
    struct peer_link *link = context;
    struct ws_client_refusal refusal;
    ws_client_refused(link->client, &refusal);
    if (refusal.status == 401 || refusal.status == 403)
        link_end(link, "it answered %u: %s", refusal.status,
                 peer_refusal(link->options.bearer != NULL));
    else if (close_code == 1006)
        link_end(link, "%s", reason);
    else
        link_end(link, "closed with %u %s", (unsigned)close_code, reason);
}

static const struct ws_client_callbacks client_callbacks = {
    .on_open = link_on_open,
    .on_message = link_on_message,
    .on_control = link_on_control,
    .on_closed = link_on_closed,
};

int peer_link_open(const struct peer_link_options *options, struct peer_link **ret_link,
                   struct err *err)
{
    char url[LIMIT_URL];
    struct peer_link *link = memory_alloc(sizeof *link);
    link->options = *options;
    snprintf(link->node, sizeof link->node, "%s", options->node);
    snprintf(url, sizeof url, "%s" PATH "%s%s", options->url,
             options->since[0] == '\0' ? "" : "?since=", options->since);
    const struct ws_client_options client = {
        .url = url,
        .tls = options->tls,
        .message_max = LIMIT_RECORD,
        .queue_max = QUEUE_MAX,
        .connect_ms = LIMIT_PEER_CONNECT_MS,
        .proxy = options->proxy,
        .bearer = options->bearer,
    };
    link->watch = timer_create_on(options->loop, link_watch, link);
    int failed =
        ws_client_open(options->loop, &client, &client_callbacks, link, &link->client, err);
    if (failed != 0) {
        peer_link_close(link);
        return failed;
    }
    *ret_link = link;
    return 0;
}

void peer_link_close(struct peer_link *link)
{
    if (link == NULL)
        return;
    ws_client_destroy(link->client);
    timer_destroy(link->watch);
    memory_free(link);
}

bool peer_link_greeted(const struct peer_link *link)
{
    return link->opened_ns != 0;
}

int64_t peer_link_opened_ns(const struct peer_link *link)
{
    return link->opened_ns;
}

bool peer_link_token(const struct peer_link *link, char ret_token[PEER_TOKEN_MAX])
{
    if (link->phase != LINK_LIVE || link->epoch < 1)
        return false;
    snprintf(ret_token, PEER_TOKEN_MAX, "%s.%" PRId64 ".%" PRId64, link->stream, link->epoch,
             link->next - 1);
    return true;
}
