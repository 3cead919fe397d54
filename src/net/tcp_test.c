/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcp.h"

#include "base/memory.h"
#include "net/peer_test.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

struct owner {
    struct loop *loop;
    struct tcp_listener *listener;
    struct tcp *tcp;
    struct buffer received;
    size_t to_send; /* bytes of output left */
    size_t largest; /* read */
    unsigned accepted;
    unsigned closed;
    int error;
    char text[400];
    bool destroy_on_data;
    bool destroy_on_closed;
};

static void owner_init(struct owner *owner)
{
    *owner = (struct owner){.loop = loop_create()};
    buffer_init(&owner->received, 64 * 1024 * 1024);
}

static void owner_release(struct owner *owner)
{
    tcp_destroy(owner->tcp);
    tcp_listener_destroy(owner->listener);
    loop_destroy(owner->loop);
    buffer_release(&owner->received);
}

static void on_data(void *context, char *data, size_t size)
{
    struct owner *owner = context;
    assert_int_equal(data[size], 0);
    for (size_t i = 0; i < LIMIT_PADDING; i++) {
        volatile char readable = data[size + 1 + i]; /* else ASan speaks up */
        (void)readable;
    }
    buffer_append(&owner->received, data, size);
    owner->largest = size > owner->largest ? size : owner->largest;
    data[size - 1] = 'w'; /* writable */
    if (owner->destroy_on_data) {
        tcp_destroy(owner->tcp);
        owner->tcp = NULL;
    }
}

static void send_more(void *context)
{
    static const char zeros[1 << 20];
    struct owner *owner = context;
    while (owner->to_send > 0) {
        size_t size = owner->to_send < sizeof(zeros) ? owner->to_send : sizeof(zeros);
        size_t sent = tcp_send(owner->tcp, zeros, size);
        owner->to_send -= sent;
        if (sent < size)
            return;
    }
    tcp_shutdown(owner->tcp);
}

static void on_closed(void *context, int error)
{
    struct owner *owner = context;
    owner->closed++;
    owner->error = error;
    if (owner->destroy_on_closed) {
        tcp_destroy(owner->tcp);
        owner->tcp = NULL;
        loop_stop(owner->loop);
    }
}

static const struct tcp_callbacks callbacks = {
    .on_data = on_data, .on_writable = send_more, .on_closed = on_closed};

static void on_accept(void *context, struct tcp *tcp)
{
    struct owner *owner = context;
    owner->accepted++;
    assert_null(owner->tcp);
    owner->tcp = tcp;
    tcp_set_callbacks(tcp, &callbacks, owner);
    if (owner->to_send > 0)
        send_more(owner);
}

static uint16_t listen_here(struct owner *owner)
{
    struct err err;
    assert_int_equal(
        tcp_listen(owner->loop, "127.0.0.1:0", on_accept, owner, &owner->listener, &err), 0);
    return tcp_listener_port(owner->listener);
}

static void run_with(struct owner *owner, struct peer *peer)
{
    peer->port = listen_here(owner);
    peer_start(peer);
    loop_run(owner->loop);
    peer_join(peer);
    assert_false(peer->timed_out);
}

/* ---- sending and receiving ---- */

static void send_megabytes(struct peer *peer)
{
    static const char bytes[3 << 20] = "x";
    peer_connect(peer);
    peer_send(peer, bytes, sizeof(bytes));
    shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer); /* until the other side has seen the end and is destroyed */
}

static void test_receives_all_in_bounded_reads(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    owner.destroy_on_closed = true;
    peer_init(&peer, owner.loop, send_megabytes);
    run_with(&owner, &peer);
    assert_int_equal(owner.received.size, 3 << 20);
    assert_true(owner.largest <= LIMIT_READ_BUFFER);
    assert_int_equal(owner.closed, 1);
    assert_int_equal(owner.error, 0);
    owner_release(&owner);
    peer_release(&peer);
}

static void receive_all(struct peer *peer)
{
    peer_connect(peer);
    peer_receive_all(peer);
}

static void test_sends_more_than_the_kernel_takes(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    owner.to_send = 30 << 20;
    peer_init(&peer, owner.loop, receive_all);
    run_with(&owner, &peer);
    assert_int_equal(peer.seen.size, 30 << 20);
    assert_int_equal(owner.to_send, 0);
    owner_release(&owner);
    peer_release(&peer);
}

static void half_close_first(struct peer *peer)
{
    peer_connect(peer);
    shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer);
}

static void test_goes_on_sending_after_a_half_close(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    owner.to_send = 30 << 20;
    peer_init(&peer, owner.loop, half_close_first);
    run_with(&owner, &peer);
    assert_int_equal(peer.seen.size, 30 << 20);
    assert_int_equal(owner.closed, 1);
    assert_int_equal(owner.error, 0);
    owner_release(&owner);
    peer_release(&peer);
}

static void reset_after_a_byte(struct peer *peer)
{
    const struct linger linger = {.l_onoff = 1};
    peer_connect(peer);
    peer_send_text(peer, "x");
    recv(peer->fd, peer->seen.data, 1, MSG_PEEK);
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    peer->keeps_running = true;
}

static void test_reset_while_sending(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    owner.to_send = (size_t)1 << 40; /* without end */
    owner.destroy_on_closed = true;
    peer_init(&peer, owner.loop, reset_after_a_byte);
    run_with(&owner, &peer);
    assert_int_equal(owner.closed, 1);
    assert_true(owner.error < 0);
    owner_release(&owner);
    peer_release(&peer);
}

static void two_sends(struct peer *peer)
{
    peer_connect(peer);
    peer_send_text(peer, "one");
    peer_receive_all(peer);
}

static void test_destroyed_inside_on_data(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    owner.destroy_on_data = true;
    peer_init(&peer, owner.loop, two_sends);
    run_with(&owner, &peer);
    assert_int_equal(owner.received.size, 3);
    assert_int_equal(owner.closed, 0);
    owner_release(&owner);
    peer_release(&peer);
}

/* ---- listening ---- */

static void test_port_in_use(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    uint16_t port = listen_here(&owner);
    char address[32];
    char expected[64];
    snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)port);
    snprintf(expected, sizeof(expected), "address already in use: %s", address);
    struct tcp_listener *second;
    struct err err;
    assert_int_equal(tcp_listen(owner.loop, address, on_accept, &owner, &second, &err),
                     -EADDRINUSE);
    assert_string_equal(err.text, expected);
    snprintf(address, sizeof(address), "0.0.0.0:%u", (unsigned)port);
    assert_int_equal(tcp_listen(owner.loop, address, on_accept, &owner, &second, &err),
                     -EADDRINUSE);
    owner_release(&owner);
}

static void test_bad_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "8080",      ":8080",    "1.2.3.4",
                                      "1.2.3.4:",  "1.2.3.4:x", "::1:8080", "127.0.0.1:65536",
                                      "1.2.3.4:1", "[::1]",     "[]:80",    "256.1.1.1:80"};
    struct owner owner;
    owner_init(&owner);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct tcp_listener *listener;
        struct err err = {.code = 0};
        assert_true(tcp_listen(owner.loop, bad[i], on_accept, &owner, &listener, &err) < 0);
        assert_true(err.code < 0);
        assert_true(strlen(err.text) > 0);
    }
    owner_release(&owner);
}

static void connect_and_wait(struct peer *peer)
{
    peer_connect(peer);
    peer_receive_all(peer);
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    peer_init(&peer, owner.loop, connect_and_wait);
    peer.port = listen_here(&owner);
    struct rlimit old;
    getrlimit(RLIMIT_NOFILE, &old);
    int lowest = dup(0);
    close(lowest);
    /* The peer gets the last descriptor there is. */
    struct rlimit low = {.rlim_cur = (rlim_t)lowest + 1, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    peer_start(&peer);
    loop_run(owner.loop);
    setrlimit(RLIMIT_NOFILE, &old);
    peer_join(&peer);
    assert_false(peer.timed_out); /* turned away, not left waiting */
    assert_int_equal(owner.accepted, 0);
    owner_release(&owner);
    peer_release(&peer);
}

/* ---- connecting ---- */

static void on_connected(void *context, int error, const char *text)
{
    struct owner *owner = context;
    owner->error = error;
    owner->closed++;
    snprintf(owner->text, sizeof(owner->text), "%s", text);
    if (error != 0) {
        tcp_destroy(owner->tcp);
        owner->tcp = NULL;
    }
    loop_stop(owner->loop);
}

static void connect_to(struct owner *owner, const char *host, uint16_t port, uint32_t timeout_ms)
{
    owner->error = 1;
    owner->tcp = tcp_connect(owner->loop, host, port, timeout_ms, on_connected, owner);
    assert_int_equal(owner->error, 1); /* comes later, always */
    loop_run(owner->loop);
}

static void test_connects_and_tells_the_peer(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    peer_init(&peer, owner.loop, NULL);
    peer_listen(&peer);
    connect_to(&owner, "localhost", peer.port, 5000);
    assert_int_equal(owner.error, 0);
    char expected[32];
    char text[32];
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", (unsigned)peer.port);
    tcp_peer(owner.tcp, text, sizeof(text));
    assert_string_equal(text, expected);
    assert_ptr_equal(tcp_loop(owner.tcp), owner.loop);
    close(peer.listen_fd);
    owner_release(&owner);
    peer_release(&peer);
}

static void test_refused(void **state)
{
    (void)state;
    struct owner owner;
    struct peer peer;
    owner_init(&owner);
    peer_init(&peer, owner.loop, NULL);
    peer_listen(&peer);
    close(peer.listen_fd);
    connect_to(&owner, "127.0.0.1", peer.port, 5000);
    assert_int_equal(owner.error, -ECONNREFUSED);
    assert_non_null(strstr(owner.text, "Connection refused"));
    assert_int_equal(owner.closed, 1);
    owner_release(&owner);
    peer_release(&peer);
}

static void test_unknown_host(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    connect_to(&owner, "nowhere.invalid", 80, 5000);
    assert_true(owner.error == -EHOSTUNREACH || owner.error == -ETIMEDOUT);
    assert_non_null(strstr(owner.text, "nowhere.invalid:80: "));
    owner_release(&owner);
}

static void test_listener_whose_queue_is_full(void **state)
{
    (void)state;
    /* A backlog of 1 takes two connections; further ones get no answer at all. */
    struct owner owner;
    struct sockaddr_in address = peer_address(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    int filler = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(filler, (struct sockaddr *)&address, size), 0);
    owner_init(&owner);
    connect_to(&owner, "127.0.0.1", ntohs(address.sin_port), 100);
    assert_int_equal(owner.error, -ETIMEDOUT);
    assert_non_null(strstr(owner.text, "timed out"));
    close(filler);
    close(fd);
    owner_release(&owner);
}

static void test_destroyed_while_connecting(void **state)
{
    (void)state;
    struct owner owner;
    owner_init(&owner);
    struct tcp *tcp = tcp_connect(owner.loop, "localhost", 9, 5000, on_connected, &owner);
    assert_int_equal(tcp_send(tcp, "x", 1), 0);
    tcp_destroy(tcp);
    tcp_destroy(NULL);
    owner_release(&owner); /* the loop's last turns must not call on_connected */
    assert_int_equal(owner.closed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_receives_all_in_bounded_reads),
        cmocka_unit_test(test_sends_more_than_the_kernel_takes),
        cmocka_unit_test(test_goes_on_sending_after_a_half_close),
        cmocka_unit_test(test_reset_while_sending),
        cmocka_unit_test(test_destroyed_inside_on_data),
        cmocka_unit_test(test_port_in_use),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_no_descriptors_left),
        cmocka_unit_test(test_connects_and_tells_the_peer),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_unknown_host),
        cmocka_unit_test(test_listener_whose_queue_is_full),
        cmocka_unit_test(test_destroyed_while_connecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
