/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tickwire tail: a client like any other. It builds its own resume token from what it receives, so
 * a lost connection costs nothing: it comes back with ?since=TOKEN.
 *
 * Its output is written at once, so the loop stands still while a reader takes nothing. Signals are
 * therefore its own, and no handlers of the loop.
 */
#include "node/commands.h"

#include "base/limits.h"
#include "base/random.h"
#include "feed/backoff.h"
#include "market/read.h"
#include "market/scan.h"
#include "net/loop.h"
#include "net/ws_client.h"
#include "stream/stream.h"

#include "base/memory.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define DEFAULT_URL "ws://127.0.0.1:8080/ws/exchange"
#define LOST_AFTER_MS 30000 /* heartbeats come much more often */
#define MESSAGE_MAX (2 * LIMIT_RECORD)
#define COMPLAINT_MAX 200 /* of what a server said */

struct tail {
    const char *url;
    const char *exchanges, *symbols, *types; /* comma lists; NULL: all */
    bool table;
    struct loop *loop;
    struct ws_client *client;
    struct timer *retry, *silence;
    struct backoff backoff;
    struct token token; /* where it stands; no stream: nowhere yet */
    bool connected_once;
    int status;
    struct read_scratch *scratch;
};

static void tail_connect(void *context);

/* ---- its end ---- */

static struct waker *leaver; /* there while handlers are */
static volatile sig_atomic_t is_leaving, is_writing;

/* Who waits for a reader that takes nothing would wait on: there is nothing to be put in order. */
static void take_signal(int number)
{
    (void)number;
    if (is_writing)
        _exit(EXIT_DONE);
    is_leaving = 1;
    waker_wake(leaver);
}

static void tail_leave(void *context)
{
    struct tail *tail = context;
    loop_stop(tail->loop);
}

/* handler: take_signal, or SIG_IGN when it ends anyhow. */
static void handle_signals(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- what it prints ---- */

/* On stderr. A server's words may come to a terminal, which they must not steer. */
static void complain(const char *before, struct slice words)
{
    char text[COMPLAINT_MAX + 1];
    size_t size = words.size < COMPLAINT_MAX ? words.size : COMPLAINT_MAX;
    for (size_t i = 0; i < size; i++)
        text[i] = words.data[i] < ' ' || words.data[i] > '~' ? '?' : words.data[i];
    text[size] = '\0';
    fprintf(stderr, "tickwire tail: %s%s\n", before, text);
}

static bool in_list(const char *list, struct slice word)
{
    struct slice rest = slice_of(list);
    if (list == NULL)
        return true;
    while (rest.size > 0)
        if (slice_equal(slice_split(rest, ',', &rest), word))
            return true;
    return false;
}

static bool tail_wants(const struct tail *tail, const struct read_message *message, bool is_event)
{
    struct slice symbol = {0};
    if (is_event && message->event.symbol != NULL)
        symbol = symbol_slice(message->event.symbol);
    return in_list(tail->types, message->type) && in_list(tail->exchanges, message->exchange) &&
           in_list(tail->symbols, symbol);
}

static const char *write_decimal(char out[DECIMAL_TEXT_MAX + 1], struct decimal value)
{
    *decimal_write(out, value) = '\0';
    return out;
}

static void print_level(const char *name, struct levels levels)
{
    char price[DECIMAL_TEXT_MAX + 1], size[DECIMAL_TEXT_MAX + 1];
    if (levels.count > 0)
        printf("  %s %s x %s", name, write_decimal(price, levels.level[0].price),
               write_decimal(size, levels.level[0].size));
}

static void print_row(const struct read_message *message)
{
    char price[DECIMAL_TEXT_MAX + 1], size[DECIMAL_TEXT_MAX + 1];
    const struct event *event = &message->event;
    printf("%-12lld %-8.*s %-14s %-7.*s", (long long)message->seq, (int)message->exchange.size,
           message->exchange.data, event->symbol == NULL ? "" : event->symbol->text,
           (int)message->type.size, message->type.data);
    switch (event->type) {
    case EVENT_TRADE:
        printf(" %-4s %s x %s", side_names[event->trade.side],
               write_decimal(price, event->trade.price), write_decimal(size, event->trade.size));
        break;
    case EVENT_TICKER:
    case EVENT_QUOTE:
        for (int i = 0; i < TICKER_FIELD_COUNT; i++)
            if (event->ticker.present & (1u << i))
                printf(" %s %s", ticker_field_names[i],
                       write_decimal(price, event->ticker.value[i]));
        break;
    case EVENT_BOOK:
        printf(" %-8s %u bids, %u asks", book_action_names[event->book.action],
               event->book.bids.count, event->book.asks.count);
        print_level("bid", event->book.bids);
        print_level("ask", event->book.asks);
        break;
    case EVENT_STATUS:
        printf(" %s %.*s", status_state_names[event->status.state], (int)event->status.reason.size,
               event->status.reason.data);
        break;
    case EVENT_GAP:
        printf(" %.*s %.*s", (int)event->gap.channel.size, event->gap.channel.data,
               (int)event->gap.reason.size, event->gap.reason.data);
        break;
    case EVENT_EPOCH:
        printf(" %lld by %.*s", (long long)event->epoch.epoch, (int)event->epoch.node.size,
               event->epoch.node.data);
        break;
    case EVENT_CANDLE:
    case EVENT_TYPE_COUNT:
        break;
    }
    printf("%s\n", message->snapshot ? "  (snapshot)" : "");
}

/* ---- where it stands ---- */

static void tail_hello(struct tail *tail, struct slice text)
{
    struct scan scan = scan_begin(text);
    struct slice key;
    bool first = true;
    struct token token = {0};
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key)) {
        if (slice_is(key, "stream")) {
            if (!slice_copy(scan_text(&scan), token.stream, sizeof token.stream))
                return;
        } else if (slice_is(key, "epoch")) {
            token.epoch = scan_integer(&scan);
        } else if (slice_is(key, "next")) {
            token.seq = scan_integer(&scan) - 1;
        } else {
            scan_skip(&scan);
        }
    }
    if (scan_finish(&scan))
        tail->token = token;
}

/* Every sequenced message moves the token on, of whatever type; these others carry a seq that is
 * not their own. */
static void tail_follow(struct tail *tail, const struct read_message *message)
{
    static const char *const not_sequenced[] = {"hello", "snapshot_end", "heartbeat", "skipped"};
    for (size_t i = 0; i < COUNT_OF(not_sequenced); i++)
        if (slice_is(message->type, not_sequenced[i]))
            return;
    if (!message->snapshot && message->seq > 0)
        tail->token.seq = message->seq;
}

/* event: NULL when the message is none. */
static void tail_print(struct tail *tail, struct slice text, const struct read_message *event)
{
    is_writing = 1;
    bool failed = false;
    if (!is_leaving) { /* one that comes from here on ends us */
        if (!tail->table)
            printf("%.*s\n", (int)text.size, text.data);
        else if (event != NULL)
            print_row(event);
        failed = fflush(stdout) != 0;
    }
    is_writing = 0;
    if (!failed)
        return;
    fprintf(stderr, "tickwire tail: cannot write: %s\n", strerror(errno));
    tail->status = EXIT_FAILED;
    loop_stop(tail->loop);
}

static void tail_on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    (void)opcode;
    struct tail *tail = context;
    struct slice text = {.data = data, .size = size};
    struct read_message message;
    timer_start(tail->silence, LOST_AFTER_MS, 0);
    enum read_verdict verdict = message_read(text, tail->scratch, &message);
    if (verdict == READ_MALFORMED) {
        complain("not a message: ", text);
        return;
    }
    if (slice_is(message.type, "hello"))
        tail_hello(tail, text);
    tail_follow(tail, &message);
    if (verdict == READ_EVENT && message.event.type == EVENT_EPOCH)
        tail->token.epoch = message.event.epoch.epoch;
    if (!tail_wants(tail, &message, verdict == READ_EVENT))
        return;
    tail_print(tail, text, verdict == READ_EVENT ? &message : NULL);
}

/* ---- its connection ---- */

static void tail_on_open(void *context)
{
    struct tail *tail = context;
    tail->connected_once = true;
    backoff_reset(&tail->backoff);
    timer_start(tail->silence, LOST_AFTER_MS, 0);
}

static void tail_on_closed(void *context, uint16_t close_code, const char *reason)
{
    struct tail *tail = context;
    ws_client_destroy(tail->client);
    tail->client = NULL;
    timer_stop(tail->silence);
    char before[LIMIT_URL + 64];
    snprintf(before, sizeof before, "%s: connection closed: %u ", tail->url, close_code);
    complain(before, slice_of(reason));
    if (!tail->connected_once) {
        tail->status = EXIT_FAILED;
        loop_stop(tail->loop);
        return;
    }
    timer_start(tail->retry, backoff_next_ms(&tail->backoff, random_below(UINT32_MAX)), 0);
}

/* Not even a heartbeat came. */
static void tail_silent(void *context)
{
    struct tail *tail = context;
    ws_client_close(tail->client, 1000, "silent");
}

static const struct ws_client_callbacks tail_callbacks = {
    .on_open = tail_on_open,
    .on_message = tail_on_message,
    .on_closed = tail_on_closed,
};

static void tail_connect(void *context)
{
    struct tail *tail = context;
    char url[LIMIT_URL];
    struct err err = {0};
    int size = 0;
    if (tail->token.stream[0] == '\0')
        size = snprintf(url, sizeof url, "%s", tail->url);
    else
        size = snprintf(url, sizeof url, "%s%csince=%s.%lld.%lld", tail->url,
                        strchr(tail->url, '?') ? '&' : '?', tail->token.stream,
                        (long long)tail->token.epoch, (long long)tail->token.seq);
    struct ws_client_options options = {
        .url = url,
        .message_max = MESSAGE_MAX,
        .queue_max = LIMIT_CLIENT_MESSAGE,
        .connect_ms = LIMIT_CONNECT_MS,
    };
    int result = size < (int)sizeof url ? 0 : err_set(&err, -1, "url too long");
    if (result == 0)
        result = ws_client_open(tail->loop, &options, &tail_callbacks, tail, &tail->client, &err);
    if (result == 0)
        return;
    fprintf(stderr, "tickwire tail: %s: %s\n", tail->url, err.text);
    tail->status = EXIT_FAILED;
    loop_stop(tail->loop);
}

static int tail_run(struct tail *tail)
{
    static char output[MESSAGE_MAX + KIBIBYTE]; /* so that each message is written by one call */
    tail->loop = loop_create();
    tail->retry = timer_create_on(tail->loop, tail_connect, tail);
    tail->silence = timer_create_on(tail->loop, tail_silent, tail);
    tail->scratch = memory_alloc(sizeof *tail->scratch);
    leaver = waker_create_on(tail->loop, tail_leave, tail);
    setvbuf(stdout, output, _IOFBF, sizeof output);
    handle_signals(take_signal);
    timer_start(tail->retry, 0, 0); /* the first attempt, inside the loop */
    loop_run(tail->loop);
    handle_signals(SIG_IGN);
    waker_destroy(leaver);
    ws_client_destroy(tail->client);
    timer_destroy(tail->retry);
    timer_destroy(tail->silence);
    memory_free(tail->scratch);
    return end_loop(tail->loop, tail->status);
}

/* 1: taken; 0: not an option with a value; else the exit status. */
static int tail_option(struct tail *tail, struct arguments *list, const char *argument)
{
    const char *value = NULL;
    const struct {
        const char *name;
        const char **target;
    } options[] = {
        {"--exchange", &tail->exchanges}, {"--symbol", &tail->symbols}, {"--type", &tail->types}};
    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (!arguments_option(list, argument, options[i].name, &value))
            continue;
        if (value == NULL || value[0] == '\0')
            return usage_error("tail", "%s needs a list", options[i].name);
        *options[i].target = value;
        return 1;
    }
    if (!arguments_option(list, argument, "--since", &value))
        return 0;
    if (value == NULL || !token_read(slice_of(value), &tail->token))
        return usage_error("tail", "--since needs a token: STREAM.EPOCH.SEQ");
    return 1;
}

int command_tail(int count, char **arguments)
{
    struct tail tail = {.url = NULL, .table = isatty(STDOUT_FILENO) == 1};
    struct arguments list = {.count = count, .values = arguments};
    for (const char *argument = arguments_next(&list); argument != NULL;
         argument = arguments_next(&list)) {
        int result = tail_option(&tail, &list, argument);
        if (result > 1)
            return result;
        if (result == 1)
            continue;
        if (strcmp(argument, "--json") == 0 || strcmp(argument, "--table") == 0)
            tail.table = argument[2] == 't';
        else if (argument[0] == '-')
            return usage_error("tail", "unknown option `%s`", argument);
        else if (tail.url != NULL)
            return usage_error("tail", "only one URL, not also `%s`", argument);
        else
            tail.url = argument;
    }
    if (tail.url == NULL)
        tail.url = DEFAULT_URL;
    return tail_run(&tail);
}
