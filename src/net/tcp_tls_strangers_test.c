/* SPDX-License-Identifier: Apache-2.0 */
/* Peers of a listener with TLS that leave in the middle, say nonsense, or speak something else. */
#include "net/tcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tcp_tls_fixture_test.h"

/* ---- cut anywhere ---- */

/* Sends what OpenSSL has written, byte by byte, `cut` bytes of it at most; false at the cut. */
static bool pump_out(struct peer *peer, SSL *ssl, size_t *sent, size_t cut)
{
    char byte;
    while (BIO_read(SSL_get_wbio(ssl), &byte, 1) == 1) {
        if (*sent == cut)
            return false;
        peer_send(peer, &byte, 1);
        (*sent)++;
    }
    return true;
}

static bool pump_in(struct peer *peer, SSL *ssl)
{
    char data[4096];
    ssize_t size = recv(peer->fd, data, sizeof(data), 0);
    if (size <= 0)
        return false;
    BIO_write(SSL_get_rbio(ssl), data, (int)size);
    return true;
}

/* Everything it sends goes byte by byte, and ends after `cut` bytes; returns how many those were.
 */
static size_t speak_cut(struct peer *peer, const struct scene *scene, size_t cut)
{
    size_t sent = 0;
    SSL *ssl = SSL_new(scene->client);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    bool going = true;
    while (going && SSL_do_handshake(ssl) != 1)
        going = pump_out(peer, ssl, &sent, cut) && pump_in(peer, ssl);
    size_t written;
    if (going && SSL_write_ex(ssl, "hello", 5, &written) == 1)
        going = pump_out(peer, ssl, &sent, cut);
    char data[5];
    size_t size = 0;
    while (going && SSL_read_ex(ssl, data, sizeof(data), &size) != 1)
        going = pump_in(peer, ssl);
    SSL_free(ssl);
    if (going)
        buffer_append(&peer->seen, data, size);
    return sent;
}

static void speak_byte_by_byte(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    scene->cut = speak_cut(peer, scene, SIZE_MAX);
    scene->good = strcmp(peer->seen.data, "hello") == 0;
}

static void leave_at_cut(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    scene->good = speak_cut(peer, scene, scene->cut) == scene->cut;
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct server server;
        struct scene scene;
        server_init(&server, &echo);
        scene_init(&scene);
        SSL_CTX_set_max_proto_version(scene.client, versions[i]);
        meet(&server, &scene, speak_byte_by_byte);
        run_until_closed(&server, 1);
        expect_results(1, 0, 0);
        size_t whole = scene.cut - 5 - 5 - 8 - 16; /* less the record, which TLS 1.2 has longest */
        unsigned count = 1;
        for (scene.cut = 1; scene.cut < whole - 16; scene.cut += 3) {
            meet(&server, &scene, leave_at_cut);
            run_until_closed(&server, ++count);
            assert_int_equal(server.error, -ECONNRESET);
        }
        assert_true(count > 50);
        expect_results(0, 0, count - 1);
        scene_release(&scene);
        server_release(&server);
    }
}

/* ---- what is no TLS ---- */

static void say_nothing(struct peer *peer)
{
    struct scene *scene = peer->context;
    scene->good = peer_connect(peer);
}

static void say_garbage(struct peer *peer)
{
    struct scene *scene = peer->context;
    char garbage[3000];
    pattern_fill(garbage, sizeof(garbage));
    garbage[0] = (char)scene->cut;
    peer_connect(peer);
    peer_send(peer, garbage, sizeof(garbage));
    peer_receive_all(peer);
    scene->good = true;
}

static void say_http(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    peer_send_text(peer, "GET /ws/info HTTP/1.1\r\nHost: localhost\r\n\r\n");
    peer_receive_all(peer);
    const char *seen = peer->seen.data;
    const char *length = strstr(seen, "Content-Length: ");
    const char *body = strstr(seen, "\r\n\r\n");
    scene->good = strncmp(seen, "HTTP/1.1 400 Bad Request\r\n", 26) == 0 && body != NULL &&
                  length != NULL && strtoul(length + 16, NULL, 10) == strlen(body + 4);
}

/* A record of 16 bytes that begins a hello of 100 000; the peer says no more. */
static void say_a_long_hello(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    peer_send(peer, "\x16\x03\x01\x00\x10\x01\x01\x86\xa0\x03\x03 0123456789", 21);
    peer_receive_all(peer);
    scene->good = true;
}

/* In records of 512 bytes at most, which is odd, but allowed. */
static void say_hello_in_records(struct peer *peer)
{
    struct scene *scene = peer->context;
    unsigned char protocols[909];
    for (size_t i = 0; i < 900; i += 9)
        memcpy(protocols + i, "\x08http/0.9", 9);
    memcpy(protocols + 900, "\x08http/1.1", 9);
    SSL_CTX_set_alpn_protos(scene->client, protocols, sizeof(protocols));
    SSL_CTX_set_max_send_fragment(scene->client, 512);
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    scene->good = ssl != NULL && peer_write(ssl, "x", 1) && peer_read_size(peer, ssl, 1);
    SSL_free(ssl);
}

static void test_sizes_of_hello(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &echo);
    scene_init(&scene);
    meet(&server, &scene, say_a_long_hello);
    run_until_closed(&server, 1);
    assert_int_equal(server.error, -EPROTO);
    expect_results(0, 0, 1);
    meet(&server, &scene, say_hello_in_records);
    run_until_closed(&server, 2);
    assert_int_equal(server.error, 0);
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

static void offer_http2_alone(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    SSL_CTX_set_alpn_protos(scene->client, (const unsigned char *)"\2h2", 3);
    scene->good = peer_shake(peer, scene->client, NULL) == NULL &&
                  ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL;
}

static void offer_old_tls(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    SSL_CTX_set_min_proto_version(scene->client, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(scene->client, TLS1_1_VERSION);
    SSL_CTX_set_security_level(scene->client, 0);
    scene->good = peer_shake(peer, scene->client, NULL) == NULL;
}

static void test_strangers_fail_alone(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &echo);
    scene_init(&scene);
    meet(&server, &scene, say_nothing);
    run_until_closed(&server, 1);
    expect_results(0, 0, 0); /* no handshake was begun */
    for (scene.cut = 0; scene.cut < 256; scene.cut += 11) {
        meet(&server, &scene, say_garbage);
        run_until_closed(&server, (unsigned)(scene.cut / 11) + 2);
        assert_int_equal(server.error, -EPROTO);
    }
    expect_results(0, 0, 24);
    meet(&server, &scene, say_http);
    meet(&server, &scene, offer_http2_alone);
    run_until_closed(&server, 27);
    assert_int_equal(server.error, -EPROTO);
    SSL_CTX_free(scene.client);
    scene_init(&scene);
    meet(&server, &scene, offer_old_tls);
    run_until_closed(&server, 28);
    expect_results(0, 0, 3);
    SSL_CTX_free(scene.client);
    scene_init(&scene);
    meet(&server, &scene, speak_byte_by_byte); /* and all goes on */
    run_until_closed(&server, 29);
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

/* ---- who makes us answer and does not read ---- */

static void start_little(struct link *link)
{
    tcp_set_send_buffer(link->tcp, 4096);
}

static void ask_for_new_keys(struct peer *peer)
{
    struct scene *scene = peer->context;
    SSL *ssl = connect_with_little_room(peer) ? peer_shake(peer, scene->client, NULL) : NULL;
    if (ssl == NULL)
        return;
    for (int i = 0; i < 100000 && !scene->good; i++) {
        SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
        scene->good = SSL_do_handshake(ssl) != 1; /* at last it is thrown out */
    }
    SSL_free(ssl);
}

static void test_answers_that_nobody_reads(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &echo);
    scene_init(&scene);
    server.on_accepted = start_little;
    meet(&server, &scene, ask_for_new_keys);
    run_until_closed(&server, 1);
    assert_int_equal(server.error, -ENOBUFS);
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

/* ---- we leave in the middle ---- */

static void begin_only(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    scene->good = speak_cut(peer, scene, 100) == 100;
    scene->cut = (size_t)peer->fd; /* stays open */
    peer->fd = -1;
}

static void test_destroyed_while_shaking_hands(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &echo);
    scene_init(&scene);
    meet(&server, &scene, begin_only);
    struct waker *waker = waker_create_on(server.loop, peer_on_wake, server.loop);
    for (int i = 0; i < 10; i++) { /* so that the bytes have been read */
        waker_wake(waker);
        loop_run(server.loop);
    }
    waker_destroy(waker);
    server_release(&server);
    expect_results(0, 0, 1);
    close((int)scene.cut);
    scene_release(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_strangers_fail_alone),
        cmocka_unit_test(test_sizes_of_hello),
        cmocka_unit_test(test_answers_that_nobody_reads),
        cmocka_unit_test(test_destroyed_while_shaking_hands),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
