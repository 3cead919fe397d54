/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection that echoes moves between two threads' loops all the time, plain and with TLS, in
 * the middle of what it reads and sends: nothing may be lost, doubled or changed. ThreadSanitizer
 * has its say as well.
 */
#include "net/tcp.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tls_fixture_test.h"

#define TOTAL (3 << 20)
#define LEG 20000 /* bytes after which it moves on */

struct mover;

struct side {
    struct mover *mover;
    struct loop *loop;
    struct waker *waker;
    struct tcp *tcp; /* NULL: it is elsewhere */
    struct side *other;
};

/* What belongs to the connection goes with it: its owner is the thread that has the socket. */
struct mover {
    struct side sides[2];
    pthread_mutex_t lock; /* guards the four below */
    struct tcp_socket socket;
    struct side *target; /* whom the socket waits for; NULL: nobody */
    bool done;
    struct buffer out;
    size_t leg;
    unsigned moves;
    bool ended;
    bool move_first; /* before anything was read */
    int version;     /* of TLS; 0: plain */
    bool good;
    SSL_CTX *client;
};

static struct authority authority;

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority);
    authority_issue_good(&authority, "good");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

/* ---- the connection ---- */

static void move_on(struct side *side)
{
    struct mover *mover = side->mover;
    struct side *other = side->other;
    mover->leg = 0;
    mover->moves++;
    struct tcp_socket socket = tcp_detach(side->tcp);
    side->tcp = NULL;
    pthread_mutex_lock(&mover->lock);
    assert(mover->target == NULL);
    mover->socket = socket;
    mover->target = other;
    pthread_mutex_unlock(&mover->lock);
    waker_wake(other->waker); /* from here on it is the other's */
}

static void echo_more(void *context)
{
    struct side *side = context;
    struct mover *mover = side->mover;
    buffer_consume(&mover->out, tcp_send(side->tcp, mover->out.data, mover->out.size));
    if (mover->ended && mover->out.size == 0)
        tcp_shutdown(side->tcp);
}

static void on_data(void *context, char *data, size_t size)
{
    struct side *side = context;
    struct mover *mover = side->mover;
    buffer_append(&mover->out, data, size);
    echo_more(side);
    mover->leg += size;
    if (mover->leg > LEG)
        move_on(side);
}

/* Also moves while much is still to be sent. */
static void on_writable(void *context)
{
    struct side *side = context;
    struct mover *mover = side->mover;
    size_t before = mover->out.size;
    echo_more(side);
    mover->leg += before - mover->out.size;
    if (mover->leg > LEG)
        move_on(side);
}

static void on_closed(void *context, int error)
{
    struct side *side = context;
    assert(error == 0);
    side->mover->ended = true;
    echo_more(side);
}

static const struct tcp_callbacks callbacks = {
    .on_data = on_data, .on_writable = on_writable, .on_closed = on_closed};

static void take(struct side *side, struct tcp_socket socket)
{
    struct mover *mover = side->mover;
    side->tcp = tcp_attach(side->loop, socket);
    tcp_set_callbacks(side->tcp, &callbacks, side);
    if (mover->out.size > 0 || mover->ended)
        echo_more(side); /* the rest of a send that was cut short elsewhere */
}

static void on_wake(void *context)
{
    struct side *side = context;
    struct mover *mover = side->mover;
    pthread_mutex_lock(&mover->lock);
    bool mine = mover->target == side;
    bool done = mover->done;
    struct tcp_socket socket = mover->socket;
    if (mine)
        mover->target = NULL;
    pthread_mutex_unlock(&mover->lock);
    if (mine)
        take(side, socket);
    if (!done)
        return;
    tcp_destroy(side->tcp);
    side->tcp = NULL;
    loop_stop(side->loop);
}

static void on_accept(void *context, struct tcp *tcp)
{
    struct mover *mover = context;
    struct side *side = &mover->sides[0];
    side->tcp = tcp;
    tcp_set_send_buffer(tcp, 16384);
    tcp_set_callbacks(tcp, &callbacks, side);
    if (mover->move_first)
        move_on(side);
}

/* ---- the peer ---- */

static void talk_plainly(struct peer *peer, const char *data)
{
    peer_send(peer, data, TOTAL);
    shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer);
}

static void talk_tls(struct peer *peer, const char *data)
{
    const struct mover *mover = peer->context;
    SSL *ssl = peer_shake(peer, mover->client, NULL);
    if (ssl == NULL)
        return;
    peer_write(ssl, data, TOTAL);
    SSL_shutdown(ssl);
    peer_read_all(peer, ssl);
    SSL_free(ssl);
}

static void talk(struct peer *peer)
{
    struct mover *mover = peer->context;
    peer->keeps_running = true; /* the sides end their loops themselves */
    static char data[TOTAL];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 31 + i / 251);
    peer_connect(peer);
    if (mover->version == 0)
        talk_plainly(peer, data);
    else
        talk_tls(peer, data);
    pthread_mutex_lock(&mover->lock);
    mover->good = peer->seen.size == TOTAL && memcmp(peer->seen.data, data, TOTAL) == 0;
    mover->done = true;
    pthread_mutex_unlock(&mover->lock);
    waker_wake(mover->sides[0].waker);
    waker_wake(mover->sides[1].waker);
}

/* ---- running ---- */

static void *run_other(void *context)
{
    struct mover *mover = context;
    loop_run(mover->sides[1].loop);
    return NULL;
}

static void mover_init(struct mover *mover, int version)
{
    *mover = (struct mover){.version = version};
    pthread_mutex_init(&mover->lock, NULL);
    buffer_init(&mover->out, 64 << 20);
    mover->client = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(mover->client, version);
    for (size_t i = 0; i < 2; i++) {
        mover->sides[i] =
            (struct side){.mover = mover, .loop = loop_create(), .other = &mover->sides[1 - i]};
    }
}

static void mover_release(struct mover *mover)
{
    for (size_t i = 0; i < 2; i++) {
        waker_destroy(mover->sides[i].waker);
        loop_destroy(mover->sides[i].loop);
    }
    SSL_CTX_free(mover->client);
    buffer_release(&mover->out);
    pthread_mutex_destroy(&mover->lock);
}

static struct tcp_listener *listen_here(struct mover *mover, tcp_accept_fn *accepted)
{
    struct tcp_listener *listener = NULL;
    struct err err;
    assert_int_equal(
        tcp_listen(mover->sides[0].loop, "127.0.0.1:0", accepted, mover, &listener, &err), 0);
    if (mover->version != 0) {
        struct tls_context *context = server_context(&authority, "good", NULL);
        tcp_listener_set_tls(listener, context);
        tls_context_destroy(context);
    }
    return listener;
}

static void move_about(int version, bool move_first)
{
    struct mover mover;
    struct peer peer;
    pthread_t thread;
    mover_init(&mover, version);
    mover.move_first = move_first;
    struct tcp_listener *listener = listen_here(&mover, on_accept);
    peer_init(&peer, mover.sides[0].loop, talk);
    peer.context = &mover;
    peer.port = tcp_listener_port(listener);
    for (size_t i = 0; i < 2; i++)
        mover.sides[i].waker = waker_create_on(mover.sides[i].loop, on_wake, &mover.sides[i]);
    assert_int_equal(pthread_create(&thread, NULL, run_other, &mover), 0);
    peer_start(&peer);
    loop_run(mover.sides[0].loop);
    peer_join(&peer);
    pthread_join(thread, NULL);
    if (mover.target != NULL) /* it was on its way when the peer had all */
        tcp_socket_close(mover.socket);
    assert_false(peer.timed_out);
    assert_true(mover.good);
    assert_true(mover.moves > 20);
    tcp_listener_destroy(listener);
    mover_release(&mover);
    peer_release(&peer);
}

static void test_plain(void **state)
{
    (void)state;
    move_about(0, false);
    move_about(0, true);
}

static void test_tls(void **state)
{
    (void)state;
    move_about(TLS1_2_VERSION, false);
    move_about(TLS1_3_VERSION, false);
}

static void test_tls_before_the_handshake(void **state)
{
    (void)state;
    move_about(TLS1_2_VERSION, true);
    move_about(TLS1_3_VERSION, true);
}

/* ---- nobody wants it ---- */

static void close_detached(void *context, char *data, size_t size)
{
    struct side *side = context;
    (void)data;
    (void)size;
    tcp_socket_close(tcp_detach(side->tcp));
    side->tcp = NULL;
}

static void on_accept_close(void *context, struct tcp *tcp)
{
    static const struct tcp_callbacks closing = {.on_data = close_detached, .on_closed = on_closed};
    struct mover *mover = context;
    mover->sides[0].tcp = tcp;
    tcp_set_callbacks(tcp, &closing, &mover->sides[0]);
}

static void expect_the_end(struct peer *peer)
{
    struct mover *mover = peer->context;
    peer_connect(peer);
    if (mover->version == 0) {
        peer_send_text(peer, "x");
        peer_receive_all(peer);
        mover->good = true;
        return;
    }
    SSL *ssl = peer_shake(peer, mover->client, NULL);
    mover->good = ssl != NULL && peer_write(ssl, "x", 1) && peer_read_all(peer, ssl);
    SSL_free(ssl);
}

static void test_closed_between_loops(void **state)
{
    (void)state;
    static const int versions[] = {0, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < COUNT_OF(versions); i++) {
        struct mover mover;
        struct peer peer;
        mover_init(&mover, versions[i]);
        struct tcp_listener *listener = listen_here(&mover, on_accept_close);
        peer_init(&peer, mover.sides[0].loop, expect_the_end);
        peer.context = &mover;
        peer.port = tcp_listener_port(listener);
        peer_start(&peer);
        loop_run(mover.sides[0].loop);
        peer_join(&peer);
        assert_false(peer.timed_out);
        assert_true(mover.good);
        assert_null(mover.sides[0].tcp);
        tcp_listener_destroy(listener);
        mover_release(&mover);
        peer_release(&peer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_tls_before_the_handshake),
        cmocka_unit_test(test_closed_between_loops),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
