/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the gateway's test files, behind <cmocka.h>: a gateway with two threads on a real port, its
 * journal in the test's hand, and listeners that connect to it from the same loop.
 */
#pragma once

#include "base/clock.h"
#include "gateway/gateway.h"
#include "gateway/listener_test.h"

#define STEP_MS 2
#define TICKERS 200
#define RETAIN ((size_t)64 * MEBIBYTE)

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct journal *journal;
    struct keeper *keeper;
    struct gateway *gateway;
    struct timer *step;
    int64_t began_ns;
    uint32_t content;     /* its number; the stream is "tw-CONTENT" */
    size_t size;          /* of the messages to come */
    uint64_t per_step;    /* messages */
    uint32_t start_overs; /* still to come, one each fifth step */
    uint32_t steps;       /* so far */
    bool (*done)(struct fixture *fixture);
    struct listener *listeners; /* listener_count of them */
    size_t listener_count;
    struct asker asker;
};

/* text: what follows the seq, up to the brace that closes it. */
static inline void fixture_append(struct fixture *fixture, const char *type, const char *rest)
{
    static char text[LIMIT_RECORD + LIMIT_PADDING];
    struct record record = {.stream = journal_stream(fixture->journal),
                            .epoch = fixture->content,
                            .seq = journal_next(fixture->journal),
                            .type = slice_of(type),
                            .key = SLICE("x:A-B")};
    int size = snprintf(text, sizeof text, "{\"type\":\"%s\",\"seq\":%lld,%s}", type,
                        (long long)record.seq, rest);
    record.text = (struct slice){.data = text, .size = (size_t)size};
    assert_int_equal(journal_append(fixture->journal, &record), JOURNAL_ACCEPTED);
}

/* Messages of no type that the keeper knows; what they say is hard to compress. */
static inline void fixture_publish(struct fixture *fixture, uint64_t count)
{
    static char rest[LIMIT_RECORD];
    static uint64_t random = 88172645463325252u;
    for (uint64_t i = 0; i < count; i++) {
        int size = snprintf(rest, sizeof rest, "\"exchange\":\"x\",\"content\":%u,\"pad\":\"",
                            fixture->content);
        size_t at = (size_t)size;
        for (; at < fixture->size; at++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            rest[at] = (char)('A' + (random >> 59) % 26);
        }
        memcpy(rest + at, "\"", 2);
        fixture_append(fixture, "note", rest);
    }
}

/* What snapshots hold from now on. */
static inline void fixture_publish_tickers(struct fixture *fixture)
{
    char rest[128];
    for (int i = 0; i < TICKERS; i++) {
        snprintf(rest, sizeof rest,
                 "\"exchange\":\"x\",\"symbol\":\"S%d-USDT\",\"recv\":1,\"last\":\"1\"", i);
        fixture_append(fixture, "ticker", rest);
    }
}

static inline void fixture_name(const struct fixture *fixture, char stream[LIMIT_STREAM_ID])
{
    snprintf(stream, LIMIT_STREAM_ID, "tw-%u", fixture->content);
}

/* Another content in the journal. It overlaps the former one, lies before it, or behind it. */
static inline void fixture_change_content(struct fixture *fixture)
{
    char stream[LIMIT_STREAM_ID];
    int64_t next = journal_next(fixture->journal);
    int64_t first = fixture->content % 3 == 0 ? 1 : fixture->content % 3 == 1 ? next : next + 7;
    fixture->content++;
    fixture_name(fixture, stream);
    if (fixture->content % 2 == 0) {
        journal_restart(fixture->journal, stream, first);
        journal_barrier(fixture->journal, stream, fixture->content);
        keeper_clear(fixture->keeper);
    } else {
        struct journal *shadow = journal_create(stream, first, journal_retain(fixture->journal));
        struct journal *own = fixture->journal;
        journal_barrier(shadow, stream, fixture->content);
        struct keeper *keeper = keeper_create(shadow, 10);
        fixture->journal = shadow;
        fixture_publish_tickers(fixture);
        fixture->journal = own;
        journal_take(own, shadow);
        keeper_take(fixture->keeper, keeper);
    }
}

static inline void fixture_start_over(struct fixture *fixture)
{
    fixture_change_content(fixture);
    gateway_start_over(fixture->gateway);
}

/* path: "exchange?batch=1" */
static inline void fixture_connect(struct fixture *fixture, struct listener *listener,
                                   const char *path, bool deflate)
{
    listener_open(listener, fixture->loop, http_server_port(fixture->server), path, deflate);
}

/* Has everything, of the present content. */
static inline bool is_up(const struct fixture *fixture, const struct listener *listener)
{
    char stream[LIMIT_STREAM_ID];
    fixture_name(fixture, stream);
    return strcmp(listener->stream, stream) == 0 && !listener->in_snapshot &&
           listener->next == journal_next(fixture->journal);
}

static inline bool all_are_up(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->listener_count; i++)
        if (!is_up(fixture, &fixture->listeners[i]))
            return false;
    return fixture->start_overs == 0 && fixture->per_step == 0;
}

static inline void on_step(void *context)
{
    struct fixture *fixture = context;
    int64_t age_ns = clock_monotonic_ns() - fixture->began_ns;
    fixture->steps++;
    fixture_publish(fixture, fixture->per_step);
    if (fixture->start_overs > 0 && fixture->steps % 5 == 0) {
        fixture_start_over(fixture);
        if (--fixture->start_overs == 0)
            fixture->per_step = 0;
    }
    assert_true(age_ns / 1000000 < WAIT_MS);
    if (fixture->done(fixture))
        loop_stop(fixture->loop);
    else
        timer_start(fixture->step, STEP_MS, 0);
}

static inline void run_until(struct fixture *fixture, bool (*done)(struct fixture *fixture))
{
    fixture->done = done;
    fixture->began_ns = clock_monotonic_ns();
    timer_start(fixture->step, STEP_MS, 0);
    loop_run(fixture->loop);
}

static inline bool is_answered(struct fixture *fixture)
{
    return fixture->asker.status != 0;
}

static inline void ask_for(struct fixture *fixture, const char *path)
{
    asker_open(&fixture->asker, fixture->loop, http_server_port(fixture->server), path);
}

/* The body, as text. */
static inline const char *ask(struct fixture *fixture, const char *path)
{
    ask_for(fixture, path);
    run_until(fixture, is_answered);
    return fixture->asker.body;
}

/* ---- life ---- */

static const char *const no_exchanges[] = {"x", NULL};
static const char *const other_nodes[] = {"http://other:8080", "https://third.example/", NULL};

static inline struct gateway_options fixture_options(void)
{
    return (struct gateway_options){
        .node = "test",
        .public_url = "",
        .exchanges = no_exchanges,
        .nodes = other_nodes,
        .policy = {.heartbeat_ms = 50,
                   .max_lag_ms = WAIT_MS,
                   .clients_max = 1000,
                   .clients_per_address_max = 1000},
        .batch_interval_ms = 2,
        .threads = 2,
        .send_buffer = 65536,
    };
}

/* stream: "" to begin closed. */
static inline void fixture_init_with(struct fixture *fixture, const char *stream, size_t retain,
                                     const struct gateway_options *wanted)
{
    struct gateway_options options = *wanted;
    struct err err;
    *fixture = (struct fixture){.loop = loop_create(), .content = 1, .size = 200};
    const struct http_server_options server = {.listen = "127.0.0.1:0", .connections_max = 1000};
    assert_int_equal(http_server_open(fixture->loop, &server, &fixture->server, &err), 0);
    fixture->journal = journal_create(stream, 1, retain);
    journal_barrier(fixture->journal, stream, fixture->content);
    fixture->keeper = keeper_create(fixture->journal, 10);
    options.loop = fixture->loop;
    options.server = fixture->server;
    options.journal = fixture->journal;
    options.keeper = fixture->keeper;
    fixture->gateway = gateway_create(&options);
    fixture->step = timer_create_on(fixture->loop, on_step, fixture);
}

static inline void fixture_init(struct fixture *fixture)
{
    const struct gateway_options options = fixture_options();
    fixture_init_with(fixture, "tw-1", RETAIN, &options);
    fixture_publish_tickers(fixture);
}

static inline void fixture_listen(struct fixture *fixture, size_t count)
{
    fixture->listeners = memory_array(count, sizeof(struct listener));
    fixture->listener_count = count;
}

static inline void fixture_release(struct fixture *fixture)
{
    timer_destroy(fixture->step);
    gateway_destroy(fixture->gateway);
    for (size_t i = 0; i < fixture->listener_count; i++)
        ws_client_destroy(fixture->listeners[i].ws);
    memory_free(fixture->listeners);
    asker_close(&fixture->asker);
    keeper_destroy(fixture->keeper);
    journal_destroy(fixture->journal);
    http_server_close(fixture->server);
    loop_destroy(fixture->loop);
}
