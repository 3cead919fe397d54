/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http.h"

#include "net/http_record_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum cuts { CUTS_NONE, CUTS_EACH_BYTE, CUTS_RANDOM };

static size_t piece_size(enum cuts cuts, size_t left)
{
    switch (cuts) {
    case CUTS_NONE:
        return left;
    case CUTS_EACH_BYTE:
        return 1;
    case CUTS_RANDOM:
        break;
    }
    size_t size = (size_t)rand() % 37 + 1;
    return size < left ? size : left;
}

static char *record_of(struct slice bytes, enum http_kind kind, enum cuts cuts)
{
    struct http_record record;
    http_record_init(&record, kind);
    for (size_t i = 0; i < bytes.size;) {
        size_t size = piece_size(cuts, bytes.size - i);
        http_record_feed(&record, bytes.data + i, size);
        i += size;
    }
    char *text = memory_copy_text(record.text.data);
    http_record_release(&record);
    return text;
}

/* The record, which must be the same however the bytes are cut; freed by the caller. */
static char *record(struct slice bytes, enum http_kind kind)
{
    char *whole = record_of(bytes, kind, CUTS_NONE);
    for (int round = 0; round < 12; round++) {
        char *cut = record_of(bytes, kind, round == 0 ? CUTS_EACH_BYTE : CUTS_RANDOM);
        assert_string_equal(cut, whole);
        memory_free(cut);
    }
    return whole;
}

static void expect(const char *bytes, enum http_kind kind, const char *expected)
{
    char *text = record(slice_of(bytes), kind);
    assert_string_equal(text, expected);
    memory_free(text);
}

static void test_requests(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n", HTTP_KIND_REQUEST, "GET|/||0 keep|0|Host=a\n");
    expect("\r\nHEAD /a/b?c=d&e HTTP/1.1\r\nHost: a.example:80\r\nX-Y:\r\nZ: \t a b \t\r\n\r\n",
           HTTP_KIND_REQUEST, "HEAD|/a/b|c=d&e|0 keep|0|Host=a.example:80|X-Y=|Z=a b\n");
    expect("GET / HTTP/1.0\r\n\r\n", HTTP_KIND_REQUEST, "GET|/||0|0\n");
    expect("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", HTTP_KIND_REQUEST,
           "GET|/||0|0|Connection=keep-alive\n");
    expect("BREW /pot HTTP/1.1\r\nhost: [::1]:8080\r\nConnection: x, Close\r\n\r\n",
           HTTP_KIND_REQUEST, "BREW|/pot||0|0|host=[::1]:8080|Connection=x, Close\n");
    expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n", HTTP_KIND_REQUEST,
           "POST|/||0 keep body|12|Host=a|Content-Length=12\n");
    expect("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", HTTP_KIND_REQUEST,
           "POST|/||0 keep body|0|Host=a|Transfer-Encoding=Chunked\n");
    expect("GET /x HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, websocket\r\n"
           "Connection: keep-alive\r\nConnection: Upgrade\r\n\r\n",
           HTTP_KIND_REQUEST,
           "GET|/x||0 keep upgrade|0|Host=a|Upgrade=h2c, websocket|Connection=keep-alive|"
           "Connection=Upgrade\n");
}

static void test_pipelined(void **state)
{
    (void)state;
    expect("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\nGET /3 HT",
           HTTP_KIND_REQUEST, "GET|/1||0 keep|0|Host=a\nGET|/2||0 keep|0|Host=b\n");
}

static void test_answers(void **state)
{
    (void)state;
    expect("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
           HTTP_KIND_ANSWER, "|||101 keep upgrade|0|Upgrade=websocket|Connection=Upgrade\n");
    expect("HTTP/1.1 403 \r\nContent-Length: 3\r\n\r\n", HTTP_KIND_ANSWER,
           "|||403 keep body|3|Content-Length=3\n");
    expect("HTTP/1.0 200 OK\r\n\r\n", HTTP_KIND_ANSWER, "|||200|0\n");
}

struct bad_head {
    const char *what;
    unsigned status;
    const char *head;
};

static const struct bad_head bad_heads[] = {
    {"no version", 400, "GET /\r\nHost: a\r\n\r\n"},
    {"two blanks before the target", 400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"blank in the target", 400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"tab in the first line", 400, "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"blank behind the version", 400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
    {"empty target", 400, "GET  HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"absolute form of another scheme", 400, "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"absolute form without a host", 400, "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"absolute form with a user", 400, "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"absolute form, Host missing", 400, "GET http://a/ HTTP/1.1\r\n\r\n"},
    {"absolute form, wrong Host", 400, "GET http://a/ HTTP/1.1\r\nHost: b/c\r\n\r\n"},
    {"CONNECT", 400, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"},
    {"asterisk form", 400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"asterisk and more", 400, "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"fragment", 400, "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"raw UTF-8 in the target", 400, "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"method that is not a word", 400, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"no method", 400, " / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"method without end", 400, "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG"},
    {"HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"HTTP/0.9 by number", 505, "GET / HTTP/0.9\r\nHost: a\r\n\r\n"},
    {"HTTP/1.2", 505, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"},
    {"lower case version", 400, "GET / http/1.1\r\nHost: a\r\n\r\n"},
    {"version of two digits", 400, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
    {"bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"},
    {"bare LF in a header", 400, "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
    {"bare CR", 400, "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"},
    {"CR CR LF", 400, "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"},
    {"folded line", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"},
    {"folded by a tab", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz\r\n\r\n"},
    {"blank before the first header", 400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
    {"no Host", 400, "GET / HTTP/1.1\r\n\r\n"},
    {"two Hosts", 400, "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"},
    {"Host with a slash", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"Host with a user", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
    {"Host with two ports", 400, "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n"},
    {"Host with a bracket", 400, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
    {"two Origins", 400, "GET / HTTP/1.1\r\nHost: a\r\nOrigin: a\r\nOrigin: a\r\n\r\n"},
    {"Host with a quote", 400, "GET / HTTP/1.1\r\nHost: a\"b\r\n\r\n"},
    {"two equal Content-Lengths", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {"list of Content-Lengths", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n"},
    {"signed Content-Length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"},
    {"negative Content-Length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
    {"hexadecimal Content-Length", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n"},
    {"empty Content-Length", 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"},
    {"Content-Length over 64 bits", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n"},
    {"both lengths", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"both lengths, other order", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"},
    {"two Transfer-Encodings", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
     "chunked\r\n\r\n"},
    {"Transfer-Encoding in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"chunked in disguise", 400,
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;x\r\n\r\n"},
    {"compressed and chunked", 501,
     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
    {"blank before the colon", 400, "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"},
    {"blank in a name", 400, "GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n"},
    {"no colon", 400, "GET / HTTP/1.1\r\nHost: a\r\nXY\r\n\r\n"},
    {"empty name", 400, "GET / HTTP/1.1\r\nHost: a\r\n: y\r\n\r\n"},
    {"control character in a value", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n"},
    {"delete in a value", 400, "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n"},
    {"two handshake keys", 400,
     "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n"},
    {"two empty lines first", 400, "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"TLS", 400, "\x16\x03\x01\x02"},
};

static void test_bad_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_heads); i++) {
        char *text = record(slice_of(bad_heads[i].head), HTTP_KIND_REQUEST);
        char status[8];
        snprintf(status, sizeof(status), "!%u ", bad_heads[i].status);
        if (strncmp(text, status, strlen(status)) != 0)
            fail_msg("%s: expected %s, got %s", bad_heads[i].what, status, text);
        memory_free(text);
    }
}

static void test_bad_answers(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "HTTP/1.1 20 OK\r\n\r\n",      "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",          "HTTP/1.1\r\n\r\n",        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\n\n",     "HTTP/1.1 200 OK\r\nA\r\n\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char *text = record(slice_of(bad[i]), HTTP_KIND_ANSWER);
        assert_memory_equal(text, "!", 1);
        memory_free(text);
    }
}

/* "GET " + a target of that size + the rest. */
static char *record_target(size_t target_size)
{
    struct buffer head;
    buffer_init(&head, 2 * LIMIT_HTTP_HEAD);
    buffer_append_text(&head, "GET /");
    for (size_t i = 1; i < target_size; i++)
        buffer_append_text(&head, "a");
    buffer_append_text(&head, " HTTP/1.1\r\nHost: a\r\n\r\n");
    char *text = record(buffer_slice(&head), HTTP_KIND_REQUEST);
    buffer_release(&head);
    return text;
}

static void test_target_limit(void **state)
{
    (void)state;
    char *text = record_target(LIMIT_HTTP_TARGET);
    assert_memory_equal(text, "GET|/aa", 7);
    memory_free(text);
    text = record_target(LIMIT_HTTP_TARGET + 1);
    assert_memory_equal(text, "!414 ", 5);
    memory_free(text);
}

static char *record_headers(size_t count)
{
    struct buffer head;
    buffer_init(&head, LIMIT_HTTP_HEAD);
    buffer_append_text(&head, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < count; i++)
        buffer_append_text(&head, "X: y\r\n");
    buffer_append_text(&head, "\r\n");
    char *text = record(buffer_slice(&head), HTTP_KIND_REQUEST);
    buffer_release(&head);
    return text;
}

static void test_header_limits(void **state)
{
    (void)state;
    char *text = record_headers(LIMIT_HTTP_HEADERS);
    assert_memory_equal(text, "GET|/|", 6);
    memory_free(text);
    text = record_headers(LIMIT_HTTP_HEADERS + 1);
    assert_memory_equal(text, "!431 ", 5);
    memory_free(text);
}

/* A head of exactly so many bytes. */
static char *record_size(size_t head_size)
{
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    static const char end[] = "\r\n\r\n";
    struct buffer head;
    buffer_init(&head, 2 * LIMIT_HTTP_HEAD);
    buffer_append_text(&head, start);
    while (head.size < head_size - strlen(end))
        buffer_append_text(&head, "x");
    buffer_append_text(&head, end);
    assert_int_equal(head.size, head_size);
    char *text = record(buffer_slice(&head), HTTP_KIND_REQUEST);
    buffer_release(&head);
    return text;
}

static void test_head_limit(void **state)
{
    (void)state;
    char *text = record_size(LIMIT_HTTP_HEAD);
    assert_memory_equal(text, "GET|/|", 6);
    memory_free(text);
    text = record_size(LIMIT_HTTP_HEAD + 1);
    assert_memory_equal(text, "!431 ", 5);
    memory_free(text);
}

static void test_nul_in_head(void **state)
{
    (void)state;
    char *text = record(SLICE("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"), HTTP_KIND_REQUEST);
    assert_memory_equal(text, "!400 ", 5);
    memory_free(text);
}

static void test_started(void **state)
{
    (void)state;
    struct http_reader *reader = http_reader_create(HTTP_KIND_REQUEST);
    size_t used;
    const struct http_head *head;
    assert_false(http_reader_started(reader));
    assert_int_equal(http_read(reader, SLICE("GET"), &used, &head), HTTP_READ_MORE);
    assert_true(http_reader_started(reader));
    assert_int_equal(http_read(reader, SLICE(" / HTTP/1.0\r\n\r\n"), &used, &head), HTTP_READ_HEAD);
    assert_false(http_reader_started(reader));
    http_reader_destroy(reader);
    http_reader_destroy(NULL);
}

static void test_tokens(void **state)
{
    (void)state;
    assert_true(http_has_token(SLICE("Upgrade"), "upgrade"));
    assert_true(http_has_token(SLICE("keep-alive ,\tUPGRADE"), "upgrade"));
    assert_false(http_has_token(SLICE("upgrades"), "upgrade"));
    assert_false(http_has_token(SLICE(""), "upgrade"));
    assert_false(http_has_token(SLICE(",,"), "upgrade"));
    assert_false(http_has_token((struct slice){.data = NULL}, "upgrade"));
}

struct query_case {
    const char *query;
    bool found;
    bool present;
    const char *value;
};

static void test_queries(void **state)
{
    (void)state;
    static const struct query_case cases[] = {
        {"", false, false, ""},
        {"since", true, true, ""},
        {"since=", true, true, ""},
        {"since=a.1.2", true, true, "a.1.2"},
        {"x=1&since=b", true, true, "b"},
        {"since=b&since=c", true, true, "b"},
        {"Since=b", false, false, ""},
        {"xsince=b", false, false, ""},
        {"since=%41%2e", true, true, "A."},
        {"since=a+b", true, true, "a+b"},
        {"since=a=b", true, true, "a=b"},
        {"since=%", false, true, ""},
        {"since=%4", false, true, ""},
        {"since=%4g", false, true, ""},
        {"since=%00", false, true, ""},
        {"since=1234567", true, true, "1234567"},
        {"since=12345678", false, true, ""},
        {"&&since=1&&", true, true, "1"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[8];
        bool present;
        bool found = http_query_find(slice_of(cases[i].query), "since", out, sizeof(out), &present);
        assert_int_equal(found, cases[i].found);
        assert_int_equal(present, cases[i].present);
        if (found)
            assert_string_equal(out, cases[i].value);
    }
}

static void test_accept_of_the_rfc(void **state)
{
    (void)state;
    char accept[WS_ACCEPT_SIZE + 1];
    ws_accept_for(SLICE("dGhlIHNhbXBsZSBub25jZQ=="), accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void test_keys_differ(void **state)
{
    (void)state;
    char first[WS_KEY_SIZE + 1];
    char second[WS_KEY_SIZE + 1];
    ws_key_make(first);
    ws_key_make(second);
    assert_int_equal(strlen(first), WS_KEY_SIZE);
    assert_string_not_equal(first, second);
}

struct handshake_case {
    const char *first_line;
    const char *headers;
    unsigned status;
};

#define GOOD_KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static void test_handshake_requests(void **state)
{
    (void)state;
    static const struct handshake_case cases[] = {
        {"GET / HTTP/1.1", UPGRADE GOOD_KEY "Sec-WebSocket-Version: 13\r\n", 0},
        {"GET / HTTP/1.1",
         "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" GOOD_KEY
         "Sec-WebSocket-Version: 13\r\n",
         0},
        {"POST / HTTP/1.1", UPGRADE GOOD_KEY "Sec-WebSocket-Version: 13\r\n", 405},
        {"GET / HTTP/1.0", UPGRADE GOOD_KEY "Sec-WebSocket-Version: 13\r\n", 426},
        {"GET / HTTP/1.1", "", 426},
        {"GET / HTTP/1.1", "Upgrade: websocket\r\n" GOOD_KEY "Sec-WebSocket-Version: 13\r\n", 426},
        {"GET / HTTP/1.1", "Upgrade: h2c\r\nConnection: Upgrade\r\n", 426},
        {"GET / HTTP/1.1", UPGRADE GOOD_KEY, 426},
        {"GET / HTTP/1.1", UPGRADE GOOD_KEY "Sec-WebSocket-Version: 8\r\n", 426},
        {"GET / HTTP/1.1", UPGRADE "Sec-WebSocket-Version: 13\r\n", 400},
        {"GET / HTTP/1.1", UPGRADE "Sec-WebSocket-Key: short==\r\nSec-WebSocket-Version: 13\r\n",
         400},
        {"GET / HTTP/1.1",
         UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQQQ\r\nSec-WebSocket-Version: 13\r\n",
         400},
        {"GET / HTTP/1.1",
         UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2*jZQ==\r\nSec-WebSocket-Version: 13\r\n",
         400},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%s\r\nHost: a\r\n%s\r\n", cases[i].first_line,
                 cases[i].headers);
        struct http_reader *reader = http_reader_create(HTTP_KIND_REQUEST);
        size_t used;
        const struct http_head *head;
        const char *reason;
        assert_int_equal(http_read(reader, slice_of(text), &used, &head), HTTP_READ_HEAD);
        assert_int_equal(ws_handshake_check(head, &reason), cases[i].status);
        http_reader_destroy(reader);
    }
}

static void test_handshake_answers(void **state)
{
    (void)state;
    static const struct handshake_case cases[] = {
        {"HTTP/1.1 101 x", UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 0},
        {"HTTP/1.1 200 x", UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 1},
        {"HTTP/1.1 101 x", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 1},
        {"HTTP/1.1 101 x", UPGRADE "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 1},
        {"HTTP/1.1 101 x", UPGRADE, 1},
        {"HTTP/1.1 101 x",
         UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                 "Sec-WebSocket-Extensions: permessage-deflate\r\n",
         1},
        {"HTTP/1.1 101 x",
         UPGRADE "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                 "Sec-WebSocket-Protocol: chat\r\n",
         1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[512];
        snprintf(text, sizeof(text), "%s\r\n%s\r\n", cases[i].first_line, cases[i].headers);
        struct http_reader *reader = http_reader_create(HTTP_KIND_ANSWER);
        size_t used;
        const struct http_head *head;
        struct err err;
        assert_int_equal(http_read(reader, slice_of(text), &used, &head), HTTP_READ_HEAD);
        int failed = ws_handshake_accepted(head, "dGhlIHNhbXBsZSBub25jZQ==", &err);
        assert_int_equal(failed != 0, cases[i].status);
        http_reader_destroy(reader);
    }
}

static void test_percent_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *decoded; /* NULL: refused */
    } cases[] = {
        {"", ""},           {"abc", "abc"},   {"%41%62", "Ab"},
        {"a+b", "a+b"},     {"%2F%2f", "//"}, {"%25", "%"},
        {"%2541", "%41"},   {"%fF", "\xff"},  {"1234567", "1234567"},
        {"12345678", NULL}, {"%", NULL},      {"%4", NULL},
        {"%4g", NULL},      {"%g4", NULL},    {"a%", NULL},
        {"%%41", NULL},     {"%00", NULL},    {"a%00b", NULL},
        {"% 1", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[8];
        bool good = http_percent_decode(slice_of(cases[i].text), out, sizeof(out));
        if (good != (cases[i].decoded != NULL))
            fail_msg("%s", cases[i].text);
        if (good)
            assert_string_equal(out, cases[i].decoded);
    }
}

static void test_etags(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        bool matches;
    } cases[] = {
        {"", false},
        {"If-None-Match: \"a.1\"\r\n", true},
        {"if-none-match:\"a.1\"\r\n", true},
        {"If-None-Match: W/\"a.1\"\r\n", true},
        {"If-None-Match: w/\"a.1\"\r\n", false},
        {"If-None-Match: *\r\n", true},
        {"If-None-Match: \"x\", *\r\n", false},
        {"If-None-Match: \"x\",\"a.1\"\r\n", true},
        {"If-None-Match: \"x\" , , W/\"a.1\" ,\r\n", true},
        {"If-None-Match: \"x\"\r\nIf-None-Match: \"a.1\"\r\n", true},
        {"If-None-Match: \"a.2\"\r\n", false},
        {"If-None-Match: \"a.11\"\r\n", false},
        {"If-None-Match: a.1\r\n", false},
        {"If-None-Match: 'a.1'\r\n", false},
        {"If-None-Match: \"a.1\r\n", false},
        {"If-None-Match: a.1\"\r\n", false},
        {"If-None-Match: \"\r\n", false},
        {"If-None-Match: \r\n", false},
        {"If-None-Match: \"x,\"a.1\"\r\n", false}, /* the tag is `"x,"`, then garbage */
        {"If-None-Match: garbage, \"a.1\"\r\n", false},
        {"If-None-Match: x\"\"a.1\"\r\n", false},
        {"If-Match: \"a.1\"\r\n", false},
        {"X-If-None-Match: \"a.1\"\r\n", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", cases[i].headers);
        struct http_reader *reader = http_reader_create(HTTP_KIND_REQUEST);
        size_t used;
        const struct http_head *head;
        assert_int_equal(http_read(reader, slice_of(text), &used, &head), HTTP_READ_HEAD);
        if (http_etag_matches(head, SLICE("\"a.1\"")) != cases[i].matches)
            fail_msg("%s", cases[i].headers);
        http_reader_destroy(reader);
    }
}

int main(void)
{
    srand(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_bad_heads),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_target_limit),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_head_limit),
        cmocka_unit_test(test_nul_in_head),
        cmocka_unit_test(test_started),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_percent_decode),
        cmocka_unit_test(test_etags),
        cmocka_unit_test(test_accept_of_the_rfc),
        cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_handshake_requests),
        cmocka_unit_test(test_handshake_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
