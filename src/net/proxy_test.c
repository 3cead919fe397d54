/* SPDX-License-Identifier: Apache-2.0 */
#include "net/proxy_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct proxy *make(const char *url, const char *no_proxy)
{
    struct proxy *proxy = NULL;
    struct err err = {.code = 0};
    if (proxy_create(url, no_proxy, &proxy, &err) != 0)
        fail_msg("%s: %s", url, err.text);
    return proxy;
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *name, *field;
        bool tls;
    } cases[] = {
        {"http://proxy.example", "http://proxy.example:80", "", false},
        {"https://proxy.example/", "https://proxy.example:443", "", true},
        {"http://192.0.2.1:3128", "http://192.0.2.1:3128", "", false},
        {"http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "", false},
        /* RFC 7617, section 2, has the first of them */
        {"http://Aladdin:open%20sesame@p:8080", "http://p:8080",
         "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n", false},
        {"http://user@p", "http://p:80", "Proxy-Authorization: Basic dXNlcjo=\r\n", false},
        {"http://u:a:b@p", "http://p:80", "Proxy-Authorization: Basic dTphOmI=\r\n", false},
        {"http://u:%2f%40%3A@p", "http://p:80", "Proxy-Authorization: Basic dTovQDo=\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy *proxy = make(cases[i].url, NULL);
        assert_string_equal(proxy_name(proxy), cases[i].name);
        assert_string_equal(proxy_authorization(proxy), cases[i].field);
        assert_int_equal(proxy_url(proxy)->tls, cases[i].tls);
        proxy_destroy(proxy);
    }
    proxy_destroy(NULL);
}

static void refuse(const char *url, const char *no_proxy, const char *expected)
{
    struct proxy *proxy = NULL;
    struct err err = {.code = 0};
    assert_int_equal(proxy_create(url, no_proxy, &proxy, &err), -EINVAL);
    assert_null(proxy);
    if (strstr(err.text, expected) == NULL)
        fail_msg("%s: %s, not %s", url, err.text, expected);
    assert_null(strstr(err.text, "hunter"));
}

static void test_bad_urls(void **state)
{
    (void)state;
    refuse("", NULL, "must begin with http://");
    refuse("proxy.example:3128", NULL, "must begin with http://");
    refuse("user:hunter2@proxy.example:3128", NULL, "must begin with http://");
    refuse("socks5://user:hunter2@proxy.example", NULL, "must begin with http://");
    refuse("http://", NULL, "host or port");
    refuse("http://user:hunter2@", NULL, "host or port");
    refuse("http://user:hunter2@:3128", NULL, "host or port");
    refuse("http://user:hunter2@proxy:0", NULL, "host or port");
    refuse("http://user:hunter2@proxy:65536", NULL, "host or port");
    refuse("http://user:hunter2@proxy:x", NULL, "host or port");
    refuse("http://user:hunter2@pro xy", NULL, "host or port");
    refuse("http://user:hunter2@[::1", NULL, "host or port");
    refuse("http://user:hunter/2@proxy:3128", NULL, "percent-encoded");
    refuse("http://user:hunter#2@proxy:3128", NULL, "percent-encoded");
    refuse("http://user:hunter@2@proxy:3128", NULL, "percent-encoded");
    refuse("http://user:hunter2@proxy:3128/path", NULL, "without a path");
    refuse("http://user:hunter%2@proxy", NULL, "user or password");
    refuse("http://user:hunter%00@proxy", NULL, "user or password");
    refuse("http://user:hunter%0d%0aX:y@proxy", NULL, "user or password");
    refuse("http://us%3aer:hunter2@proxy", NULL, "user or password");
}

static void test_bad_exceptions(void **state)
{
    (void)state;
    refuse("http://p", "a,b!", "\"b!\"");
    refuse("http://p", "10.0.0.0/33", "\"10.0.0.0/33\"");
    refuse("http://p", "host:0", "\"host:0\"");
    refuse("http://p", "host:99999", "\"host:99999\"");
    refuse("http://p", "[::1", "\"[::1\"");
    refuse("http://p", ".", "\".\"");
    char many[2 * (LIMIT_PROXY_RULES + 1) + 1];
    for (size_t i = 0; i < sizeof(many) - 1; i++)
        many[i] = i % 2 == 0 ? 'a' : ',';
    many[sizeof(many) - 1] = '\0';
    refuse("http://p", many, "more than 256");
}

static void test_exceptions(void **state)
{
    (void)state;
    static const struct {
        const char *no_proxy, *host;
        uint16_t port;
        bool served;
    } cases[] = {
        {NULL, "api.example.com", 443, true},
        {"", "api.example.com", 443, true},
        {" , ", "api.example.com", 443, true},
        {"*", "api.example.com", 443, false},
        {"*", "192.0.2.1", 443, false},
        {"*:443", "api.example.com", 443, false},
        {"*:443", "api.example.com", 80, true},
        {"example.com", "example.com", 443, false},
        {"example.com", "api.example.com", 443, false},
        {"example.com", "API.Example.COM", 443, false},
        {"example.com", "api.example.com.", 443, false},
        {"example.com.", "api.example.com", 443, false},
        {".example.com", "example.com", 443, false},
        {".example.com", "a.b.example.com", 443, false},
        {"*.example.com", "a.example.com", 443, false},
        {"example.com", "notexample.com", 443, true},
        {"example.com", "example.com.net", 443, true},
        {"example.com:9443", "example.com", 9443, false},
        {"example.com:9443", "example.com", 443, true},
        {"a.net, b.net c.net\tz", "c.net", 443, false},
        {"a.net, b.net c.net\tz", "d.net", 443, true},
        {"192.0.2.1", "192.0.2.1", 443, false},
        {"192.0.2.1", "192.0.2.2", 443, true},
        {"192.0.2.1:80", "192.0.2.1", 443, true},
        {"192.0.2.0/24", "192.0.2.77", 443, false},
        {"192.0.2.0/24:443", "192.0.2.77", 443, false},
        {"192.0.2.0/24", "192.0.3.1", 443, true},
        {"192.0.2.0/24", "host.example", 443, true},
        {"2001:db8::/32", "2001:db8:1::1", 443, false},
        {"2001:db8::1", "2001:db8:0::1", 443, false},
        {"[2001:db8::1]:443", "2001:db8::1", 443, false},
        {"[2001:db8::1]:443", "2001:db8::1", 80, true},
        {NULL, "localhost", 443, false},
        {NULL, "LOCALHOST.", 443, false},
        {NULL, "sim.localhost", 443, false},
        {NULL, "localhost.example", 443, true},
        {NULL, "127.0.0.1", 443, false},
        {NULL, "127.9.9.9", 443, false},
        {NULL, "128.0.0.1", 443, true},
        {NULL, "::1", 443, false},
        {NULL, "::ffff:127.0.0.1", 443, false},
        {NULL, "::2", 443, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy *proxy = make("http://p", cases[i].no_proxy);
        if (proxy_serves(proxy, cases[i].host, cases[i].port) != cases[i].served)
            fail_msg("NO_PROXY=%s, %s:%u", cases[i].no_proxy, cases[i].host, cases[i].port);
        proxy_destroy(proxy);
    }
    assert_false(proxy_serves(NULL, "example.com", 443));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_bad_exceptions),
        cmocka_unit_test(test_exceptions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
