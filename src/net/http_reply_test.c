/* SPDX-License-Identifier: Apache-2.0 */
/* Each input whole, cut in two at every place, and byte by byte: what is read must be the same. */
#include "net/http_reply.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BODY_MAX 100
#define OK "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

/* "200:body", "more", or "failed:reason". */
static void write_result(struct http_reply *reply, enum http_reply_result result, char *out,
                         size_t size)
{
    switch (result) {
    case HTTP_REPLY_MORE:
        snprintf(out, size, "more");
        return;
    case HTTP_REPLY_FAILED:
        snprintf(out, size, "failed:%s", http_reply_reason(reply));
        return;
    case HTTP_REPLY_WHOLE:
        snprintf(out, size, "%u:%s", http_reply_head(reply)->status, http_reply_body(reply).data);
        struct slice body = http_reply_body(reply);
        volatile char sum = 0;
        for (size_t i = 0; i < LIMIT_PADDING; i++)
            sum = (char)(sum ^ body.data[body.size + i]); /* readable: AddressSanitizer's to say */
        return;
    }
}

static void feed(struct http_reply *reply, struct slice input, size_t first, size_t step)
{
    size_t at = 0;
    while (at < input.size) {
        size_t size = at == 0 && first > 0 ? first : step;
        size = size < input.size - at ? size : input.size - at;
        char *copy = memory_alloc(size); /* of exactly that size */
        memcpy(copy, input.data + at, size);
        (void)http_reply_read(reply, (struct slice){.data = copy, .size = size});
        memory_free(copy);
        at += size;
    }
}

static void expect_cut(struct slice input, bool ends, const char *expected, size_t first,
                       size_t step)
{
    char text[400];
    struct http_reply *reply = http_reply_create(BODY_MAX);
    feed(reply, input, first, step);
    write_result(
        reply, ends ? http_reply_end(reply) : http_reply_read(reply, (struct slice){.data = NULL}),
        text, sizeof(text));
    if (strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("%.*s: %s, not %s (cut at %zu, %zu)", (int)(input.size < 200 ? input.size : 200),
                 input.data, text, expected, first, step);
    http_reply_destroy(reply);
}

static void expect_all(struct slice input, bool ends, const char *expected)
{
    expect_cut(input, ends, expected, 0, 1);
    for (size_t first = 1; first <= input.size && first < 2000; first++)
        expect_cut(input, ends, expected, first, input.size);
}

static void expect(const char *input, const char *expected)
{
    expect_all(slice_of(input), false, expected);
}

static void expect_at_end(const char *input, const char *expected)
{
    expect_all(slice_of(input), true, expected);
}

static void test_whole_answers(void **state)
{
    (void)state;
    expect(OK "Content-Length: 5\r\n\r\nhello", "200:hello");
    expect(OK "Content-Length: 5\r\n\r\nhello, and more", "200:hello");
    expect(OK "Content-Length: 0\r\n\r\n", "200:");
    expect("HTTP/1.1 204 No Content\r\n\r\n", "204:");
    expect("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "304:");
    expect("HTTP/1.1 418 \r\nContent-Length: 2\r\n\r\nno", "418:no");
    expect("HTTP/1.0 302 Found\r\nLocation: /x\r\nContent-Length: 1\r\n\r\n!", "302:!");
    expect_at_end(OK "\r\nto the end", "200:to the end");
    expect_at_end("HTTP/1.0 200 OK\r\n\r\n", "200:");
}

static void test_chunks(void **state)
{
    (void)state;
    expect(CHUNKED "5\r\nhello\r\n0\r\n\r\n", "200:hello");
    expect(CHUNKED "1\r\nh\r\n000A\r\n0123456789\r\n0\r\n\r\nbehind", "200:h0123456789");
    expect(CHUNKED "a;name=value\r\n0123456789\r\n0;x\r\n\r\n", "200:0123456789");
    expect(CHUNKED "2 \r\nhi\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n", "200:hi");
    expect(CHUNKED "0\r\n\r\n", "200:");
    expect(CHUNKED "2\r\nhi\r\n0\r\n\r", "more");
}

static void test_interim_answers(void **state)
{
    (void)state;
    expect("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK
           "Content-Length: 2\r\n\r\nhi",
           "200:hi");
#define TWO "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    expect(TWO TWO TWO TWO "HTTP/1.1 100 Continue\r\n\r\n", "failed:more than 8 interim answers");
    expect("HTTP/1.1 101 Switching Protocols\r\n\r\n", "failed:answer 101");
}

static void test_ended_early(void **state)
{
    (void)state;
    expect_at_end("", "failed:the connection ended without an answer");
    expect_at_end("HTTP/1.1 100 Continue\r\n\r\n", "failed:the connection ended without an answer");
    expect_at_end(OK "Content-Le", "failed:the connection ended inside the head");
    expect_at_end(OK "Content-Length: 5\r\n\r\nhell",
                  "failed:the connection ended inside the body");
    expect_at_end(CHUNKED "5\r\nhello\r\n", "failed:the connection ended inside the body");
    expect_at_end(CHUNKED "5\r\nhello\r\n0\r\n", "failed:the connection ended inside the body");
    expect_at_end(OK "Content-Length: 5\r\n\r\nhello", "200:hello");
}

static void test_hostile_heads(void **state)
{
    (void)state;
    expect("SSH-2.0-OpenSSH_9.2\r\n\r\n", "failed:not a good HTTP answer");
    expect(OK "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
           "failed:not a good HTTP answer");
    expect(OK "Content-Length: 5, 5\r\n\r\nhello", "failed:not a good HTTP answer");
    expect(OK "Content-Length: -1\r\n\r\n", "failed:not a good HTTP answer");
    expect(OK "Content-Length: +1\r\n\r\n1", "failed:not a good HTTP answer");
    expect(OK "Content-Length: 18446744073709551616\r\n\r\n", "failed:not a good HTTP answer");
    expect(OK "Content-Length: 9223372036854775807\r\n\r\n",
           "failed:the body is 9223372036854775807 bytes long, and 100 are allowed");
    expect(OK "Content-Length: 101\r\n\r\n", "failed:the body is 101 bytes long");
    expect(OK "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "failed:not a good");
    expect(OK "Transfer-Encoding: gzip, chunked\r\n\r\n", "failed:not a good");
    expect("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "failed:not a good");
    expect("HTTP/2 200\r\n\r\n", "failed:not a good");
    static char endless[LIMIT_HTTP_HEAD + 1000];
    memset(endless, 'a', sizeof(endless));
    memcpy(endless, OK "X: ", strlen(OK "X: "));
    expect_cut((struct slice){.data = endless, .size = sizeof(endless)}, false,
               "failed:not a good HTTP answer: the head is too large", 0, 1000);
}

static void test_hostile_chunks(void **state)
{
    (void)state;
    expect(CHUNKED "\r\n", "failed:a chunk's size is not a number");
    expect(CHUNKED "-1\r\n", "failed:a chunk's size is not a number");
    expect(CHUNKED "0x5\r\nhello", "failed:a chunk's size is not a number");
    expect(CHUNKED " 5\r\nhello", "failed:a chunk's size is not a number");
    expect(CHUNKED ";5\r\nhello", "failed:a chunk's size is not a number");
    expect(CHUNKED "5\nhello", "failed:a chunk's size is not a number");
    expect(CHUNKED "5;a\nhello", "failed:a control character");
    expect(CHUNKED "65\r\n", "failed:the body is longer than 100 bytes");
    expect(CHUNKED "10000000000000005\r\nhello", "failed:the body is longer than 100 bytes");
    expect(CHUNKED "ffffffffffffffff\r\n", "failed:the body is longer than 100 bytes");
    expect(CHUNKED "5\r\nhello0\r\n", "failed:a chunk does not end where its size says");
    expect(CHUNKED "5\r\nhello\n0\r\n", "failed:a chunk does not end where its size says");
    expect(CHUNKED "5\rhello", "failed:a chunk does not end where its size says");
    expect(CHUNKED "0\r\nA: b\n\r\n", "failed:a control character in a trailer");
    static char zeros[sizeof(CHUNKED) + 300] = CHUNKED;
    memset(zeros + sizeof(CHUNKED) - 1, '0', 300);
    expect(zeros, "failed:a chunk's first line is longer than 256 bytes");
    static char trailers[LIMIT_HTTP_HEAD + 1000] = CHUNKED "0\r\nX: ";
    memset(trailers + strlen(trailers), 'a', sizeof(trailers) - strlen(trailers) - 1);
    expect_cut(slice_of(trailers), false, "failed:the trailers are longer", 0, 777);
}

static void test_endless_bodies(void **state)
{
    (void)state;
    static char open[400] = OK "\r\n";
    memset(open + strlen(open), 'a', sizeof(open) - strlen(open) - 1);
    expect(open, "failed:the body is longer than 100 bytes");
#define CHUNK "1a\r\nabcdefghijklmnopqrstuvwxyz\r\n"
    expect(CHUNKED CHUNK CHUNK CHUNK CHUNK CHUNK, "failed:the body is longer than 100 bytes");
    open[strlen(OK "\r\n") + 100] = '\0'; /* exactly as much as is allowed */
    expect_at_end(open, "200:aaaa");
}

/* ---- Retry-After ---- */

#define NOW_US                                                                                     \
    (INT64_C(784111777) * 1000000) /* Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110, 5.6.7)              \
                                    */

static void expect_retry(const char *value, int64_t expected)
{
    char input[200];
    snprintf(input, sizeof(input), OK "%s%s\r\nContent-Length: 0\r\n\r\n",
             value == NULL ? "X: y" : "Retry-After: ", value == NULL ? "" : value);
    struct http_reply *reply = http_reply_create(BODY_MAX);
    assert_int_equal(http_reply_read(reply, slice_of(input)), HTTP_REPLY_WHOLE);
    int64_t got = http_retry_after_s(http_reply_head(reply), NOW_US);
    if (got != expected)
        fail_msg("%s: %lld", value == NULL ? "none" : value, (long long)got);
    http_reply_destroy(reply);
}

static void test_retry_after(void **state)
{
    (void)state;
    expect_retry(NULL, -1);
    expect_retry("", -1);
    expect_retry("0", 0);
    expect_retry("120", 120);
    expect_retry("999999999999999999999999", 999999999);
    expect_retry("-5", -1);
    expect_retry("1.5", -1);
    expect_retry("soon", -1);
    expect_retry("Sun, 06 Nov 1994 08:50:37 GMT", 60);
    expect_retry("Sunday, 06-Nov-94 08:50:37 GMT", 60);
    expect_retry("Sun Nov  6 08:50:37 1994", 60);
    expect_retry("Sun, 06 Nov 1994 08:49:37 GMT", 0);
    expect_retry("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    expect_retry("Fri, 31 Dec 9999 23:59:59 GMT", 999999999);
    expect_retry("Sun, 06 Nov 1994 08:50:37 EST", -1);
    expect_retry("Sun, 06 Foo 1994 08:50:37 GMT", -1);
    expect_retry("Sun, 06 Nov 1994 08:50:37 GMT and more", -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_answers),   cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_interim_answers), cmocka_unit_test(test_ended_early),
        cmocka_unit_test(test_hostile_heads),   cmocka_unit_test(test_hostile_chunks),
        cmocka_unit_test(test_endless_bodies),  cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
