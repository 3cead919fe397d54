/* SPDX-License-Identifier: Apache-2.0 */
/* One GET over real sockets; what an answer may look like is http_reply_test.c's. */
#include "net/http_client.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

#include "net/tls_fixture_test.h"

#define BODY_MAX (1 << 20)
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

struct scene {
    struct loop *loop;
    struct peer peer;
    struct http_client *client;
    struct buffer log; /* "200:hello", or "reason" */
    unsigned told;
    int64_t retry_after_s;
    /* what is to be */
    const char *url;    /* behind "http://127.0.0.1:PORT"; NULL: "/" */
    const char *answer; /* NULL: none */
    size_t answer_size; /* 0: its length */
    uint32_t timeout_ms;
    size_t body_max;
    const char *certificate; /* NULL: plain */
    bool byte_by_byte;
    bool at_once;   /* without waiting for the request */
    bool stays;     /* it does not close behind the answer */
    bool resets;    /* it closes with a reset */
    bool by_proxy;  /* the peer is a proxy, the host is host.test */
    bool destroyed; /* inside the callback */
    const char *bearer;
};

static struct authority authority;

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    authority_init(&authority);
    authority_issue_good(&authority, "good");
    authority_issue(&authority, &(struct leaf){.name = "wrong",
                                               .hosts = "DNS:elsewhere.example",
                                               .from_s = -DAY_S,
                                               .until_s = DAY_S});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    authority_release(&authority);
    return 0;
}

static struct scene scene_of(const char *answer)
{
    return (struct scene){.answer = answer, .timeout_ms = 5000, .body_max = BODY_MAX};
}

static void on_done(void *context, const struct http_client_result *result)
{
    struct scene *scene = context;
    scene->told++;
    scene->retry_after_s = result->retry_after_s;
    if (scene->destroyed) {
        http_client_destroy(scene->client);
        scene->client = NULL;
    }
    if (result->reason != NULL) { /* also what was destroyed is valid during the call */
        assert_int_equal(result->status, 0);
        assert_null(result->head);
        buffer_append_text(&scene->log, result->reason);
    } else {
        assert_int_equal(result->status, result->head->status);
        volatile char sum = 0;
        for (size_t i = 0; i < LIMIT_PADDING; i++)
            sum = (char)(sum ^ result->body.data[result->body.size + i]);
        assert_int_equal(result->body.data[result->body.size], 0);
        if (result->body.size < 100)
            buffer_append_format(&scene->log, "%u:%s", result->status, result->body.data);
        else
            buffer_append_format(&scene->log, "%u:%zu", result->status, result->body.size);
    }
    loop_stop(scene->loop);
}

/* ---- the server ---- */

static void answer(const struct scene *scene, struct peer *peer)
{
    size_t size = scene->answer_size > 0 ? scene->answer_size : strlen(scene->answer);
    if (scene->byte_by_byte)
        for (size_t i = 0; i < size; i++)
            peer_send(peer, scene->answer + i, 1);
    else
        peer_send(peer, scene->answer, size);
}

static void serve(struct peer *peer)
{
    struct scene *scene = peer->context;
    const struct linger reset = {.l_onoff = 1};
    peer->keeps_running = true;
    peer_accept(peer);
    if (!scene->at_once && !peer_receive_until(peer, "\r\n\r\n"))
        return;
    if (scene->by_proxy) {
        peer_send_text(peer, "HTTP/1.0 200 Connection established\r\n\r\n");
        if (!peer_receive_until(peer, "GET ") || !peer_receive_until(peer, "close\r\n\r\n"))
            return;
    }
    if (scene->answer != NULL)
        answer(scene, peer);
    if (scene->resets)
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    else if (!scene->stays && scene->answer != NULL)
        shutdown(peer->fd, SHUT_WR);
    if (!scene->resets)
        peer_receive_all(peer); /* until the client has gone */
}

static void serve_tls(struct peer *peer)
{
    struct scene *scene = peer->context;
    char name[32];
    peer->keeps_running = true;
    peer_accept(peer);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    snprintf(name, sizeof(name), "%s.pem", scene->certificate);
    SSL_CTX_use_certificate_chain_file(context, authority_path(&authority, name));
    snprintf(name, sizeof(name), "%s.key", scene->certificate);
    SSL_CTX_use_PrivateKey_file(context, authority_path(&authority, name), SSL_FILETYPE_PEM);
    SSL *ssl = peer_shake(peer, context, NULL);
    while (ssl != NULL && strstr(peer->seen.data, "\r\n\r\n") == NULL)
        if (!peer_read_size(peer, ssl, peer->seen.size + 1))
            break;
    if (ssl != NULL)
        peer_write(ssl, scene->answer, strlen(scene->answer));
    if (ssl != NULL)
        peer_read_all(peer, ssl);
    SSL_free(ssl);
    SSL_CTX_free(context);
}

/* ---- running ---- */

static void scene_run(struct scene *scene, const char *expected)
{
    static char url[LIMIT_URL + 100];
    char text[400];
    struct err err = {.code = 0};
    struct tls_context *trust = NULL;
    struct proxy *proxy = NULL;
    scene->loop = loop_create();
    buffer_init(&scene->log, 1 << 20);
    peer_init(&scene->peer, scene->loop, scene->certificate == NULL ? serve : serve_tls);
    scene->peer.context = scene;
    peer_listen(&scene->peer);
    peer_start(&scene->peer);
    assert_int_equal(tls_context_create_client(authority_path(&authority, "ca.pem"), &trust, &err),
                     0);
    snprintf(url, sizeof(url), "http://user:hunter2@127.0.0.1:%u", (unsigned)scene->peer.port);
    assert_int_equal(proxy_create(url, NULL, &proxy, &err), 0);
    snprintf(url, sizeof(url), "http%s://%s:%u%s", scene->certificate == NULL ? "" : "s",
             scene->by_proxy ? "host.test" : "127.0.0.1", (unsigned)scene->peer.port,
             scene->url == NULL ? "/" : scene->url);
    const struct http_client_options options = {.url = url,
                                                .tls = trust,
                                                .proxy = proxy,
                                                .body_max = scene->body_max,
                                                .timeout_ms = scene->timeout_ms,
                                                .bearer = scene->bearer};
    if (http_client_get(scene->loop, &options, on_done, scene, &scene->client, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(scene->told, 0);
    loop_run(scene->loop);
    http_client_destroy(scene->client);
    peer_join(&scene->peer);
    assert_false(scene->peer.timed_out);
    assert_int_equal(scene->told, 1);
    const char *at = strstr(expected, "%u");
    snprintf(text, sizeof(text), "%.*s", at == NULL ? 250 : (int)(at - expected), expected);
    if (at != NULL)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u%s",
                 (unsigned)scene->peer.port, at + 2);
    if (strncmp(scene->log.data, text, strlen(text)) != 0)
        fail_msg("%s\nand not\n%s", scene->log.data, text);
    tls_context_destroy(trust);
    proxy_destroy(proxy);
    loop_destroy(scene->loop);
    buffer_release(&scene->log);
}

static void scene_run_once(struct scene scene, const char *expected)
{
    scene_run(&scene, expected);
    peer_release(&scene.peer);
}

/* ---- good ones ---- */

static void test_get(void **state)
{
    (void)state;
    char expected[200];
    struct scene scene = scene_of(HELLO);
    scene.url = "/api/v3/depth?symbol=BTCUSDT&limit=5000";
    scene_run(&scene, "200:hello");
    snprintf(expected, sizeof(expected),
             "GET /api/v3/depth?symbol=BTCUSDT&limit=5000 HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n",
             (unsigned)scene.peer.port);
    assert_ptr_equal(strstr(scene.peer.seen.data, expected), scene.peer.seen.data);
    assert_non_null(strstr(scene.peer.seen.data, "\r\nConnection: close\r\n"));
    assert_null(strcasestr(scene.peer.seen.data, "Origin"));
    assert_null(strcasestr(scene.peer.seen.data, "Encoding"));
    assert_int_equal(scene.retry_after_s, -1);
    peer_release(&scene.peer);
}

static void test_answers(void **state)
{
    (void)state;
    struct scene scene = scene_of(HELLO);
    scene.byte_by_byte = true;
    scene_run_once(scene, "200:hello");
    scene = scene_of(HELLO);
    scene.stays = true; /* the length says that it is whole */
    scene_run_once(scene, "200:hello");
    scene = scene_of(HELLO);
    scene.destroyed = true;
    scene_run_once(scene, "200:hello");
    scene = scene_of(HELLO);
    scene.at_once = true;
    scene_run_once(scene, "200:hello");
    scene_run_once(scene_of("HTTP/1.0 200 OK\r\n\r\nto the end"), "200:to the end");
    scene_run_once(scene_of("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
                   "302:");
}

static void test_longest_path(void **state)
{
    (void)state;
    static char path[LIMIT_REST_PATH];
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    struct scene scene = scene_of(HELLO);
    scene.url = path;
    scene_run(&scene, "200:hello");
    assert_non_null(strstr(scene.peer.seen.data, path));
    peer_release(&scene.peer);
}

static void test_large_body(void **state)
{
    (void)state;
    static char large[BODY_MAX + 100] = "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n";
    struct scene scene = scene_of(large);
    scene.answer_size = strlen(large) + BODY_MAX;
    memset(large + strlen(large), 'x', BODY_MAX);
    scene_run_once(scene, "200:1048576");
    scene.body_max = BODY_MAX - 1;
    scene_run_once(scene, "127.0.0.1:%u: the body is 1048576 bytes long, and 1048575 are allowed");
}

static void test_wait_is_told(void **state)
{
    (void)state;
    struct scene scene =
        scene_of("HTTP/1.1 429 x\r\nRetry-After: 17\r\nContent-Length: 2\r\n\r\n{}");
    scene_run(&scene, "429:{}");
    assert_int_equal(scene.retry_after_s, 17);
    peer_release(&scene.peer);
}

static void test_https(void **state)
{
    (void)state;
    struct scene scene = scene_of(HELLO);
    scene.certificate = "good";
    scene_run_once(scene, "200:hello");
    scene.certificate = "wrong";
    scene_run_once(scene, "127.0.0.1:%u: certificate verify failed: IP address mismatch");
}

static void test_by_proxy(void **state)
{
    (void)state;
    struct scene scene = scene_of(HELLO);
    scene.by_proxy = true;
    scene_run(&scene, "200:hello");
    assert_ptr_equal(strstr(scene.peer.seen.data, "CONNECT host.test:"), scene.peer.seen.data);
    const char *request = strstr(scene.peer.seen.data, "GET / HTTP/1.1\r\nHost: host.test:");
    assert_non_null(request);
    assert_null(strstr(request, "Authorization"));
    peer_release(&scene.peer);
}

/* The proxy sees its own user alone, the host the token alone. */
static void test_bearer(void **state)
{
    (void)state;
    static char longest[LIMIT_ACCESS_TOKEN + 1];
    memset(longest, 't', sizeof(longest) - 1);
    struct scene scene = scene_of(HELLO);
    scene.bearer = longest;
    scene_run(&scene, "200:hello");
    const char *header = strstr(scene.peer.seen.data, "\r\nAuthorization: Bearer ttt");
    assert_non_null(header);
    assert_int_equal(strspn(header + 24, "t"), LIMIT_ACCESS_TOKEN);
    assert_int_equal(memcmp(header + 24 + LIMIT_ACCESS_TOKEN, "\r\n", 2), 0);
    peer_release(&scene.peer);
    scene = scene_of(HELLO);
    scene.by_proxy = true;
    scene.bearer = "my-token";
    scene_run(&scene, "200:hello");
    const char *request = strstr(scene.peer.seen.data, "GET / ");
    header = strstr(scene.peer.seen.data, "my-token");
    assert_non_null(header);
    assert_true(header > request);
    assert_null(strstr(request, "Basic"));
    peer_release(&scene.peer);
}

/* ---- bad ones ---- */

static void test_ended_early(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                          "5\r\nhello\r\n"};
    for (size_t i = 0; i < COUNT_OF(answers); i++)
        scene_run_once(scene_of(answers[i]),
                       "127.0.0.1:%u: the connection ended inside the body, after ");
    scene_run_once(scene_of(""), "127.0.0.1:%u: the connection ended without an answer");
    struct scene scene = scene_of("HTTP/1.1 200 OK\r\n\r\nsome");
    scene.resets = true;
    scene_run_once(scene, "127.0.0.1:%u: the connection failed before the answer was whole: "
                          "Connection reset by peer");
}

static void test_not_http(void **state)
{
    (void)state;
    scene_run_once(scene_of("SSH-2.0-x\r\n\r\n"), "127.0.0.1:%u: not a good HTTP answer: ");
}

static void test_silence(void **state)
{
    (void)state;
    struct scene scene = scene_of(NULL);
    scene.timeout_ms = 200;
    scene_run_once(scene, "127.0.0.1:%u: no whole answer within 200 ms");
    scene.answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell";
    scene.stays = true;
    scene_run_once(scene, "127.0.0.1:%u: no whole answer within 200 ms");
}

static void test_wrong_urls(void **state)
{
    (void)state;
    struct err err;
    struct http_client *client = NULL;
    struct loop *loop = loop_create();
    struct http_client_options options = {.url = "ftp://x/", .body_max = 1, .timeout_ms = 100};
    assert_int_equal(http_client_get(loop, &options, on_done, NULL, &client, &err), -EINVAL);
    static char url[LIMIT_URL + 1] = "http://x/";
    memset(url + strlen(url), 'a', sizeof(url) - strlen(url) - 1);
    options.url = url;
    assert_int_equal(http_client_get(loop, &options, on_done, NULL, &client, &err), -EINVAL);
    http_client_destroy(NULL);
    options.url = "http://127.0.0.1:1/"; /* and destroyed before anything came */
    assert_int_equal(http_client_get(loop, &options, on_done, NULL, &client, &err), 0);
    http_client_destroy(client);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),          cmocka_unit_test(test_answers),
        cmocka_unit_test(test_longest_path), cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_wait_is_told), cmocka_unit_test(test_https),
        cmocka_unit_test(test_bearer),       cmocka_unit_test(test_by_proxy),
        cmocka_unit_test(test_ended_early),  cmocka_unit_test(test_not_http),
        cmocka_unit_test(test_silence),      cmocka_unit_test(test_wrong_urls),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
