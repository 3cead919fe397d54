/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names with several addresses: a hosts file of our own, which only this process sees (a mount
 * namespace; where that is not allowed the tests are skipped). A black hole is a listener whose
 * queue is full: the kernel drops what comes to it.
 */
#include "net/tcp.h"

#include "base/clock.h"
#include "net/peer_test.h"

#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include <cmocka.h>

#define TIMEOUT_MS 60000
#define SHORT_MS 4000    /* all are tried by then, on a busy machine too */
#define AT_ONCE_MS 15000 /* less than an equal share of the time-out would be, and patient */

static const char hosts[] = "127.0.0.1 localhost\n"
                            "127.0.0.2 dead-alive.test\n127.0.0.3 dead-alive.test\n"
                            "127.0.0.2 three.test\n127.0.0.4 three.test\n127.0.0.3 three.test\n"
                            "127.0.0.4 refused.test\n127.0.0.5 refused.test\n"
                            "::1 both.test\n127.0.0.3 both.test\n";

static bool has_hosts;

static int set_up(void **state)
{
    (void)state;
    char path[] = "/tmp/tickwire-hosts-XXXXXX";
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 0;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, hosts, sizeof(hosts) - 1), sizeof(hosts) - 1);
    close(fd);
    has_hosts = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                mount(path, "/etc/hosts", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    return 0;
}

/* ---- listeners ---- */

static int listen_on(const char *address, uint16_t *port, int backlog)
{
    struct sockaddr_storage any = {.ss_family = AF_INET};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&any;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&any;
    socklen_t size = sizeof(*v4);
    if (strchr(address, ':') != NULL) {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(*port)};
        inet_pton(AF_INET6, address, &v6->sin6_addr);
        size = sizeof(*v6);
    } else {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(*port)};
        inet_pton(AF_INET, address, &v4->sin_addr);
    }
    int fd = socket(any.ss_family, SOCK_STREAM, 0);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&any, size) != 0 || listen(fd, backlog) != 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&any, &size);
    *port = ntohs(any.ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
    return fd;
}

/* A port that is free at all addresses of these tests: one that is at the first may be another
 * program's at the next. */
static uint16_t free_port(void)
{
    static const char *const addresses[] = {"127.0.0.5", "127.0.0.2", "127.0.0.3"};
    for (int tries = 0; tries < 20; tries++) {
        uint16_t port = 0;
        bool is_free = true;
        int fds[COUNT_OF(addresses)];
        for (size_t i = 0; i < COUNT_OF(addresses); i++) {
            fds[i] = listen_on(addresses[i], &port, 1);
            is_free = is_free && fds[i] >= 0;
        }
        for (size_t i = 0; i < COUNT_OF(addresses); i++)
            if (fds[i] >= 0)
                close(fds[i]);
        if (is_free)
            return port;
    }
    fail_msg("no port is free at all addresses");
    return 0;
}

struct hole {
    int fd, filler;
};

/* On the same port as the rest; a queue of none takes one connection. */
static bool hole_open(struct hole *hole, const char *address, uint16_t port)
{
    struct sockaddr_storage to = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(to);
    hole->fd = listen_on(address, &port, 0);
    if (hole->fd < 0)
        return false;
    getsockname(hole->fd, (struct sockaddr *)&to, &size);
    hole->filler = socket(to.ss_family, SOCK_STREAM, 0);
    assert_int_equal(connect(hole->filler, (struct sockaddr *)&to, size), 0);
    return true;
}

static void hole_close(struct hole *hole)
{
    close(hole->fd);
    close(hole->filler);
}

/* ---- connecting ---- */

struct attempt {
    struct loop *loop;
    struct tcp *tcp;
    int error;
    char text[400];
    char peer[80];
    int64_t took_ms;
};

static void on_connected(void *context, int error, const char *text)
{
    struct attempt *attempt = context;
    attempt->error = error;
    snprintf(attempt->text, sizeof(attempt->text), "%s", text);
    if (error == 0)
        tcp_peer(attempt->tcp, attempt->peer, sizeof(attempt->peer));
    loop_stop(attempt->loop);
}

static struct attempt try_to_connect(const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct attempt attempt = {.loop = loop_create(), .error = 1};
    int64_t begin_ns = clock_monotonic_ns();
    attempt.tcp = tcp_connect(attempt.loop, host, port, timeout_ms, on_connected, &attempt);
    loop_run(attempt.loop);
    attempt.took_ms = (clock_monotonic_ns() - begin_ns) / 1000000;
    tcp_destroy(attempt.tcp);
    loop_destroy(attempt.loop);
    return attempt;
}

static void expect_peer(const struct attempt *attempt, const char *address, uint16_t port)
{
    char expected[80];
    snprintf(expected, sizeof(expected), "%s:%u", address, (unsigned)port);
    assert_int_equal(attempt->error, 0);
    assert_string_equal(attempt->peer, expected);
    if (attempt->took_ms >= AT_ONCE_MS)
        fail_msg("took %lld ms", (long long)attempt->took_ms);
}

static void test_black_hole_first(void **state)
{
    (void)state;
    if (!has_hosts)
        skip();
    uint16_t port = free_port();
    struct hole hole;
    int alive = listen_on("127.0.0.3", &port, 4);
    assert_true(hole_open(&hole, "127.0.0.2", port));
    struct attempt attempt = try_to_connect("dead-alive.test", port, TIMEOUT_MS);
    expect_peer(&attempt, "127.0.0.3", port);
    attempt = try_to_connect("three.test", port, TIMEOUT_MS); /* and one that refuses between */
    expect_peer(&attempt, "127.0.0.3", port);
    hole_close(&hole);
    close(alive);
}

static void test_refusal_first(void **state)
{
    (void)state;
    if (!has_hosts)
        skip();
    uint16_t port = 0;
    int alive = listen_on("127.0.0.3", &port, 4);
    struct attempt attempt = try_to_connect("dead-alive.test", port, TIMEOUT_MS);
    expect_peer(&attempt, "127.0.0.3", port);
    close(alive);
}

static void test_all_refuse(void **state)
{
    (void)state;
    if (!has_hosts)
        skip();
    uint16_t port = 0;
    char expected[100];
    int fd = listen_on("127.0.0.3", &port, 4); /* a port that nobody else is given */
    struct attempt attempt = try_to_connect("refused.test", port, TIMEOUT_MS);
    snprintf(expected, sizeof(expected), "refused.test:%u: Connection refused (2 addresses tried)",
             (unsigned)port);
    assert_int_equal(attempt.error, -ECONNREFUSED);
    assert_string_equal(attempt.text, expected);
    close(fd);
}

static void test_all_silent(void **state)
{
    (void)state;
    if (!has_hosts)
        skip();
    uint16_t port = free_port();
    struct hole holes[2];
    int fd = listen_on("127.0.0.5", &port, 4);
    assert_true(hole_open(&holes[0], "127.0.0.2", port));
    assert_true(hole_open(&holes[1], "127.0.0.3", port));
    struct attempt attempt = try_to_connect("dead-alive.test", port, SHORT_MS);
    assert_int_equal(attempt.error, -ETIMEDOUT);
    assert_non_null(strstr(attempt.text, "timed out (2 addresses tried)"));
    assert_in_range(attempt.took_ms, SHORT_MS - 10, TIMEOUT_MS);
    hole_close(&holes[0]);
    hole_close(&holes[1]);
    close(fd);
}

static void test_ipv6_black_hole_then_ipv4(void **state)
{
    (void)state;
    uint16_t port = 0;
    struct hole hole;
    int alive = listen_on("127.0.0.3", &port, 4);
    bool has_v6 = has_hosts && hole_open(&hole, "::1", port);
    if (!has_v6) {
        close(alive);
        skip();
    }
    struct attempt attempt = try_to_connect("both.test", port, TIMEOUT_MS);
    expect_peer(&attempt, "127.0.0.3", port);
    hole_close(&hole);
    close(alive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_black_hole_first),
        cmocka_unit_test(test_refusal_first),
        cmocka_unit_test(test_all_refuse),
        cmocka_unit_test(test_all_silent),
        cmocka_unit_test(test_ipv6_black_hole_then_ipv4),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
