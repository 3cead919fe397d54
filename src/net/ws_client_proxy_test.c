/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Through a proxy: the peer is the proxy, with TLS or not, and at the end of its tunnel it is the
 * host as well, whose name nobody can look up, with TLS or not.
 */
#include "net/ws_client.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/http.h"
#include "net/tls_fixture_test.h"

#define BIG (1 << 20)
#define HEAD_MAX 4096
#define CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"
#define ALL_WELL "open 1:hi 2:1048576 closed:4001:bye"

struct scene {
    struct loop *loop;
    struct peer peer;
    struct ws_client *client;
    struct tls_context *trust;
    struct buffer log;
    struct ws_client_refusal refusal;
    /* what is to be */
    bool proxy_tls, host_tls;
    const char *user;       /* "user:password@" */
    const char *answer;     /* of the proxy */
    const char *refuse;     /* of the host, instead of a handshake */
    const char *proxy_file; /* certificates */
    const char *host_file;
    bool byte_by_byte;
    bool no_listener;
    bool speaks_first; /* `refuse` comes in one record of the proxy's with the last of the handshake
                        */
    uint32_t connect_ms;
    /* what the peer saw */
    char connect_head[HEAD_MAX];
    char request_head[HEAD_MAX];
    char named[64];
    size_t sent_size; /* by the client, in frames */
};

static struct authority authority;

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's good-byes to a client that has gone */
    authority_init(&authority);
    static const struct leaf leaves[] = {
        {.name = "good", .hosts = "IP:127.0.0.1", .from_s = -DAY_S, .until_s = DAY_S},
        {.name = "other", .hosts = "DNS:exchange.test", .from_s = -DAY_S, .until_s = DAY_S},
    };
    authority_issue(&authority, &leaves[0]);
    authority_issue(&authority, &leaves[1]);
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
    static char big[BIG];
    buffer_append_text(&scene->log, "open ");
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
    ws_client_refused(scene->client, &scene->refusal);
    ws_client_destroy(scene->client);
    scene->client = NULL;
    loop_stop(scene->loop);
}

static const struct ws_client_callbacks callbacks = {
    .on_open = on_open, .on_message = on_message, .on_closed = on_closed};

/* ---- the proxy and the host, in their thread ---- */

static SSL *make_server(const char *file, int version_max)
{
    char name[32];
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(context, version_max);
    snprintf(name, sizeof(name), "%s.pem", file);
    SSL_CTX_use_certificate_chain_file(context, authority_path(&authority, name));
    snprintf(name, sizeof(name), "%s.key", file);
    SSL_CTX_use_PrivateKey_file(context, authority_path(&authority, name), SSL_FILETYPE_PEM);
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    return ssl;
}

static BIO *secure(BIO *below, const char *file, char *ret_named, size_t named_size)
{
    SSL *ssl = make_server(file, 0);
    SSL_set_bio(ssl, below, below);
    if (SSL_accept(ssl) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    const char *named = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (ret_named != NULL)
        snprintf(ret_named, named_size, "%s", named == NULL ? "-" : named);
    BIO *bio = BIO_new(BIO_f_ssl());
    BIO_set_ssl(bio, ssl, BIO_CLOSE);
    return bio;
}

static bool read_head(BIO *bio, char head[HEAD_MAX])
{
    size_t size = 0;
    while (size + 1 < HEAD_MAX && strstr(head, "\r\n\r\n") == NULL) {
        if (BIO_read(bio, head + size, 1) != 1)
            return false;
        head[++size] = '\0';
    }
    return true;
}

static bool write_all(const struct scene *scene, BIO *bio, const char *data, size_t size)
{
    size_t step = scene->byte_by_byte ? 1 : size;
    for (size_t at = 0; at < size; at += step)
        if (BIO_write(bio, data + at, (int)step) != (int)step)
            return false;
    return true;
}

static void be_the_host(struct scene *scene, BIO *bio)
{
    static char message[10 + BIG] = "\x82\x7f\0\0\0\0\0\x10\0\0";
    static char data[65536];
    char answer[200];
    char accept[WS_ACCEPT_SIZE + 1];
    if (!read_head(bio, scene->request_head))
        return;
    const char *key = strstr(scene->request_head, "Sec-WebSocket-Key: ");
    if (scene->refuse != NULL) {
        BIO_puts(bio, scene->refuse);
        return;
    }
    ws_accept_for((struct slice){.data = key + 19, .size = WS_KEY_SIZE}, accept);
    snprintf(answer, sizeof(answer),
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n\x81\x02hi",
             accept);
    if (!write_all(scene, bio, answer, strlen(answer)) ||
        BIO_write(bio, message, sizeof(message)) != sizeof(message))
        return;
    while (scene->sent_size < 14 + BIG) {
        int size = BIO_read(bio, data, sizeof(data));
        if (size <= 0)
            return;
        scene->sent_size += (size_t)size;
    }
    BIO_write(bio,
              "\x88\x05\x0f\xa1"
              "bye",
              7);
    while (BIO_read(bio, data, sizeof(data)) > 0) { /* until the client has gone */
    }
}

/* In TLS 1.2 the server has the last word of the handshake. */
static void speak_first(const struct scene *scene, BIO *bio)
{
    char data[16384];
    SSL *ssl = make_server(scene->host_file, TLS1_2_VERSION);
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl, in, out);
    int size = 1;
    for (int done = 0; done != 1 && size > 0;) {
        done = SSL_accept(ssl);
        if (done == 1)
            SSL_write(ssl, scene->refuse, (int)strlen(scene->refuse));
        size = BIO_read(out, data, sizeof(data));
        if (size > 0)
            BIO_write(bio, data, size);
        if (done != 1)
            size = BIO_read(bio, data, sizeof(data));
        if (done != 1 && size > 0)
            BIO_write(in, data, size);
    }
    while (BIO_read(bio, data, sizeof(data)) > 0) { /* until the client has gone */
    }
    SSL_free(ssl);
}

static BIO *be_the_proxy(struct scene *scene, BIO *bio)
{
    char rest[100];
    if (!read_head(bio, scene->connect_head) || scene->answer == NULL ||
        !write_all(scene, bio, scene->answer, strlen(scene->answer))) {
        (void)BIO_read(bio, rest, sizeof(rest)); /* until the client has gone */
        return bio;
    }
    (void)BIO_flush(bio);
    if (strncmp(scene->answer, "HTTP/1.1 200", 12) != 0 || strlen(scene->answer) < 16)
        return bio;
    if (scene->speaks_first) {
        speak_first(scene, bio);
        return bio;
    }
    if (scene->host_tls)
        bio = secure(bio, scene->host_file, scene->named, sizeof(scene->named));
    if (bio != NULL)
        be_the_host(scene, bio);
    return bio;
}

static void serve(struct peer *peer)
{
    struct scene *scene = peer->context;
    peer->keeps_running = true;
    peer_accept(peer);
    BIO *bio = BIO_new_socket(peer->fd, BIO_NOCLOSE);
    if (scene->proxy_tls)
        bio = secure(bio, scene->proxy_file, NULL, 0);
    if (bio != NULL)
        bio = be_the_proxy(scene, bio);
    BIO_free_all(bio);
    shutdown(peer->fd, SHUT_WR);
    peer_receive_all(peer); /* a close over unread bytes would be a reset */
}

/* ---- running ---- */

static struct scene scene_of(bool proxy_tls, bool host_tls)
{
    return (struct scene){.proxy_tls = proxy_tls,
                          .host_tls = host_tls,
                          .user = "",
                          .answer = CONNECTED,
                          .proxy_file = "good",
                          .host_file = "other",
                          .connect_ms = 5000};
}

/* The log must begin with what is expected; %u in it is the proxy's port. */
static void scene_run(struct scene *scene, const char *expected)
{
    char url[200];
    char text[300];
    struct proxy *proxy = NULL;
    struct err err = {.code = 0};
    scene->loop = loop_create();
    buffer_init(&scene->log, 1 << 20);
    assert_int_equal(
        tls_context_create_client(authority_path(&authority, "ca.pem"), &scene->trust, &err), 0);
    peer_init(&scene->peer, scene->loop, serve);
    scene->peer.context = scene;
    peer_listen(&scene->peer);
    if (scene->no_listener)
        close(scene->peer.listen_fd);
    else
        peer_start(&scene->peer);
    snprintf(url, sizeof(url), "http%s://%s127.0.0.1:%u", scene->proxy_tls ? "s" : "", scene->user,
             (unsigned)scene->peer.port);
    assert_int_equal(proxy_create(url, NULL, &proxy, &err), 0);
    const struct ws_client_options options = {
        .url = scene->host_tls ? "wss://exchange.test/path?q=1" : "ws://exchange.test:9000/path",
        .tls = scene->trust,
        .message_max = 2 * BIG,
        .queue_max = 4 * BIG,
        .connect_ms = scene->connect_ms,
        .proxy = proxy};
    assert_int_equal(ws_client_open(scene->loop, &options, &callbacks, scene, &scene->client, &err),
                     0);
    loop_run(scene->loop);
    if (!scene->no_listener)
        peer_join(&scene->peer);
    assert_false(scene->peer.timed_out);
    const char *at = strstr(expected, "%u");
    snprintf(text, sizeof(text), "%.*s", at == NULL ? 250 : (int)(at - expected), expected);
    if (at != NULL)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u%s",
                 (unsigned)scene->peer.port, at + 2);
    if (strncmp(scene->log.data, text, strlen(text)) != 0)
        fail_msg("%s\nand not\n%s", scene->log.data, text);
    assert_null(strstr(scene->log.data, "hunter2"));
    tls_context_destroy(scene->trust);
    loop_destroy(scene->loop);
    proxy_destroy(proxy);
    buffer_release(&scene->log);
    peer_release(&scene->peer);
}

/* ---- good ones ---- */

static void test_plain(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct scene scene = scene_of(false, false);
        scene.byte_by_byte = round == 1;
        scene_run(&scene, ALL_WELL);
        assert_string_equal(scene.connect_head,
                            "CONNECT exchange.test:9000 HTTP/1.1\r\n"
                            "Host: exchange.test:9000\r\n"
                            "User-Agent: tickwire/" TICKWIRE_VERSION "\r\n\r\n");
        assert_non_null(strstr(scene.request_head, "GET /path HTTP/1.1\r\n"
                                                   "Host: exchange.test:9000\r\n"));
        assert_null(strcasestr(scene.request_head, "Origin:"));
        assert_null(strcasestr(scene.request_head, "Proxy-"));
        assert_int_equal(scene.refusal.status, 0);
        assert_int_equal(scene.refusal.retry_after_s, -1);
    }
}

static void test_with_a_user(void **state)
{
    (void)state;
    struct scene scene = scene_of(false, true);
    scene.user = "user:hunter2@";
    scene_run(&scene, ALL_WELL);
    assert_non_null(strstr(scene.connect_head, "CONNECT exchange.test:443 HTTP/1.1\r\n"));
    assert_non_null(
        strstr(scene.connect_head, "\r\nProxy-Authorization: Basic dXNlcjpodW50ZXIy\r\n"));
    assert_null(strcasestr(scene.request_head, "Authorization"));
    assert_null(strcasestr(scene.request_head, "Origin:"));
    assert_string_equal(scene.named, "exchange.test");
}

static void test_answer_with_fields(void **state)
{
    (void)state;
    struct scene scene = scene_of(false, true);
    scene.answer = "HTTP/1.1 200 OK\r\nVia: 1.1 p\r\nContent-Length: 0\r\n\r\n";
    scene_run(&scene, ALL_WELL);
}

static void test_proxy_with_tls(void **state)
{
    (void)state;
    struct scene scene = scene_of(true, false);
    scene_run(&scene, ALL_WELL);
}

/* Bytes of the inner TLS come in records of the outer one of one byte each, for a while. */
static void test_tls_inside_tls(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct scene scene = scene_of(true, true);
        scene.byte_by_byte = round == 1;
        scene_run(&scene, ALL_WELL);
        assert_string_equal(scene.named, "exchange.test");
        assert_int_equal(scene.sent_size, 14 + BIG);
    }
}

/* Then nothing is in the kernel that could wake the client. */
static void test_data_with_the_end_of_a_handshake(void **state)
{
    (void)state;
    struct scene scene = scene_of(true, true);
    scene.speaks_first = true;
    scene.refuse = "HTTP/1.1 418 Teapot\r\n\r\n";
    scene_run(&scene, "closed:1006:HTTP 418 instead of a WebSocket");
}

/* ---- refusals ---- */

static void expect_refusal(const char *answer, const char *user, const char *expected,
                           unsigned status, int64_t retry_after_s)
{
    struct scene scene = scene_of(false, true);
    scene.answer = answer;
    scene.user = user;
    scene_run(&scene, expected);
    assert_int_equal(scene.refusal.status, status);
    assert_int_equal(scene.refusal.retry_after_s, retry_after_s);
    assert_int_equal(scene.refusal.proxy, status != 0);
}

static void test_refusals(void **state)
{
    (void)state;
#define BASIC                                                                                      \
    "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n"
    expect_refusal(BASIC, "",
                   "closed:1006:proxy http://127.0.0.1:%u answered 407: it wants a user and a "
                   "password, and its URL has none",
                   407, -1);
    expect_refusal(BASIC, "user:hunter2@",
                   "closed:1006:proxy http://127.0.0.1:%u answered 407: it does not take this user "
                   "and password",
                   407, -1);
    expect_refusal("HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n",
                   "user:hunter2@",
                   "closed:1006:proxy http://127.0.0.1:%u answered 401: it does not take this user "
                   "and password",
                   401, -1);
    expect_refusal("HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\n\r\n", "",
                   "closed:1006:proxy http://127.0.0.1:%u answered 407: it wants to know who we "
                   "are by \"Negotiate\", and only Basic",
                   407, -1);
    expect_refusal("HTTP/1.1 403 Filtered\r\nContent-Length: 3\r\n\r\nno\n", "",
                   "closed:1006:proxy http://127.0.0.1:%u answered 403 Forbidden to CONNECT "
                   "exchange.test:443",
                   403, -1);
    expect_refusal("HTTP/1.1 503 x\r\nRetry-After: 30\r\n\r\n", "",
                   "closed:1006:proxy http://127.0.0.1:%u answered 503 Service Unavailable", 503,
                   30);
    expect_refusal("220 smtp.example ESMTP\r\n\r\n", "",
                   "closed:1006:proxy http://127.0.0.1:%u did not answer in HTTP: ", 0, -1);
    expect_refusal("HTTP/1.1 2", "",
                   "closed:1006:proxy http://127.0.0.1:%u closed the connection without an answer "
                   "to CONNECT",
                   0, -1);
    expect_refusal(CONNECTED "SSH-2.0-x\r\n", "",
                   "closed:1006:exchange.test:443, through proxy http://127.0.0.1:%u: 11 bytes "
                   "came out of the proxy's tunnel before TLS began",
                   0, -1);
}

static void test_what_comes_early_is_the_hosts(void **state)
{
    (void)state;
    struct scene scene = scene_of(false, false);
    scene.answer = CONNECTED "HTTP/1.1 418 Teapot\r\nRetry-After: 7\r\n\r\n";
    scene_run(&scene, "closed:1006:HTTP 418 instead of a WebSocket");
    assert_int_equal(scene.refusal.status, 418);
    assert_int_equal(scene.refusal.retry_after_s, 7);
    assert_false(scene.refusal.proxy);
}

static void test_refused_by_the_host(void **state)
{
    (void)state;
    struct scene scene = scene_of(true, true);
    scene.refuse = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\n\r\n";
    scene_run(&scene, "closed:1006:HTTP 429 instead of a WebSocket");
    assert_int_equal(scene.refusal.status, 429);
    assert_int_equal(scene.refusal.retry_after_s, 120);
    assert_false(scene.refusal.proxy);
}

static void test_endless_head(void **state)
{
    (void)state;
    static char endless[LIMIT_HTTP_HEAD + 100] = "HTTP/1.1 200 OK\r\nX: ";
    memset(endless + strlen(endless), 'x', sizeof(endless) - strlen(endless) - 1);
    struct scene scene = scene_of(false, false);
    scene.answer = endless;
    scene_run(&scene, "closed:1006:proxy http://127.0.0.1:%u did not answer in HTTP: the head is "
                      "too large");
}

static void test_silence(void **state)
{
    (void)state;
    struct scene scene = scene_of(false, true);
    scene.answer = NULL;
    scene.connect_ms = 200;
    scene_run(&scene, "closed:1006:proxy http://127.0.0.1:%u: no answer to CONNECT within 200 ms");
}

static void test_nobody_there(void **state)
{
    (void)state;
    struct scene scene = scene_of(false, true);
    scene.no_listener = true;
    scene_run(&scene, "closed:1006:proxy 127.0.0.1:%u: Connection refused");
}

static void test_certificates(void **state)
{
    (void)state;
    struct scene scene = scene_of(true, true);
    scene.proxy_file = "other";
    scene_run(&scene, "closed:1006:proxy https://127.0.0.1:%u: certificate verify failed: IP "
                      "address mismatch");
    scene = scene_of(true, true);
    scene.host_file = "good";
    scene_run(&scene, "closed:1006:exchange.test:443, through proxy https://127.0.0.1:%u: "
                      "certificate verify failed: hostname mismatch");
    scene = scene_of(false, true);
    scene.host_file = "good";
    scene_run(&scene, "closed:1006:exchange.test:443, through proxy http://127.0.0.1:%u: "
                      "certificate verify failed: hostname mismatch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_with_a_user),
        cmocka_unit_test(test_answer_with_fields),
        cmocka_unit_test(test_proxy_with_tls),
        cmocka_unit_test(test_tls_inside_tls),
        cmocka_unit_test(test_data_with_the_end_of_a_handshake),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_comes_early_is_the_hosts),
        cmocka_unit_test(test_refused_by_the_host),
        cmocka_unit_test(test_endless_head),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_certificates),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
