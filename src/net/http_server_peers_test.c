/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are slow, deaf, rude or many. */
#include "net/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/http_server_fixture_test.h"

static void send_and_half_close(struct peer *peer)
{
    struct fixture *fixture = peer->context;
    peer_connect(peer);
    peer_send_text(peer, fixture->request);
    shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer);
}

static void test_half_close_gets_its_answers(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture.request = "GET /big HTTP/1.1\r\n" HOST "\r\nGET /ok?q=1 HTTP/1.1\r\n" HOST "\r\n";
    run_peer(&fixture, send_and_half_close);
    assert_true(fixture.peer.seen.size > BIG_SIZE);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:1"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void send_a_half_after_a_whole(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "GET /ok?q=1 HTTP/1.1\r\n" HOST "\r\nGET /ok?q=2 HT");
    /* The first answer shows that the half request has been read as well. */
    peer_receive_until(peer, "ok:1");
    peer_outwait(peer);
}

static void test_slow_head_408(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    run_peer(&fixture, send_a_half_after_a_whole);
    assert_non_null(strstr(fixture.peer.seen.data, "HTTP/1.1 408 Request Timeout\r\n"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void wait_idle(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "GET /ok?q=1 HTTP/1.1\r\n" HOST "\r\n");
    peer_receive_until(peer, "ok:1");
    peer_outwait(peer);
}

static void test_idle_connection_is_closed_silently(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    run_peer(&fixture, wait_idle);
    assert_int_equal(count_of(fixture.peer.seen.data, "HTTP/1.1 "), 1);
    assert_int_equal(fixture.answers, 1);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void read_nothing(struct peer *peer)
{
    char first;
    peer_connect(peer);
    peer_send_text(peer, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    (void)recv(peer->fd, &first, 1, MSG_PEEK); /* the answer is on its way */
    for (int i = 0; i < 50; i++) {
        struct peer other = *peer; /* the loop goes on while the other is stuck */
        other.seen = (struct buffer){.data = NULL};
        buffer_init(&other.seen, 1 << 20);
        peer_connect(&other);
        peer_send_text(&other, "GET /ok HTTP/1.1\r\n" CLOSE);
        peer_receive_all(&other);
        if (strstr(other.seen.data, "ok:") != NULL)
            buffer_append_text(&peer->seen, ".");
        close(other.fd);
        buffer_release(&other.seen);
    }
}

static void test_peer_that_reads_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    run_peer(&fixture, read_nothing);
    assert_memory_equal(fixture.peer.seen.data,
                        "..................................................", 50);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

/* It holds the only place, which who reads his answers gets at once. */
static void read_nothing_until_dropped(struct peer *peer)
{
    char rest[65536];
    ssize_t size;
    peer_connect(peer);
    int deaf = peer->fd;
    peer_send_text(peer, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /ok?q=2 HTTP/1.1\r\n" CLOSE);
    (void)recv(deaf, rest, 1, MSG_PEEK);
    peer_connect(peer);
    peer_send_text(peer, "GET /ok HTTP/1.1\r\n" CLOSE);
    peer_receive_all(peer);
    close(peer->fd);
    peer->fd = deaf;
    size_t taken = 0;
    for (size = recv(deaf, rest, sizeof rest, 0); size > 0; size = recv(deaf, rest, sizeof rest, 0))
        taken += (size_t)size;
    if (taken >= BIG_SIZE)
        buffer_append_text(&peer->seen, "it got everything");
}

static void test_peer_that_reads_nothing_is_dropped(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 1);
    run_peer(&fixture, read_nothing_until_dropped);
    assert_memory_equal(fixture.peer.seen.data, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:"));
    assert_null(strstr(fixture.peer.seen.data, "it got everything"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void reset_in_the_middle(struct peer *peer)
{
    const struct linger linger = {.l_onoff = 1};
    for (int i = 0; i < 20; i++) {
        peer_connect(peer);
        peer_send_text(peer, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /big HTTP/1.1\r\n");
        if (i % 2 == 0)
            peer_receive(peer);
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        close(peer->fd);
    }
    peer->fd = -1;
    buffer_clear(&peer->seen);
    struct fixture *fixture = peer->context;
    fixture->request = "GET /ok HTTP/1.1\r\n" CLOSE;
    send_request(peer);
}

static void test_early_disconnects(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 30);
    run_peer(&fixture, reset_in_the_middle);
    assert_non_null(strstr(fixture.peer.seen.data, "ok:"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void many_at_once(struct peer *peer)
{
    int fds[200];
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        peer_connect(peer);
        fds[i] = peer->fd;
        peer_send_text(peer, "GET /ok HTTP/1.1\r\n" HOST "\r\n");
    }
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        peer->fd = fds[i];
        peer_send_text(peer, "GET /ok HTTP/1.1\r\n" CLOSE);
        peer_receive_all(peer);
        close(peer->fd);
    }
    peer->fd = -1;
}

static void test_many_connections(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 200);
    run_peer(&fixture, many_at_once);
    assert_int_equal(count_of(fixture.peer.seen.data, "\r\n\r\nok:"), 400);
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void test_closed_inside_a_handler(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    fixture.request = "GET /close HTTP/1.1\r\n" HOST "\r\nGET /ok HTTP/1.1\r\n" HOST "\r\n";
    run_peer(&fixture, send_request);
    assert_non_null(strstr(fixture.peer.seen.data, "bye"));
    assert_null(strstr(fixture.peer.seen.data, "ok:"));
    peer_release(&fixture.peer);
    fixture_release(&fixture);
}

static void test_stop_listening(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, 10);
    uint16_t port = http_server_port(fixture.server);
    http_server_stop_listening(fixture.server);
    struct sockaddr_in address = peer_address(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_not_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_close_gets_its_answers),
        cmocka_unit_test(test_slow_head_408),
        cmocka_unit_test(test_idle_connection_is_closed_silently),
        cmocka_unit_test(test_peer_that_reads_nothing),
        cmocka_unit_test(test_peer_that_reads_nothing_is_dropped),
        cmocka_unit_test(test_early_disconnects),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_closed_inside_a_handler),
        cmocka_unit_test(test_stop_listening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
