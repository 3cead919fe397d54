/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct url_case {
    const char *text;
    const char *host;
    const char *host_header;
    const char *target;
    uint16_t port;
    bool tls;
};

static void test_good(void **state)
{
    (void)state;
    static const struct url_case cases[] = {
        {"ws://a", "a", "a", "/", 80, false},
        {"ws://a/", "a", "a", "/", 80, false},
        {"http://a.b-c_d:8080/x/y?z=1&w=%20", "a.b-c_d", "a.b-c_d:8080", "/x/y?z=1&w=%20", 8080,
         false},
        {"ws://a?q", "a", "a", "/?q", 80, false},
        {"ws://a:80/", "a", "a", "/", 80, false},
        {"wss://stream.example:9443/ws", "stream.example", "stream.example:9443", "/ws", 9443,
         true},
        {"https://a", "a", "a", "/", 443, true},
        {"https://a:443", "a", "a", "/", 443, true},
        {"ws://127.0.0.1:1", "127.0.0.1", "127.0.0.1:1", "/", 1, false},
        {"ws://[::1]:65535/p", "::1", "[::1]:65535", "/p", 65535, false},
        {"ws://[fe80::1]", "fe80::1", "[fe80::1]", "/", 80, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct url url;
        struct err err;
        char host_header[LIMIT_HOST + 16];
        assert_int_equal(url_parse(cases[i].text, &url, &err), 0);
        url_host_write(&url, host_header, sizeof(host_header));
        assert_string_equal(url.host, cases[i].host);
        assert_string_equal(host_header, cases[i].host_header);
        assert_string_equal(url.target, cases[i].target);
        assert_int_equal(url.port, cases[i].port);
        assert_int_equal(url.tls, cases[i].tls);
    }
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "a",         "//a",          "WS://a",      "ws:/a",           "ws://",
        "ws://:80",   "ws://a:",   "ws://a:+1",    "ws://a:0",    "ws://a:1:2",      "ws://u@a",
        "ws://u:p@a", "ws://a/#x", "ws://a#x",     "ws://a/\x7f", "ws://a/\xc3\xa9", "ws://a\tb",
        "ws://[]",    "ws://[::1", "ws://[::1]80", "ws://::1",    "ws://a%20b",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct url url;
        struct err err = {.code = 0};
        assert_int_equal(url_parse(bad[i], &url, &err), -EINVAL);
        assert_int_equal(err.code, -EINVAL);
    }
}

static void test_limits(void **state)
{
    (void)state;
    char text[LIMIT_URL + 10];
    struct url url;
    struct err err;
    memset(text, 'a', sizeof(text));
    memcpy(text, "ws://a/", 7);
    text[LIMIT_URL - 1] = '\0';
    assert_int_equal(url_parse(text, &url, &err), 0);
    assert_int_equal(strlen(url.target), LIMIT_URL - 1 - strlen("ws://a"));
    text[LIMIT_URL - 1] = 'a';
    text[LIMIT_URL] = '\0';
    assert_int_equal(url_parse(text, &url, &err), -EINVAL);
    text[6] = 'a'; /* the host is too long now */
    text[5 + LIMIT_HOST] = '\0';
    assert_int_equal(url_parse(text, &url, &err), -EINVAL);
    text[5 + LIMIT_HOST - 1] = '\0';
    assert_int_equal(url_parse(text, &url, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
