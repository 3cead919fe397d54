/* SPDX-License-Identifier: Apache-2.0 */
/* Limits in time and number: slow heads, silent peers, floods from one address, rates. Loopback
 * addresses stand for clients. */
#include "net/http_server.h"

#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/http_server_fixture_test.h"

#define SHAKE HANDSHAKE "Sec-WebSocket-Version: 13\r\n\r\n"
#define SECOND ((int64_t)1000000000)

static int64_t refused(const char *reason)
{
    char labels[64];
    snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    return metric_value(metric_series(METRIC_HTTP_REFUSED, labels));
}

/* From 127.0.0.`last`. */
static void connect_from(struct peer *peer, unsigned last)
{
    struct sockaddr_in from = peer_address(0);
    struct sockaddr_in to = peer_address(peer->port);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last);
    peer->fd = socket(AF_INET, SOCK_STREAM, 0);
    peer_limit(peer->fd);
    if (bind(peer->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(peer->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        buffer_append_text(&peer->seen, "NOT CONNECTED");
}

/* Whether the server has closed or reset this connection; waits for it. */
static bool is_ended(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) <= 0 && errno != EAGAIN && errno != EWOULDBLOCK;
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static void note(struct peer *peer, bool good)
{
    buffer_append_text(&peer->seen, good ? "+" : "-");
}

static void ask(struct peer *peer)
{
    peer_send_text(peer, "GET /ok HTTP/1.1\r\n" HOST "\r\n");
}

/* ---- time ---- */

/* A byte a second of time that the test makes: it gets as far as the deadline, and no further. */
static void drip(struct peer *peer)
{
    static const char head[] = "GET /ok HTTP/1.1\r\nX-Endless: ";
    peer_connect(peer);
    ask(peer);
    peer_receive_until(peer, "ok:");
    clock_step(50 * SECOND); /* idle, but less than it may be */
    struct timeval moment = {.tv_usec = 20000};
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof(moment));
    peer->timed_out = true;
    for (size_t i = 0; i < 1000 && peer->timed_out; i++) {
        peer->timed_out = false;
        peer_send(peer, i < sizeof(head) - 1 ? &head[i] : "x", 1);
        clock_step(SECOND);
        (void)peer_receive(peer);
        if (peer->timed_out)
            note(peer, true);
    }
    peer->timed_out = false;
}

static void test_a_byte_a_second_is_ended(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("slow_head");
    fixture_init(&fixture, 10);
    run_peer(&fixture, drip);
    const char *seen = fixture.peer.seen.data;
    const char *late = strstr(seen, "HTTP/1.1 408 ");
    assert_non_null(late);
    size_t seconds = 0;
    for (const char *cursor = strstr(seen, "ok:") + 3; cursor < late; cursor++)
        seconds += *cursor == '+';
    /* The sweep looks every 250 ms of real time: between the steps of the clock some are early. */
    assert_true(seconds >= LIMIT_HTTP_HEAD_MS / 1000 - 2);
    assert_true(seconds < 100);
    assert_int_equal(refused("slow_head"), before + 1);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void say_nothing(struct peer *peer)
{
    peer_connect(peer);
    peer_outwait(peer);
}

static void test_silent_peer_is_counted(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("silent");
    fixture_init(&fixture, 10);
    run_peer(&fixture, say_nothing);
    assert_int_equal(fixture.peer.seen.size, 0);
    assert_int_equal(fixture.answers, 0);
    assert_int_equal(refused("silent"), before + 1);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* Kept for the next request far longer than a head may take; that a silent one is ended shows that
 * the server has looked. */
static void idle_then_ask(struct peer *peer)
{
    peer_connect(peer);
    int silent = peer->fd;
    peer_connect(peer);
    ask(peer);
    peer_receive_until(peer, "ok:");
    clock_step(50 * SECOND);
    note(peer, is_ended(silent));
    close(silent);
    peer_send_text(peer, "GET /ok?q=again HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
}

static void test_idle_is_not_slow(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    run_peer(&fixture, idle_then_ask);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:+HTTP/1.1 200 OK"));
    assert_non_null(strstr(fixture.peer.seen.data, "ok:again"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- answers that nobody takes ---- */

/* Far more of them than there may be in memory; one who reads is served behind them. */
static void ask_and_read_nothing(struct peer *peer)
{
    enum { DEAF = 100 };
    int fds[DEAF];
    const int small = 4096;
    char first;
    for (size_t i = 0; i < DEAF; i++) {
        peer_connect(peer);
        fds[i] = peer->fd;
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        peer_send_text(peer, "GET /big HTTP/1.1\r\n" HOST "\r\n");
        (void)recv(peer->fd, &first, 1, MSG_PEEK);
    }
    peer_connect(peer);
    peer_send_text(peer, "GET /ok?q=small HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    for (size_t i = 0; i < DEAF; i++)
        close(fds[i]);
}

static void test_answers_not_taken_are_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("unsent");
    fixture_init(&fixture, 200);
    run_peer(&fixture, ask_and_read_nothing);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:small"));
    assert_true(refused("unsent") > before);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- places ---- */

/* All places are taken by one address that says nothing; another address is served, and the place
 * is the oldest's. */
static void flood_and_ask(struct peer *peer)
{
    int fds[20];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        connect_from(peer, 2);
        fds[i] = peer->fd;
    }
    unsigned served = 0;
    for (unsigned i = 0; i < 5; i++) {
        connect_from(peer, 3 + i);
        ask(peer);
        peer_receive_until(peer, "ok:");
        bool oldest_went = is_ended(fds[i]);
        peer_send_text(peer, "GET /ok?q=2 HTTP/1.1\r\n" CLOSE); /* nor has it lost its own */
        peer_receive_all(peer);
        served += oldest_went && strstr(peer->seen.data, "ok:2") != NULL;
        buffer_clear(&peer->seen);
        close(peer->fd);
        connect_from(peer, 2); /* the flood goes on */
        close(fds[i]);
        fds[i] = peer->fd;
    }
    buffer_append_format(&peer->seen, "%u served ", served);
    note(peer, is_open(fds[COUNT_OF(fds) - 1]));
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    peer->fd = -1;
}

static void test_a_flood_meets_itself(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("evicted");
    fixture_init(&fixture, 20);
    run_peer(&fixture, flood_and_ask);
    assert_string_equal(fixture.peer.seen.data, "5 served +");
    assert_true(refused("evicted") >= before + 5);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* All places are taken by one address that asks and does not read; another one is served. */
static void be_deaf_and_ask(struct peer *peer)
{
    int fds[20];
    const int small = 4096;
    char first;
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        connect_from(peer, 2);
        fds[i] = peer->fd;
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        peer_send_text(peer, "GET /big HTTP/1.1\r\n" HOST "\r\n");
        (void)recv(peer->fd, &first, 1, MSG_PEEK);
    }
    connect_from(peer, 3);
    peer_send_text(peer, "GET /ok?q=reads HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
}

static void test_who_reads_no_answer_goes_for_a_new_one(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("evicted");
    int64_t full = refused("full");
    fixture_init(&fixture, 20);
    run_peer(&fixture, be_deaf_and_ask);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:reads"));
    assert_int_equal(refused("evicted"), before + 1);
    assert_int_equal(refused("full"), full);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* Many more than there are places, each given up at once or never spoken on. */
static void flood_hard(struct peer *peer)
{
    enum { HELD = 100 };
    int fds[HELD];
    unsigned served = 0;
    memset(fds, -1, sizeof(fds));
    for (unsigned i = 0; i < 4000; i++) {
        if (fds[i % HELD] >= 0)
            close(fds[i % HELD]);
        connect_from(peer, 2 + i % 3);
        fds[i % HELD] = peer->fd;
        if (i % 400 != 0)
            continue;
        connect_from(peer, 100);
        ask(peer);
        peer_receive_until(peer, "ok:"); /* in the answer to this one: the record was empty */
        served += strstr(peer->seen.data, "ok:") != NULL;
        buffer_clear(&peer->seen);
        close(peer->fd);
    }
    for (size_t i = 0; i < HELD; i++)
        close(fds[i]);
    connect_from(peer, 100);
    peer_send_text(peer, "GET /ok?q=last HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    buffer_append_format(&peer->seen, " and %u served meanwhile", served);
}

static void test_handshakes_that_never_finish(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 30);
    run_peer(&fixture, flood_hard);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:last and 10 served meanwhile"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void exceed_address(struct peer *peer)
{
    int fds[3];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        connect_from(peer, 2);
        fds[i] = peer->fd;
        ask(peer);
        if (i < 2)
            peer_receive_until(peer, i == 0 ? "ok:" : "ok:HTTP");
    }
    note(peer, is_ended(fds[2]));
    connect_from(peer, 3); /* another may still */
    peer_send_text(peer, "GET /ok?q=other HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
}

static void test_limit_of_an_address(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("address");
    const struct http_server_options options = {.connections_max = 100,
                                                .limits = {.connections_per_address = 2}};
    fixture_init_with(&fixture, &options);
    run_peer(&fixture, exceed_address);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:other"));
    assert_non_null(strchr(fixture.peer.seen.data, '+'));
    assert_int_equal(refused("address"), before + 1);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* ---- rates ---- */

static void shake_often(struct peer *peer)
{
    for (unsigned i = 0; i < 3; i++) {
        connect_from(peer, 2);
        peer_send_text(peer, i < 2 ? "GET /ws HTTP/1.1\r\n" CLOSE : "GET /ws HTTP/1.1\r\n" SHAKE);
        if (i < 2)
            peer_receive_all(peer);
        else
            peer_receive_until(peer, "429");
        close(peer->fd);
    }
    connect_from(peer, 3);
    peer_send_text(peer, "GET /ws HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    close(peer->fd);
    clock_step(SECOND / 2); /* one a half second */
    connect_from(peer, 2);
    peer_send_text(peer, "GET /ws HTTP/1.1\r\n" SHAKE);
    peer_receive_until(peer, "101");
}

static void test_rate_of_handshakes(void **state)
{
    (void)state;
    struct fixture fixture;
    int64_t before = refused("rate");
    const struct http_server_options options = {
        .connections_max = 100, .limits = {.handshake_rate = 2, .handshake_burst = 2}};
    fixture_init_with(&fixture, &options);
    run_peer(&fixture, shake_often);
    const char *seen = fixture.peer.seen.data;
    assert_int_equal(count_of(seen, "HTTP/1.1 426 "), 3);
    assert_int_equal(count_of(seen, "HTTP/1.1 429 Too Many Requests\r\n"), 1);
    assert_int_equal(count_of(seen, "Retry-After: 1\r\n"), 1);
    assert_int_equal(count_of(seen, "HTTP/1.1 101 "), 1);
    assert_int_equal(refused("rate"), before + 1);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_byte_a_second_is_ended),
        cmocka_unit_test(test_silent_peer_is_counted),
        cmocka_unit_test(test_idle_is_not_slow),
        cmocka_unit_test(test_answers_not_taken_are_bounded),
        cmocka_unit_test(test_a_flood_meets_itself),
        cmocka_unit_test(test_who_reads_no_answer_goes_for_a_new_one),
        cmocka_unit_test(test_handshakes_that_never_finish),
        cmocka_unit_test(test_limit_of_an_address),
        cmocka_unit_test(test_rate_of_handshakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
