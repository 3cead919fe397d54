/* SPDX-License-Identifier: Apache-2.0 */
/* wss: whom a client trusts, whom it does not, and what it says then. */
#include "net/ws_client.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/http.h"
#include "net/tls_fixture_test.h"

#define MESSAGE_MAX (2 << 20)
#define BIG (1 << 20)
#define CLOSE_FRAME                                                                                \
    "\x88\x05\x0f\xa1"                                                                             \
    "bye"

/* A client that logs, and the server that it meets. */
struct scene {
    struct loop *loop;
    struct peer peer;
    struct ws_client *client;
    struct tls_context *trust; /* NULL: the system's */
    SSL_CTX *server;
    const char *host;
    const char *certificate; /* of the server */
    struct buffer log;
    size_t early; /* bytes that came before they could have */
    bool shaken;  /* the server's side of the handshake went well */
    bool polite;  /* the client said good-bye */
    char named[64];
};

static struct authority authority;

static void issue(const char *name, const char *hosts, long from_s, long until_s)
{
    authority_issue(&authority, &(struct leaf){.name = name,
                                               .hosts = hosts,
                                               .from_s = from_s,
                                               .until_s = until_s,
                                               .self_signed = strcmp(name, "self") == 0});
}

static int set_up(void **state)
{
    (void)state;
    authority_init(&authority);
    issue("good", LOCAL_HOSTS, -DAY_S, DAY_S);
    issue("wrong", "DNS:elsewhere.example,DNS:local*,IP:127.0.0.2", -DAY_S, DAY_S);
    issue("expired", LOCAL_HOSTS, -2 * DAY_S, -DAY_S);
    issue("future", LOCAL_HOSTS, DAY_S, 2 * DAY_S);
    issue("self", LOCAL_HOSTS, -DAY_S, DAY_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

/* ---- the client ---- */

static void on_open(void *context)
{
    struct scene *scene = context;
    buffer_append_text(&scene->log, "open ");
    static char big[BIG];
    memset(big, 'b', sizeof(big));
    assert_true(ws_client_send(scene->client, WS_TEXT, SLICE("hello")));
    assert_true(
        ws_client_send(scene->client, WS_BINARY, (struct slice){.data = big, .size = sizeof(big)}));
}

static void on_message(void *context, enum ws_opcode opcode, char *data, size_t size)
{
    struct scene *scene = context;
    if (size < 100)
        buffer_append_format(&scene->log, "%u:%s ", (unsigned)opcode, data);
    else
        buffer_append_format(&scene->log, "%u:%zu ", (unsigned)opcode, size);
}

static void on_closed(void *context, uint16_t code, const char *reason)
{
    struct scene *scene = context;
    buffer_append_format(&scene->log, "closed:%u:%s", (unsigned)code, reason);
    ws_client_destroy(scene->client);
    scene->client = NULL;
    loop_stop(scene->loop);
}

static const struct ws_client_callbacks callbacks = {
    .on_open = on_open, .on_message = on_message, .on_closed = on_closed};

/* ---- the server ---- */

static bool answer_handshake(struct peer *peer, SSL *ssl)
{
    char answer[200];
    char accept[WS_ACCEPT_SIZE + 1];
    while (strstr(peer->seen.data, "\r\n\r\n") == NULL)
        if (!peer_read_size(peer, ssl, peer->seen.size + 1))
            return false;
    const char *at = strstr(peer->seen.data, "Sec-WebSocket-Key: ");
    if (at == NULL)
        return false;
    ws_accept_for((struct slice){.data = at + 19, .size = WS_KEY_SIZE}, accept);
    snprintf(answer, sizeof(answer),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             accept);
    return peer_write(ssl, answer, strlen(answer));
}

/* The frames that the client sends when it is open: their sizes are known. */
#define FRAMES_SIZE ((2 + 4 + 5) + (10 + 4 + BIG))

static void serve_frames(struct peer *peer, SSL *ssl)
{
    static char message[10 + BIG] = "\x82\x7f\0\0\0\0\0\x10\0\0";
    size_t head = (size_t)(strstr(peer->seen.data, "\r\n\r\n") - peer->seen.data) + 4;
    if (!peer_write(ssl, "\x81\x02hi", 4) || !peer_write(ssl, message, sizeof(message)) ||
        !peer_read_size(peer, ssl, head + FRAMES_SIZE))
        return;
    peer_write(ssl, CLOSE_FRAME, 7);
}

static void serve(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer->keeps_running = true;
    peer_accept(peer);
    SSL *ssl = peer_shake(peer, scene->server, NULL);
    if (ssl == NULL)
        return;
    const char *named = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    snprintf(scene->named, sizeof(scene->named), "%s", named == NULL ? "-" : named);
    scene->shaken = true;
    if (answer_handshake(peer, ssl)) {
        serve_frames(peer, ssl);
        scene->polite = peer_read_all(peer, ssl);
    }
    SSL_free(ssl);
}

static void scene_init(struct scene *scene, const char *certificate)
{
    struct err err;
    char name[32];
    *scene = (struct scene){
        .loop = loop_create(), .host = "localhost", .server = SSL_CTX_new(TLS_server_method())};
    buffer_init(&scene->log, 1 << 20);
    snprintf(name, sizeof(name), "%s.pem", certificate);
    SSL_CTX_use_certificate_chain_file(scene->server, authority_path(&authority, name));
    snprintf(name, sizeof(name), "%s.key", certificate);
    SSL_CTX_use_PrivateKey_file(scene->server, authority_path(&authority, name), SSL_FILETYPE_PEM);
    assert_int_equal(
        tls_context_create_client(authority_path(&authority, "ca.pem"), &scene->trust, &err), 0);
}

static void scene_run(struct scene *scene, void (*run)(struct peer *peer))
{
    char url[64];
    struct err err = {.code = 0};
    peer_init(&scene->peer, scene->loop, run);
    scene->peer.context = scene;
    peer_listen(&scene->peer);
    peer_start(&scene->peer);
    snprintf(url, sizeof(url), "wss://%s:%u/", scene->host, (unsigned)scene->peer.port);
    const struct ws_client_options options = {.url = url,
                                              .tls = scene->trust,
                                              .message_max = MESSAGE_MAX,
                                              .queue_max = 4 * BIG,
                                              .connect_ms = 5000};
    if (ws_client_open(scene->loop, &options, &callbacks, scene, &scene->client, &err) != 0)
        fail_msg("%s", err.text);
    loop_run(scene->loop);
    peer_join(&scene->peer);
    assert_false(scene->peer.timed_out);
    assert_null(scene->client);
}

static void scene_release(struct scene *scene)
{
    tls_context_destroy(scene->trust);
    loop_destroy(scene->loop);
    SSL_CTX_free(scene->server);
    buffer_release(&scene->log);
    peer_release(&scene->peer);
}

/* ---- trusted ---- */

#define ALL_WELL "open 1:hi 2:1048576 closed:4001:bye"

static void test_trusted(void **state)
{
    (void)state;
    static const struct {
        const char *host, *named;
        int version;
    } cases[] = {
        {"localhost", "localhost", TLS1_3_VERSION},
        {"LOCALHOST", "LOCALHOST", TLS1_2_VERSION},
        {"127.0.0.1", "-", TLS1_3_VERSION}, /* an address is no name to ask for */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scene scene;
        scene_init(&scene, "good");
        scene.host = cases[i].host;
        SSL_CTX_set_max_proto_version(scene.server, cases[i].version);
        scene_run(&scene, serve);
        assert_string_equal(scene.log.data, ALL_WELL);
        assert_string_equal(scene.named, cases[i].named);
        assert_true(scene.polite);
        assert_non_null(strstr(scene.peer.seen.data, "GET / HTTP/1.1\r\nHost: "));
        scene_release(&scene);
    }
}

/* ---- not trusted ---- */

static void expect_refusal(const char *certificate, const char *host, const char *text)
{
    struct scene scene;
    char expected[200];
    scene_init(&scene, certificate);
    scene.host = host;
    scene_run(&scene, serve);
    snprintf(expected, sizeof(expected), "closed:1006:%s:%u: certificate verify failed: %s", host,
             (unsigned)scene.peer.port, text);
    assert_string_equal(scene.log.data, expected);
    assert_int_equal(scene.peer.seen.size, 0); /* nothing was said to it */
    scene_release(&scene);
}

static void test_not_trusted(void **state)
{
    (void)state;
    expect_refusal("wrong", "localhost", "hostname mismatch"); /* nor by half a wildcard */
    expect_refusal("wrong", "127.0.0.1", "IP address mismatch");
    expect_refusal("expired", "localhost", "certificate has expired");
    expect_refusal("future", "localhost", "certificate is not yet valid");
    expect_refusal("self", "localhost", "self-signed certificate");
}

static void test_system_does_not_trust_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, "good");
    tls_context_destroy(scene.trust);
    scene.trust = NULL;
    scene_run(&scene, serve);
    assert_non_null(
        strstr(scene.log.data, "certificate verify failed: unable to get local issuer"));
    scene_release(&scene);
}

/* ---- strange servers ---- */

static void serve_plainly(struct peer *peer)
{
    peer->keeps_running = true;
    peer_accept(peer);
    peer_send_text(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
    peer_receive_all(peer);
}

static void serve_nothing(struct peer *peer)
{
    char byte;
    peer->keeps_running = true;
    peer_accept(peer);
    (void)recv(peer->fd, &byte, 1, 0);
    shutdown(peer->fd, SHUT_RDWR);
}

static void serve_alert(struct peer *peer)
{
    peer->keeps_running = true;
    peer_accept(peer);
    peer_send(peer, "\x15\x03\x03\0\x02\x02\x28", 7); /* handshake_failure */
    peer_receive_all(peer);
}

static void expect_failure(void (*run)(struct peer *peer), const char *text)
{
    struct scene scene;
    char expected[200];
    scene_init(&scene, "good");
    scene_run(&scene, run);
    snprintf(expected, sizeof(expected), "closed:1006:localhost:%u: %s", (unsigned)scene.peer.port,
             text);
    assert_string_equal(scene.log.data, expected);
    scene_release(&scene);
}

static void test_strange_servers(void **state)
{
    (void)state;
    expect_failure(serve_plainly, "TLS failed: wrong version number");
    expect_failure(serve_alert, "TLS failed: sslv3 alert handshake failure");
    expect_failure(serve_nothing, "the peer closed during the TLS handshake");
}

static void test_old_server(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, "good");
    SSL_CTX_set_min_proto_version(scene.server, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(scene.server, TLS1_1_VERSION);
    SSL_CTX_set_security_level(scene.server, 0);
    scene_run(&scene, serve);
    assert_false(scene.shaken);
    assert_non_null(strstr(scene.log.data, "closed:1006:localhost:"));
    assert_non_null(strstr(scene.log.data, "TLS failed: "));
    scene_release(&scene);
}

/* ---- a ticket in pieces ---- */

static int add_to_ticket(SSL *ssl, void *context)
{
    static char data[3000] = "t";
    (void)context;
    return SSL_SESSION_set1_ticket_appdata(SSL_get0_session(ssl), data, sizeof(data));
}

static SSL_TICKET_RETURN accept_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t name_size, SSL_TICKET_STATUS status, void *context)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)name_size;
    (void)status;
    (void)context;
    return SSL_TICKET_RETURN_IGNORE;
}

/*
 * A ticket of several records, of which the client gets the first alone, in one packet with the
 * answer to its handshake: it then wants to send, and OpenSSL wants the ticket's rest before. Only
 * when nothing has come for a while the rest follows.
 */
static void serve_half_a_ticket(struct peer *peer)
{
    struct scene *scene = peer->context;
    char out[16384];
    peer->keeps_running = true;
    peer_accept(peer);
    SSL *ssl = peer_shake(peer, scene->server, NULL);
    BIO *memory = BIO_new(BIO_s_mem());
    if (ssl == NULL)
        return;
    SSL_set0_wbio(ssl, memory);
    if (!answer_handshake(peer, ssl))
        return;
    size_t seen = peer->seen.size;
    size_t first = BIO_ctrl_pending(memory) + 700; /* a record of 512 bytes, a part of the next */
    SSL_new_session_ticket(ssl);
    peer_write(ssl, "\x81\x02hi", 4); /* the ticket goes before it */
    int size = BIO_read(memory, out, sizeof(out));
    peer_send(peer, out, first);
    struct timeval wait = {.tv_usec = 300000};
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    while (peer_read_size(peer, ssl, peer->seen.size + 1)) {
    }
    scene->early = peer->seen.size - seen;
    peer_limit(peer->fd);
    peer_send(peer, out + first, (size_t)size - first);
    BIO *socket = BIO_new_socket(peer->fd, BIO_NOCLOSE);
    SSL_set0_wbio(ssl, socket);
    if (peer_read_size(peer, ssl, seen + FRAMES_SIZE))
        peer_write(ssl, CLOSE_FRAME, 7);
    peer_read_all(peer, ssl);
    SSL_free(ssl);
}

static void test_half_a_ticket(void **state)
{
    (void)state;
    struct scene scene;
    scene_init(&scene, "good");
    SSL_CTX_set_max_send_fragment(scene.server, 512);
    SSL_CTX_set_num_tickets(scene.server, 0);
    SSL_CTX_set_session_ticket_cb(scene.server, add_to_ticket, accept_ticket, NULL);
    scene_run(&scene, serve_half_a_ticket);
    assert_string_equal(scene.log.data, "open 1:hi closed:4001:bye");
    assert_int_equal(scene.early, 0); /* it did have to wait */
    scene_release(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trusted),
        cmocka_unit_test(test_not_trusted),
        cmocka_unit_test(test_system_does_not_trust_it),
        cmocka_unit_test(test_strange_servers),
        cmocka_unit_test(test_old_server),
        cmocka_unit_test(test_half_a_ticket),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
