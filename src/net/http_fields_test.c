/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of single fields: targets, hosts, encodings, origins, and what proxies say. */
#include "net/http_forwarded.h"
#include "net/http_origin.h"
#include "net/http_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The reader is the caller's to destroy; the head lies in it. */
static const struct http_head *read_head(const char *text, struct http_reader **ret_reader)
{
    const struct http_head *head;
    size_t used;
    *ret_reader = http_reader_create(HTTP_KIND_REQUEST);
    assert_int_equal(http_read(*ret_reader, slice_of(text), &used, &head), HTTP_READ_HEAD);
    return head;
}

/* ---- targets ---- */

static void test_targets(void **state)
{
    (void)state;
    static const struct {
        const char *first_line;
        const char *host;
        const char *path;
        const char *query;
    } cases[] = {
        {"GET /a?b", "own:1", "/a", "b"},
        {"GET http://other/a?b", "other", "/a", "b"},
        {"GET HTTPS://Other:8443/", "Other:8443", "/", ""},
        {"GET http://[::1]:80", "[::1]:80", "/", ""},
        {"GET http://other?since=1", "other", "/", "since=1"},
        {"GET /http://other/", "own:1", "/http://other/", ""},
        {"GET //other/", "own:1", "//other/", ""},
        {"OPTIONS *", "own:1", "*", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        struct http_reader *reader;
        snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: own:1\r\n\r\n", cases[i].first_line);
        const struct http_head *head = read_head(text, &reader);
        assert_true(slice_is(head->host, cases[i].host));
        assert_true(slice_is(head->path, cases[i].path));
        assert_true(slice_is(head->query, cases[i].query));
        http_reader_destroy(reader);
    }
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {"",      "a",        "a.b-c_d:80", "127.0.0.1",
                                       "[::1]", "[::1]:80", "a:",         "[1:2::3.4.5.6]:"};
    static const char *const bad[] = {"a b", "a/b",    "u@a",  "a:b", "a:1:2", "::1", "[::1",
                                      "[]",  "[::1]x", "[g/]", ":80", "a%41",  "a\"", "a,b"};
    char long_one[LIMIT_HOST + 1];
    memset(long_one, 'a', LIMIT_HOST);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!http_host_valid(slice_of(good[i])))
            fail_msg("%s is a host", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (http_host_valid(slice_of(bad[i])))
            fail_msg("%s is no host", bad[i]);
    assert_true(http_host_valid((struct slice){.data = long_one, .size = LIMIT_HOST - 1}));
    assert_false(http_host_valid((struct slice){.data = long_one, .size = LIMIT_HOST}));
}

/* ---- encodings ---- */

struct encoding_case {
    const char *accepted; /* NULL: no such header */
    enum http_encoding expected;
};

static const struct encoding_case encodings[] = {
    {NULL, HTTP_ENCODING_IDENTITY},
    {"", HTTP_ENCODING_IDENTITY},
    {"gzip", HTTP_ENCODING_GZIP},
    {"GZIP", HTTP_ENCODING_GZIP},
    {"x-gzip", HTTP_ENCODING_GZIP},
    {"deflate, gzip;q=1.0, *;q=0.5", HTTP_ENCODING_GZIP},
    {"br;q=1.0, gzip ; q=0.8 , identity;q=0.1", HTTP_ENCODING_GZIP},
    {"gzip;q=0.5, identity;q=0.6", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0.6, identity;q=0.6", HTTP_ENCODING_GZIP},
    {"gzip;q=0.2, *;q=0.5", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0.000", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0.001", HTTP_ENCODING_GZIP},
    {"*", HTTP_ENCODING_GZIP},
    {"*;q=0", HTTP_ENCODING_NONE},
    {"*;q=0, identity", HTTP_ENCODING_IDENTITY},
    {"*;q=0, gzip", HTTP_ENCODING_GZIP},
    {"identity;q=0", HTTP_ENCODING_NONE},
    {"identity;q=0, gzip;q=0.1", HTTP_ENCODING_GZIP},
    {"identity;q=0, *", HTTP_ENCODING_GZIP},
    {"identity;q=0, br", HTTP_ENCODING_NONE},
    {"br, deflate", HTTP_ENCODING_IDENTITY},
    {"gzip;q=2", HTTP_ENCODING_IDENTITY},
    {"gzip;q=1.001", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0.0001", HTTP_ENCODING_IDENTITY},
    {"gzip;q=", HTTP_ENCODING_IDENTITY},
    {"gzip;q=-1", HTTP_ENCODING_IDENTITY},
    {"gzip;q=.5", HTTP_ENCODING_IDENTITY},
    {"gzip;q=0.x", HTTP_ENCODING_IDENTITY},
    {"gzip;level=9", HTTP_ENCODING_IDENTITY},
    {"gzipped", HTTP_ENCODING_IDENTITY},
    {",,gzip,,", HTTP_ENCODING_GZIP},
};

static void test_encodings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(encodings); i++) {
        char text[256];
        struct http_reader *reader;
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s%s\r\n\r\n",
                 encodings[i].accepted == NULL ? "X: y" : "Accept-Encoding: ",
                 encodings[i].accepted == NULL ? "" : encodings[i].accepted);
        const struct http_head *head = read_head(text, &reader);
        if (http_encoding_choose(head, true) != encodings[i].expected)
            fail_msg("%s: %d", encodings[i].accepted, (int)http_encoding_choose(head, true));
        assert_int_not_equal(http_encoding_choose(head, false), HTTP_ENCODING_GZIP);
        http_reader_destroy(reader);
    }
    struct http_reader *reader;
    const struct http_head *head = read_head("GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n"
                                             "accept-encoding: gzip\r\n\r\n",
                                             &reader);
    assert_int_equal(http_encoding_choose(head, true), HTTP_ENCODING_GZIP);
    http_reader_destroy(reader);
}

/* ---- origins ---- */

static void test_origin_spellings(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"https://app.example", "https://app.example:443"},
        {"HTTPS://App.Example:443", "https://app.example:443"},
        {"http://app.example", "http://app.example:80"},
        {"http://127.0.0.1:3000", "http://127.0.0.1:3000"},
        {"http://[::1]:3000", "http://[::1]:3000"},
        {"http://[::1]", "http://[::1]:80"},
        {"ws://a1", "ws://a1:80"},
        {"chrome-extension://abcdef", "chrome-extension://abcdef:0"},
        {"null", "null"},
        {"NULL", NULL},
        {"", NULL},
        {"app.example", NULL},
        {"https:app.example", NULL},
        {"https://", NULL},
        {"https://app.example/", NULL},
        {"https://app.example:0", NULL},
        {"https://app.example:65536", NULL},
        {"https://u@app.example", NULL},
        {"https://a b", NULL},
        {"1http://a", NULL},
        {"h_tp://a", NULL},
        {"a-scheme-that-is-far-too-long://a", NULL},
        {"*", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[HTTP_ORIGIN_TEXT] = "none";
        bool read = http_origin_read(slice_of(cases[i][0]), text);
        if (read != (cases[i][1] != NULL) || (read && strcmp(text, cases[i][1]) != 0))
            fail_msg("%s was read as %s", cases[i][0], text);
    }
}

static void test_origin_lists(void **state)
{
    (void)state;
    char *const items[] = {(char[]){"https://app.example"}, (char[]){"http://Other:81"}};
    char *const every[] = {(char[]){"http://other"}, (char[]){"*"}};
    char *const wrong[] = {(char[]){"https://app.example"}, (char[]){"app.example"}};
    struct http_origins *origins;
    struct err err;
    assert_int_equal(http_origins_create(items, 2, &origins, &err), 0);
    assert_false(http_origins_any(origins));
    assert_true(http_origins_allow(origins, SLICE("https://APP.example:443")));
    assert_true(http_origins_allow(origins, SLICE("http://other:81")));
    assert_false(http_origins_allow(origins, SLICE("http://app.example")));
    assert_false(http_origins_allow(origins, SLICE("https://app.example.evil")));
    assert_false(http_origins_allow(origins, SLICE("https://app.example:444")));
    assert_false(http_origins_allow(origins, SLICE("null")));
    assert_false(http_origins_allow(origins, SLICE("nonsense")));
    http_origins_destroy(origins);
    assert_int_equal(http_origins_create(every, 2, &origins, &err), 0);
    assert_true(http_origins_any(origins));
    assert_true(http_origins_allow(origins, SLICE("nonsense")));
    http_origins_destroy(origins);
    assert_int_equal(http_origins_create(NULL, 0, &origins, &err), 0);
    assert_true(http_origins_any(origins));
    http_origins_destroy(origins);
    assert_int_equal(http_origins_create(wrong, 2, &origins, &err), -EINVAL);
    assert_non_null(strstr(err.text, ": app.example"));
    http_origins_destroy(NULL);
}

/* ---- proxies ---- */

struct forwarded_case {
    const char *peer;
    const char *headers;
    const char *address; /* NULL: malformed */
    const char *host;
    const char *scheme;
};

static const struct forwarded_case forwarded[] = {
    {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7", "own", NULL},
    {"10.0.0.1", "", "10.0.0.1", "own", NULL},
    {"192.0.2.1", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", "192.0.2.1", "own",
     NULL},
    {"192.0.2.1", "X-Forwarded-For: rubbish\r\nX-Forwarded-Host: a/b\r\n", "192.0.2.1", "own",
     NULL},
    {"10.0.0.1", "X-Forwarded-For: 198.51.100.1, 192.0.2.7, 10.0.0.2\r\n", "192.0.2.7", "own",
     NULL},
    {"10.0.0.1", "X-Forwarded-For: invented, 192.0.2.7:1234\r\n", "192.0.2.7", "own", NULL},
    {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3", "own", NULL},
    {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nx-forwarded-for: 10.0.0.2\r\n", "192.0.2.7", "own",
     NULL},
    {"10.0.0.1", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.8\r\n", "192.0.2.8", "own",
     NULL},
    {"::ffff:10.0.0.1", "X-Forwarded-For: \"[2001:db8::7]:1\"\r\n", NULL, NULL, NULL},
    {"::ffff:10.0.0.1", "X-Forwarded-For: [2001:db8::7]:1\r\n", "2001:db8::7", "own", NULL},
    {"10.0.0.1", "X-Forwarded-For: ::ffff:10.0.0.9\r\n", "10.0.0.9", "own", NULL},
    {"10.0.0.1", "X-Forwarded-For: unknown\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-For:\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-For: 192.0.2.7,\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-For: , 10.0.0.2\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-Proto: https\r\n", "10.0.0.1", "own", "https"},
    {"10.0.0.1", "X-Forwarded-Proto: WSS, http\r\n", "10.0.0.1", "own", "https"},
    {"10.0.0.1", "X-Forwarded-Proto: http\r\n", "10.0.0.1", "own", "http"},
    {"10.0.0.1", "X-Forwarded-Proto: ws\r\n", "10.0.0.1", "own", "http"},
    {"10.0.0.1", "X-Forwarded-Proto: gopher\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-Proto:\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-Host: gw.example:8443\r\n", "10.0.0.1", "gw.example:8443", NULL},
    {"10.0.0.1", "X-Forwarded-Host: gw.example, other\r\n", "10.0.0.1", "gw.example", NULL},
    {"10.0.0.1", "X-Forwarded-Host: a/b\r\n", NULL, NULL, NULL},
    {"10.0.0.1", "X-Forwarded-Host:\r\n", NULL, NULL, NULL},
};

static void check_forwarded(const struct http_trusted *trusted, const struct forwarded_case *each)
{
    char text[512];
    char written[ADDRESS_TEXT];
    struct http_reader *reader;
    struct http_client client;
    struct address peer;
    assert_true(address_parse(slice_of(each->peer), &peer));
    snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: own\r\n%s\r\n", each->headers);
    const struct http_head *head = read_head(text, &reader);
    bool good = http_client_read(trusted, &peer, head, &client);
    if (good != (each->address != NULL))
        fail_msg("%s of %s: %d", each->headers, each->peer, good);
    if (good) {
        address_write(&client.address, written);
        assert_string_equal(written, each->address);
        assert_true(slice_is(client.host, each->host));
        if (each->scheme == NULL)
            assert_null(client.scheme);
        else
            assert_string_equal(client.scheme, each->scheme);
    }
    http_reader_destroy(reader);
}

static void test_forwarded(void **state)
{
    (void)state;
    struct address_range range;
    struct err err;
    assert_int_equal(address_range_parse(SLICE("10.0.0.0/29"), &range, &err), 0);
    const struct http_trusted trusted = {.count = 1, .ranges = &range};
    for (size_t i = 0; i < COUNT_OF(forwarded); i++)
        check_forwarded(&trusted, &forwarded[i]);
    const struct http_trusted nobody = {.count = 0};
    const struct forwarded_case ignored = {"10.0.0.1", "X-Forwarded-For: x\r\n", "10.0.0.1", "own",
                                           NULL};
    check_forwarded(&nobody, &ignored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),      cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_encodings),    cmocka_unit_test(test_origin_spellings),
        cmocka_unit_test(test_origin_lists), cmocka_unit_test(test_forwarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
