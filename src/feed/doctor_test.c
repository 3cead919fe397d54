/* SPDX-License-Identifier: Apache-2.0 */
/* A doctor and a real HTTP server on one loop: good answers, bad ones, refusals, and none. */
#include "feed/doctor.h"

#include "base/clock.h"
#include "net/http_server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define ALLOWED_MS 8000
#define COUNT 16
#define PATIENCE_NS (10 * SECOND)
#define LAST_MS INT64_C(1700000000000) /* of what has come */

struct fixture {
    struct loop *loop;
    struct http_server *server;
    struct timer *tick;
    struct egress *egress;
    struct instruments *catalogue;
    struct units *units;
    struct doctor *doctor;
    bool (*enough)(struct fixture *fixture);
    int64_t began_ns, ahead_ns; /* the clock is put forward by so much */
    /* how it answers */
    unsigned status;
    const char *headers;
    const char *body;    /* NULL: as an exchange does */
    const char *bad;     /* a list with it is refused */
    int64_t newer_ms;    /* facts are newer than what came by so much */
    const char *unnamed; /* of whom it says nothing */
    /* what came */
    unsigned asked, asked_markets, paused;
    char query[512]; /* of the last one */
    char markets[512];
};

static struct clock_source ahead; /* of the machine's clock, by ahead_ns */

static int64_t real_ns(void)
{
    clock_replace(NULL);
    int64_t now_ns = clock_monotonic_ns();
    clock_replace(&ahead);
    return now_ns;
}

static int64_t monotonic_ns(void *context)
{
    return real_ns() + ((struct fixture *)context)->ahead_ns;
}

static int64_t wall_us(void *context)
{
    return monotonic_ns(context) / 1000;
}

/* ---- the exchange ---- */

static void answer(struct fixture *fixture, struct http_connection *connection, const char *body)
{
    http_answer(connection, fixture->status, "application/json", fixture->headers,
                slice_of(fixture->body != NULL ? fixture->body : body));
}

static void note(struct fixture *fixture, const struct http_head *request)
{
    fixture->asked++;
    snprintf(fixture->query, sizeof fixture->query, "%.*s", (int)request->query.size,
             request->query.data);
}

static void on_tickers(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    struct fixture *fixture = context;
    char body[4096] = "[";
    note(fixture, request);
    if (fixture->bad != NULL && strstr(fixture->query, fixture->bad) != NULL) {
        http_answer(connection, 404, "application/json", NULL,
                    SLICE("{\"error\":{\"name\":404,\"message\":\"Code not found\"}}"));
        return;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        const char *native = instruments_at(fixture->catalogue, i)->native;
        size_t size = strlen(body);
        if (strstr(fixture->query, native) == NULL ||
            (fixture->unnamed != NULL && strcmp(native, fixture->unnamed) == 0))
            continue;
        snprintf(body + size, sizeof body - size, "%s{\"market\":\"%s\",\"trade_timestamp\":%lld}",
                 size > 1 ? "," : "", native, (long long)(LAST_MS + fixture->newer_ms));
    }
    snprintf(body + strlen(body), sizeof body - strlen(body), "]");
    answer(fixture, connection, body);
}

static void on_books(void *context, struct http_connection *connection,
                     const struct http_head *request)
{
    struct fixture *fixture = context;
    char body[512];
    note(fixture, request);
    const char *native = strstr(fixture->query, "markets=") + strlen("markets=");
    snprintf(body, sizeof body, "[{\"market\":\"%.*s\",\"timestamp\":%lld,\"orderbook_units\":[]}]",
             (int)strcspn(native, "&"), native, (long long)(LAST_MS + fixture->newer_ms));
    answer(fixture, connection, body);
}

static void on_markets(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    struct fixture *fixture = context;
    (void)request;
    fixture->asked_markets++;
    answer(fixture, connection, "[{\"market\":\"KRW-S00\"},{\"market\":\"KRW-OTHER\"}]");
}

/* ---- who listens ---- */

static void on_market(void *context, struct instrument *instrument, bool tradable)
{
    struct fixture *fixture = context;
    size_t size = strlen(fixture->markets);
    snprintf(fixture->markets + size, sizeof fixture->markets - size, "%s%c ",
             instrument->symbol.text, tradable ? '+' : '-');
}

static bool on_same_book(void *context, struct instrument *instrument, const struct level *bid,
                         const struct level *ask)
{
    (void)context;
    (void)instrument;
    (void)bid;
    (void)ask;
    return false;
}

static void on_paused(void *context)
{
    ((struct fixture *)context)->paused++;
}

static void on_notice(void *context, const struct unit_scope *scope, bool stale)
{
    (void)context;
    (void)scope;
    (void)stale;
}

static void on_tick(void *context)
{
    struct fixture *fixture = context;
    doctor_check(fixture->doctor, clock_monotonic_ns());
    if (fixture->enough(fixture) || real_ns() - fixture->began_ns > PATIENCE_NS)
        loop_stop(fixture->loop);
}

static void run_until(struct fixture *fixture, bool (*enough)(struct fixture *fixture))
{
    fixture->enough = enough;
    fixture->began_ns = real_ns();
    timer_start(fixture->tick, 0, 2);
    loop_run(fixture->loop);
    timer_stop(fixture->tick);
    assert_true(enough(fixture));
}

/* ---- making ---- */

static void open_doctor(struct fixture *fixture, unsigned port)
{
    static const struct doctor_callbacks callbacks = {
        .market = on_market, .same_book = on_same_book, .paused = on_paused};
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    const struct doctor_options options = {.loop = fixture->loop,
                                           .exchange = exchange_find(SLICE("upbit"), 0),
                                           .rest_url = url,
                                           .egress = fixture->egress,
                                           .catalogue = fixture->catalogue,
                                           .units = fixture->units};
    doctor_destroy(fixture->doctor);
    fixture->doctor = doctor_create(&options, &callbacks, fixture);
}

static void make_symbols(struct fixture *fixture)
{
    for (unsigned i = 0; i < COUNT; i++) {
        char text[16], native[16];
        struct symbol symbol;
        snprintf(text, sizeof text, "S%02u-KRW", i);
        snprintf(native, sizeof native, "KRW-S%02u", i);
        assert_true(symbol_read(slice_of(text), &symbol));
        struct instrument *instrument =
            instruments_add(fixture->catalogue, &symbol, slice_of(native));
        instrument->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    }
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    const struct exchange *exchange = exchange_find(SLICE("upbit"), 0);
    const struct http_server_options options = {.listen = "127.0.0.1:0", .connections_max = 64};
    const struct http_route routes[] = {
        {.path = "/v1/ticker", .handler = on_tickers, .context = fixture},
        {.path = "/v1/orderbook", .handler = on_books, .context = fixture},
        {.path = "/v1/market/all", .handler = on_markets, .context = fixture}};
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    ahead =
        (struct clock_source){.wall_us = wall_us, .monotonic_ns = monotonic_ns, .context = fixture};
    clock_replace(&ahead);
    fixture->status = 200;
    fixture->loop = loop_create();
    assert_int_equal(http_server_open(fixture->loop, &options, &fixture->server, &err), 0);
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_server_route(fixture->server, &routes[i]);
    fixture->tick = timer_create_on(fixture->loop, on_tick, fixture);
    fixture->egress = egress_create(exchange, "");
    fixture->catalogue = instruments_create(COUNT, false);
    make_symbols(fixture);
    fixture->units = units_create(fixture->catalogue, ALLOWED_MS, on_notice, fixture);
    units_follow(fixture->units, clock_monotonic_ns());
    open_doctor(fixture, http_server_port(fixture->server));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    doctor_destroy(fixture->doctor);
    units_destroy(fixture->units);
    instruments_destroy(fixture->catalogue);
    egress_destroy(fixture->egress);
    timer_destroy(fixture->tick);
    http_server_close(fixture->server);
    loop_destroy(fixture->loop);
    clock_replace(NULL);
    free(fixture);
    return 0;
}

static struct unit *unit_of(struct fixture *fixture, uint32_t index, enum channel channel)
{
    return units_at(fixture->units, index, channel);
}

/* Something has come of it, and nothing more for some time. */
static void suspect(struct fixture *fixture, uint32_t index, enum channel channel)
{
    struct event event = {.type = channel == CHANNEL_TRADE ? EVENT_TRADE : EVENT_BOOK,
                          .exchange_us = LAST_MS * 1000};
    units_seen(fixture->units, index, channel, &event, clock_monotonic_ns());
    unit_of(fixture, index, channel)->state = UNIT_SUSPECT;
}

static unsigned count_of(struct fixture *fixture, enum unit_state state)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < COUNT; i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            count += unit_of(fixture, i, (enum channel)c)->state == state;
    return count;
}

static bool nobody_waits(struct fixture *fixture)
{
    return count_of(fixture, UNIT_SUSPECT) + count_of(fixture, UNIT_ASKED) == 0;
}

static bool is_paused(struct fixture *fixture)
{
    return fixture->paused > 0;
}

static bool was_asked(struct fixture *fixture)
{
    return fixture->asked + fixture->asked_markets > 0;
}

static bool markets_told(struct fixture *fixture)
{
    return fixture->markets[0] != '\0';
}

/* Long enough for a request to arrive that should not. */
static bool a_moment_passed(struct fixture *fixture)
{
    return real_ns() - fixture->began_ns > 150 * MS;
}

/* ---- facts ---- */

static void tickers_are_asked_in_one_list(void **state)
{
    struct fixture *fixture = *state;
    suspect(fixture, 3, CHANNEL_TRADE);
    suspect(fixture, 5, CHANNEL_TRADE);
    run_until(fixture, nobody_waits);
    assert_string_equal(fixture->query, "markets=KRW-S03,KRW-S05");
    assert_int_equal(fixture->asked, 1);
    assert_int_equal(count_of(fixture, UNIT_FINE), COUNT * CHANNEL_COUNT);
    fixture->newer_ms = 1500;
    suspect(fixture, 3, CHANNEL_TRADE);
    run_until(fixture, nobody_waits);
    assert_int_equal(unit_of(fixture, 3, CHANNEL_TRADE)->state, UNIT_NEWER);
}

static void books_are_asked_one_by_one(void **state)
{
    struct fixture *fixture = *state;
    fixture->newer_ms = 1500;
    suspect(fixture, 3, CHANNEL_BOOK);
    suspect(fixture, 5, CHANNEL_BOOK);
    suspect(fixture, 7, CHANNEL_TRADE);
    run_until(fixture, nobody_waits);
    assert_int_equal(fixture->asked, 3);
    assert_int_equal(count_of(fixture, UNIT_NEWER), 3);
}

static void who_is_not_named_is_unknown(void **state)
{
    struct fixture *fixture = *state;
    fixture->unnamed = "KRW-S05";
    suspect(fixture, 3, CHANNEL_TRADE);
    suspect(fixture, 5, CHANNEL_TRADE);
    run_until(fixture, nobody_waits);
    assert_int_equal(unit_of(fixture, 3, CHANNEL_TRADE)->state, UNIT_FINE);
    assert_int_equal(unit_of(fixture, 5, CHANNEL_TRADE)->state, UNIT_UNKNOWN);
}

/* One symbol that is not listed takes nobody's answer away. */
static void a_bad_symbol_is_found_among_many(void **state)
{
    struct fixture *fixture = *state;
    fixture->bad = "KRW-S11";
    for (uint32_t i = 0; i < COUNT; i++)
        suspect(fixture, i, CHANNEL_TRADE);
    run_until(fixture, nobody_waits);
    assert_int_equal(count_of(fixture, UNIT_UNKNOWN), 1);
    assert_int_equal(unit_of(fixture, 11, CHANNEL_TRADE)->state, UNIT_UNKNOWN);
    run_until(fixture, markets_told); /* and the list of markets is looked at */
}

/* ---- bad answers ---- */

static void what_cannot_be_read_leaves_it_unknown(void **state)
{
    static const char *const bodies[] = {"", "[", "{}", "<html>", "null", "[{\"market\":5}]"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct fixture *fixture = *state;
        fixture->body = bodies[i];
        suspect(fixture, 3, CHANNEL_TRADE);
        run_until(fixture, nobody_waits);
        assert_int_equal(fixture->asked, 1);
        assert_int_equal(unit_of(fixture, 3, CHANNEL_TRADE)->state, UNIT_UNKNOWN);
        teardown(state);
        setup(state);
    }
}

/* Who fails is left alone for a while: others are not asked about meanwhile. */
static void a_server_that_fails_is_not_asked_at_once_again(void **state)
{
    struct fixture *fixture = *state;
    fixture->status = 500;
    fixture->body = "{}";
    for (uint32_t i = 0; i < 4; i++) {
        suspect(fixture, i, CHANNEL_BOOK);
        run_until(fixture, nobody_waits);
    }
    assert_in_range(fixture->asked, 1, 2);
    assert_int_equal(count_of(fixture, UNIT_UNKNOWN), 4);
    fixture->status = 200;
    fixture->body = NULL;
    fixture->ahead_ns += 60 * SECOND;
    suspect(fixture, 0, CHANNEL_BOOK);
    run_until(fixture, nobody_waits);
    assert_int_equal(unit_of(fixture, 0, CHANNEL_BOOK)->state, UNIT_FINE);
}

static void a_refusal_pauses_everything(void **state)
{
    struct fixture *fixture = *state;
    fixture->status = 429;
    fixture->headers = "Retry-After: 7\r\n";
    suspect(fixture, 3, CHANNEL_BOOK);
    run_until(fixture, is_paused);
    int64_t now_ns = clock_monotonic_ns();
    assert_in_range(egress_paused_until_ns(fixture->egress, now_ns) - now_ns, 6 * SECOND,
                    7 * SECOND);
    assert_int_equal(egress_pause_status(fixture->egress), 429);
    assert_true(egress_connect_wait_ns(fixture->egress, now_ns) > 6 * SECOND);
    fixture->status = 200;
    fixture->headers = NULL;
    suspect(fixture, 3, CHANNEL_BOOK);
    suspect(fixture, 4, CHANNEL_TRADE);
    doctor_want_markets(fixture->doctor);
    run_until(fixture, a_moment_passed);
    assert_int_equal(fixture->asked + fixture->asked_markets, 1);
    fixture->ahead_ns += 8 * SECOND;
    run_until(fixture, nobody_waits);
    run_until(fixture, markets_told);
    assert_int_equal(fixture->paused, 1);
}

static void who_is_not_there_leaves_it_unknown(void **state)
{
    struct fixture *fixture = *state;
    http_server_stop_listening(fixture->server);
    suspect(fixture, 3, CHANNEL_TRADE);
    suspect(fixture, 3, CHANNEL_BOOK);
    run_until(fixture, nobody_waits);
    assert_int_equal(count_of(fixture, UNIT_UNKNOWN), 2);
}

static int silent_listener(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

/* A reload may take the doctor away while it waits: nobody waits for ever. */
static void a_doctor_that_goes_leaves_nobody_waiting(void **state)
{
    struct fixture *fixture = *state;
    unsigned port;
    int listener = silent_listener(&port);
    open_doctor(fixture, port);
    suspect(fixture, 3, CHANNEL_TRADE);
    run_until(fixture, a_moment_passed);
    assert_int_equal(unit_of(fixture, 3, CHANNEL_TRADE)->state, UNIT_ASKED);
    open_doctor(fixture, http_server_port(fixture->server));
    assert_int_equal(unit_of(fixture, 3, CHANNEL_TRADE)->state, UNIT_UNKNOWN);
    close(listener);
}

/* ---- limits ---- */

static bool eleven_were_asked(struct fixture *fixture)
{
    return fixture->asked >= 11;
}

static void the_exchanges_limit_is_kept(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < COUNT; i++)
        suspect(fixture, i, CHANNEL_BOOK);
    run_until(fixture, eleven_were_asked); /* ten a second, and the slack */
    assert_true(real_ns() - fixture->began_ns >= SECOND);
    run_until(fixture, nobody_waits);
    assert_int_equal(fixture->asked, COUNT);
}

/* ---- markets ---- */

static void markets_are_told_of_every_symbol(void **state)
{
    struct fixture *fixture = *state;
    doctor_want_markets(fixture->doctor);
    run_until(fixture, markets_told);
    assert_non_null(strstr(fixture->markets, "S00-KRW+ S01-KRW- "));
    assert_non_null(strstr(fixture->markets, "S15-KRW- "));
    doctor_want_markets(fixture->doctor);
    run_until(fixture, a_moment_passed);
    assert_int_equal(fixture->asked_markets, 1); /* not twice a minute */
    fixture->markets[0] = '\0';
    fixture->ahead_ns += 61 * SECOND;
    run_until(fixture, markets_told);
    assert_int_equal(fixture->asked_markets, 2);
}

/* Neither a broken list nor an empty one condemns anybody; it is asked for again. */
static void a_list_that_is_none_is_asked_for_again(void **state)
{
    static const char *const bodies[] = {"[]", "[{\"market\":\"KRW-S00\"}", "{}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct fixture *fixture = *state;
        fixture->body = bodies[i];
        doctor_want_markets(fixture->doctor);
        run_until(fixture, was_asked);
        run_until(fixture, a_moment_passed);
        assert_string_equal(fixture->markets, "");
        fixture->body = NULL;
        fixture->ahead_ns += 61 * SECOND;
        run_until(fixture, markets_told);
        assert_int_equal(fixture->asked_markets, 2);
        teardown(state);
        setup(state);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(tickers_are_asked_in_one_list),
        TEST(books_are_asked_one_by_one),
        TEST(who_is_not_named_is_unknown),
        TEST(a_bad_symbol_is_found_among_many),
        TEST(what_cannot_be_read_leaves_it_unknown),
        TEST(a_server_that_fails_is_not_asked_at_once_again),
        TEST(a_refusal_pauses_everything),
        TEST(who_is_not_there_leaves_it_unknown),
        TEST(a_doctor_that_goes_leaves_nobody_waiting),
        TEST(the_exchanges_limit_is_kept),
        TEST(markets_are_told_of_every_symbol),
        TEST(a_list_that_is_none_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
