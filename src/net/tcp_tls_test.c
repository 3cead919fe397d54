/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to a listener with TLS, against OpenSSL's client: good ones, odd ones, hostile ones.
 */
#include "net/tcp.h"

#include "base/memory.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tls_fixture_test.h"

#define BLOCK_MAX 40000
#define BLOCKS_TOTAL (12 << 20)
#define BIG (3 << 20)

struct server;

/* One connection to us. */
struct link {
    struct server *server;
    struct tcp *tcp;
    struct buffer out; /* to be echoed */
    unsigned block;
    bool ended;
};

struct server {
    struct loop *loop;
    struct tcp_listener *listener;
    const struct tcp_callbacks *callbacks;
    void (*on_accepted)(struct link *link); /* may be NULL */
    struct link *last;
    unsigned open;
    unsigned closed;
    unsigned awaited; /* number of ends at which the loop stops */
    bool timed_out;
    int error;            /* of the last that ended */
    struct buffer record; /* what the test's callbacks saw, or sent */
};

/* What a peer does with it, in its thread. */
struct scene {
    SSL_CTX *client;
    SSL_SESSION *session;
    int version;
    size_t cut;
    bool good; /* all was as it should */
    bool reused;
    uint64_t sum; /* of all that came */
    long serial;  /* of the server's certificate */
};

static struct authority authority;
static struct metric *results[3];

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority);
    authority_issue_good(&authority, "good");
    authority_issue_good(&authority, "other");
    results[0] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"ok\"");
    results[1] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"resumed\"");
    results[2] = metric_series(METRIC_TLS_HANDSHAKES, "result=\"failed\"");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

static void expect_results(int64_t ok, int64_t resumed, int64_t failed)
{
    static int64_t before[3];
    const int64_t expected[3] = {ok, resumed, failed};
    int64_t seen[3];
    for (size_t i = 0; i < 3; i++) {
        seen[i] = metric_value(results[i]) - before[i];
        before[i] += seen[i];
    }
    assert_memory_equal(seen, expected, sizeof(expected));
}

/* ---- the server ---- */

static void link_end(struct link *link)
{
    link->server->open--;
    if (link->server->last == link)
        link->server->last = NULL;
    tcp_destroy(link->tcp);
    buffer_release(&link->out);
    memory_free(link);
}

static void echo_more(void *context)
{
    struct link *link = context;
    buffer_consume(&link->out, tcp_send(link->tcp, link->out.data, link->out.size));
    if (link->ended && link->out.size == 0)
        link_end(link);
}

static void on_data_echo(void *context, char *data, size_t size)
{
    struct link *link = context;
    assert_int_equal(data[size], 0);
    for (size_t i = 0; i <= LIMIT_PADDING; i++) {
        volatile char readable = data[size + i];
        (void)readable;
    }
    buffer_append(&link->out, data, size);
    data[size - 1] = 'w'; /* writable */
    echo_more(link);
}

static void on_closed(void *context, int error)
{
    struct link *link = context;
    if (++link->server->closed == link->server->awaited)
        loop_stop(link->server->loop);
    link->server->error = error;
    link->ended = true;
    if (error != 0 || link->out.size == 0)
        link_end(link);
}

static const struct tcp_callbacks echo = {
    .on_data = on_data_echo, .on_writable = echo_more, .on_closed = on_closed};

static void on_accept(void *context, struct tcp *tcp)
{
    struct server *server = context;
    struct link *link = memory_alloc(sizeof(*link));
    link->server = server;
    link->tcp = tcp;
    buffer_init(&link->out, 64 << 20);
    server->open++;
    server->last = link;
    tcp_set_callbacks(tcp, server->callbacks, link);
    if (server->on_accepted != NULL)
        server->on_accepted(link);
}

static void server_init(struct server *server, const struct tcp_callbacks *callbacks)
{
    struct err err;
    *server = (struct server){.loop = loop_create(), .callbacks = callbacks};
    buffer_init(&server->record, 64 << 20);
    assert_int_equal(
        tcp_listen(server->loop, "127.0.0.1:0", on_accept, server, &server->listener, &err), 0);
    struct tls_context *context = server_context(&authority, "good", NULL);
    tcp_listener_set_tls(server->listener, context);
    tls_context_destroy(context);
}

static void server_release(struct server *server)
{
    if (server->last != NULL)
        link_end(server->last);
    assert_int_equal(server->open, 0);
    tcp_listener_destroy(server->listener);
    loop_destroy(server->loop);
    buffer_release(&server->record);
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.client = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_load_verify_file(scene->client, authority_path(&authority, "ca.pem"));
    SSL_CTX_set_verify(scene->client, SSL_VERIFY_PEER, NULL);
}

static void scene_release(struct scene *scene)
{
    SSL_SESSION_free(scene->session);
    SSL_CTX_free(scene->client);
}

/* One peer against it, until the peer ends. */
static void meet(struct server *server, struct scene *scene, void (*run)(struct peer *))
{
    struct peer peer;
    peer_init(&peer, server->loop, run);
    peer.context = scene;
    peer.port = tcp_listener_port(server->listener);
    scene->good = false;
    peer_start(&peer);
    loop_run(server->loop);
    peer_join(&peer);
    assert_false(peer.timed_out);
    assert_true(scene->good);
    peer_release(&peer);
}

static void give_up(void *context)
{
    struct server *server = context;
    server->timed_out = true;
    loop_stop(server->loop);
}

/* The other side may be told of the end only after the peer has gone. */
static void run_until_closed(struct server *server, unsigned closed)
{
    struct timer *timer = timer_create_on(server->loop, give_up, server);
    timer_start(timer, PEER_WAIT_S * 1000, 0);
    server->awaited = closed;
    while (server->closed < closed && !server->timed_out)
        loop_run(server->loop);
    timer_destroy(timer);
    assert_int_equal(server->closed, closed);
}

/* ---- what is said arrives ---- */

static void pattern_fill(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 31 + i / 251);
}

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
    peer_connect(peer);
    SSL *ssl = peer_shake(peer, scene->client, NULL);
    if (ssl == NULL)
        return;
    scene->good = peer_read_all(peer, ssl);
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
    for (int i = 0; i < 10; i++) { /* so that the bytes have been read */
        loop_wake(server.loop);
        loop_run(server.loop);
    }
    server_release(&server);
    expect_results(0, 0, 1);
    close((int)scene.cut);
    scene_release(&scene);
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
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_strangers_fail_alone),
        cmocka_unit_test(test_other_bytes_after_a_short_send),
        cmocka_unit_test(test_paused_while_shaking_hands),
        cmocka_unit_test(test_end_is_told_after_a_pause),
        cmocka_unit_test(test_destroyed_inside_callbacks),
        cmocka_unit_test(test_destroyed_while_shaking_hands),
        cmocka_unit_test(test_resumption_and_reload),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
