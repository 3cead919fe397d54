/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to a listener with TLS, against OpenSSL's client: what is said arrives, whatever the
 * kernel takes, and ends are told. */
#include "net/tcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tcp_tls_fixture_test.h"

#define BLOCK_MAX 40000
#define BLOCKS_TOTAL (4 << 20)
#define BIG (3 << 20)

/* ---- what is said arrives ---- */

static void talk(struct peer *peer)
{
    struct scene *scene = peer->context;
    const unsigned char *protocol;
    unsigned size;
    static char data[BIG];
    pattern_fill(data, sizeof(data));
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    SSL_get0_alpn_selected(ssl, &protocol, &size);
    bool right = size == 8 && memcmp(protocol, "http/1.1", 8) == 0;
    right = right && SSL_version(ssl) == scene->version;
    for (size_t i = 0; i < 1000; i++) /* many small records, then one large message */
        right = right && peer_write(ssl, data + i * 10, 10);
    right = right && peer_write(ssl, data + 10000, sizeof(data) - 10000);
    right = right && peer_read_size(peer, ssl, sizeof(data));
    SSL_shutdown(ssl);
    right = right && peer_read_all(peer, ssl); /* ends with close_notify */
    scene->good = right && memcmp(peer->seen.data, data, sizeof(data)) == 0;
    SSL_free(ssl);
}

static void test_both_versions(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct server server;
        struct scene scene;
        server_init(&server, &echo);
        scene_init(&scene);
        scene.version = versions[i];
        SSL_CTX_set_max_proto_version(scene.client, versions[i]);
        SSL_CTX_set_alpn_protos(scene.client, (const unsigned char *)"\2h2\10http/1.1", 12);
        meet(&server, &scene, talk);
        run_until_closed(&server, 1);
        assert_int_equal(server.error, 0);
        expect_results(1, 0, 0);
        scene_release(&scene);
        server_release(&server);
    }
}

static void speak_in_bytes(struct peer *peer)
{
    struct scene *scene = peer->context;
    char data[3000];
    pattern_fill(data, sizeof(data));
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    bool right = true;
    for (size_t i = 0; i < sizeof(data); i++) /* a record each */
        right = right && peer_write(ssl, data + i, 1);
    right = right && peer_read_size(peer, ssl, sizeof(data));
    scene->good = right && memcmp(peer->seen.data, data, sizeof(data)) == 0;
    SSL_free(ssl);
}

static void test_records_of_one_byte(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &echo);
    scene_init(&scene);
    meet(&server, &scene, speak_in_bytes);
    run_until_closed(&server, 1);
    assert_int_equal(server.error, 0); /* it went without close_notify: as good as with it */
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

/* ---- short sends ---- */

/* Each call brings other bytes than the one before, however much of that was taken. */
static void send_blocks(void *context)
{
    struct link *link = context;
    struct buffer *taken = &link->server->record;
    char block[BLOCK_MAX];
    while (taken->size < BLOCKS_TOTAL) {
        link->block++;
        size_t size = 1 + link->block * 7919 % BLOCK_MAX;
        memset(block, (int)(link->block % 251), size);
        size_t sent = tcp_send(link->tcp, block, size);
        buffer_append(taken, block, sent);
        memset(block, 0, size); /* nobody may look at it later */
        if (sent < size)
            return;
    }
    tcp_shutdown(link->tcp);
}

static void start_blocks(struct link *link)
{
    tcp_set_send_buffer(link->tcp, 4096);
    send_blocks(link); /* takes nothing yet, and calls again */
    assert_int_equal(link->server->record.size, 0);
}

static const struct tcp_callbacks blocks = {
    .on_data = on_data_echo, .on_writable = send_blocks, .on_closed = on_closed};

/* One that knows places. */
static uint64_t sum_of(const struct buffer *bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes->size; i++)
        sum = sum * 31 + (unsigned char)bytes->data[i];
    return sum;
}

static void read_to_the_end(struct peer *peer)
{
    struct scene *scene = peer->context;
    char byte;
    SSL *ssl = connect_with_little_room(peer) ? peer_shake(peer, scene->client, NULL) : NULL;
    if (ssl == NULL)
        return;
    scene->good = peer_read_all(peer, ssl) && recv(peer->fd, &byte, 1, 0) == 0;
    SSL_free(ssl);
    scene->cut = peer->seen.size;
    scene->sum = sum_of(&peer->seen);
}

static void test_other_bytes_after_a_short_send(void **state)
{
    (void)state;
    struct server server;
    struct scene scene;
    server_init(&server, &blocks);
    scene_init(&scene);
    server.on_accepted = start_blocks;
    meet(&server, &scene, read_to_the_end);
    assert_true(server.record.size >= BLOCKS_TOTAL);
    assert_int_equal(scene.cut, server.record.size);
    assert_int_equal(scene.sum, sum_of(&server.record));
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

static void on_data_fill(void *context, char *data, size_t size)
{
    struct link *link = context;
    (void)data;
    (void)size;
    static const char block[BLOCK_MAX] = "x";
    size_t sent;
    do {
        sent = tcp_send(link->tcp, block, sizeof(block));
        buffer_append(&link->server->record, block, sent);
    } while (sent == sizeof(block));
    tcp_shutdown(link->tcp);
}

static void ask_and_read(struct peer *peer)
{
    struct scene *scene = peer->context;
    char byte;
    SSL *ssl = connect_with_little_room(peer) ? peer_shake(peer, scene->client, NULL) : NULL;
    if (ssl == NULL)
        return;
    bool right = peer_write(ssl, "x", 1) && peer_read_all(peer, ssl);
    scene->good = right && recv(peer->fd, &byte, 1, 0) == 0;
    SSL_free(ssl);
    scene->sum = sum_of(&peer->seen);
}

static void test_shutdown_behind_what_waits(void **state)
{
    (void)state;
    static const struct tcp_callbacks callbacks = {.on_data = on_data_fill, .on_closed = on_closed};
    struct server server;
    struct scene scene;
    server_init(&server, &callbacks);
    scene_init(&scene);
    meet(&server, &scene, ask_and_read);
    assert_true(server.record.size > BLOCK_MAX);
    assert_int_equal(scene.sum, sum_of(&server.record));
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

/* ---- pauses and ends ---- */

static void on_data_record(void *context, char *data, size_t size)
{
    struct link *link = context;
    buffer_append(&link->server->record, data, size);
}

static void send_early(void *context)
{
    struct link *link = context;
    assert_int_equal(link->server->record.size, 0); /* it is paused */
    assert_int_equal(tcp_send(link->tcp, "early", 5), 5);
    tcp_read_pause(link->tcp, false);
}

static void start_paused(struct link *link)
{
    tcp_read_pause(link->tcp, true);
    assert_int_equal(tcp_send(link->tcp, "early", 5), 0);
}

static void speak_at_once(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    scene->good = peer_write(ssl, "late", 4) && peer_read_size(peer, ssl, 5) &&
                  strcmp(peer->seen.data, "early") == 0;
    SSL_shutdown(ssl);
    SSL_free(ssl);
}

static void test_paused_while_shaking_hands(void **state)
{
    (void)state;
    static const struct tcp_callbacks callbacks = {
        .on_data = on_data_record, .on_writable = send_early, .on_closed = on_closed};
    struct server server;
    struct scene scene;
    server_init(&server, &callbacks);
    scene_init(&scene);
    server.on_accepted = start_paused;
    meet(&server, &scene, speak_at_once);
    run_until_closed(&server, 1);
    assert_string_equal(server.record.data, "late");
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

static void on_data_pause(void *context, char *data, size_t size)
{
    struct link *link = context;
    on_data_record(context, data, size);
    tcp_read_pause(link->tcp, true);
}

/* Says all and good-bye at once, and does not close. */
static void speak_and_stay(struct peer *peer)
{
    struct scene *scene = peer->context;
    char out[4096];
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    BIO *memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(ssl, memory);
    scene->good = peer_write(ssl, "all", 3);
    SSL_shutdown(ssl);
    int size = BIO_read(memory, out, sizeof(out));
    peer_send(peer, out, (size_t)size);
    SSL_free(ssl);
    peer_receive_all(peer); /* until the server has ended it */
}

static void stop_pause(void *context)
{
    struct server *server = context;
    assert_int_equal(server->closed, 0); /* not while it is paused */
    tcp_read_pause(server->last->tcp, false);
}

static void test_end_is_told_after_a_pause(void **state)
{
    (void)state;
    static const struct tcp_callbacks callbacks = {.on_data = on_data_pause,
                                                   .on_closed = on_closed};
    struct server server;
    struct scene scene;
    server_init(&server, &callbacks);
    scene_init(&scene);
    struct timer *timer = timer_create_on(server.loop, stop_pause, &server);
    timer_start(timer, 200, 0);
    meet(&server, &scene, speak_and_stay);
    assert_int_equal(server.closed, 1);
    assert_int_equal(server.error, 0);
    assert_string_equal(server.record.data, "all");
    timer_destroy(timer);
    expect_results(1, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

static void on_writable_destroy(void *context)
{
    link_end(context);
}

static void on_data_destroy(void *context, char *data, size_t size)
{
    (void)data;
    (void)size;
    link_end(context);
}

static void speak_once(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    scene->good = peer_write(ssl, "all", 3) && peer_read_all(peer, ssl); /* close_notify comes */
    SSL_free(ssl);
}

static void test_destroyed_inside_callbacks(void **state)
{
    (void)state;
    static const struct tcp_callbacks in_data = {.on_data = on_data_destroy,
                                                 .on_closed = on_closed};
    static const struct tcp_callbacks in_writable = {
        .on_data = on_data_record, .on_writable = on_writable_destroy, .on_closed = on_closed};
    struct server server;
    struct scene scene;
    scene_init(&scene);
    server_init(&server, &in_data);
    meet(&server, &scene, speak_once);
    assert_int_equal(server.closed, 0);
    server_release(&server);
    server_init(&server, &in_writable);
    server.on_accepted = start_paused;
    meet(&server, &scene, speak_once);
    assert_int_equal(server.closed, 0);
    expect_results(2, 0, 0);
    scene_release(&scene);
    server_release(&server);
}

/* ---- sessions and certificates ---- */

static void resume(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, scene->session);
    if (ssl == NULL)
        return;
    scene->good = peer_write(ssl, "x", 1) && peer_read_size(peer, ssl, 1); /* tickets come before */
    scene->reused = SSL_session_reused(ssl) == 1;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    scene->serial = ASN1_INTEGER_get(X509_get0_serialNumber(certificate));
    X509_free(certificate);
    SSL_SESSION_free(scene->session);
    scene->session = SSL_get1_session(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
}

static void reload(struct server *server, const char *name, const struct tls_context *previous)
{
    struct tls_context *context = server_context(&authority, name, previous);
    tcp_listener_set_tls(server->listener, context);
    tls_context_destroy(context);
}

static void expect_resumed(struct server *server, struct scene *scene, bool reused)
{
    meet(server, scene, resume);
    assert_int_equal(scene->reused, reused);
    expect_results(!reused, reused, 0);
}

static void test_resumption_and_reload(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct server server;
        struct scene scene;
        server_init(&server, &echo);
        scene_init(&scene);
        SSL_CTX_set_max_proto_version(scene.client, versions[i]);
        struct tls_context *first = server_context(&authority, "good", NULL);
        tcp_listener_set_tls(server.listener, first);
        expect_resumed(&server, &scene, false);
        long serial = scene.serial;
        expect_resumed(&server, &scene, true);
        reload(&server, "other", first); /* the tickets' keys are kept */
        expect_resumed(&server, &scene, true);
        SSL_SESSION_free(scene.session);
        scene.session = NULL;
        expect_resumed(&server, &scene, false);
        assert_int_not_equal(scene.serial, serial); /* it is the other certificate */
        reload(&server, "other", NULL);
        expect_resumed(&server, &scene, false);
        run_until_closed(&server, 5);
        tls_context_destroy(first);
        scene_release(&scene);
        server_release(&server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_versions),
        cmocka_unit_test(test_records_of_one_byte),
        cmocka_unit_test(test_other_bytes_after_a_short_send),
        cmocka_unit_test(test_shutdown_behind_what_waits),
        cmocka_unit_test(test_paused_while_shaking_hands),
        cmocka_unit_test(test_end_is_told_after_a_pause),
        cmocka_unit_test(test_destroyed_inside_callbacks),
        cmocka_unit_test(test_resumption_and_reload),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
