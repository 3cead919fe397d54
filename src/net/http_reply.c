/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head is the reader's (http.h), which also refuses two lengths and both framings. Chunks are
 * read strictly: CR LF alone ends a line, a size is hexadecimal digits alone, and a line and all
 * trailers together are bounded, so that a peer cannot keep us reading what is thrown away.
 */
#include "net/http_reply.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

#define INTERIM_MAX 8
#define CHUNK_LINE_MAX 256 /* a size and its extensions */

enum reply_state {
    REPLY_HEAD,
    REPLY_SIZED, /* `left` bytes of the body are to come */
    REPLY_OPEN,  /* the body ends with the connection */
    REPLY_CHUNK_SIZE,
    REPLY_CHUNK_EXTENSION,
    REPLY_CHUNK_SIZE_LF,
    REPLY_CHUNK_DATA, /* `left` bytes of it */
    REPLY_CHUNK_CR,
    REPLY_CHUNK_LF,
    REPLY_TRAILER,    /* at the beginning of a line, or in it */
    REPLY_TRAILER_LF, /* behind its CR */
    REPLY_WHOLE,
    REPLY_FAILED
};

struct http_reply {
    struct http_reader *reader;   /* owned */
    const struct http_head *head; /* the reader's */
    struct buffer body;           /* and LIMIT_PADDING */
    enum reply_state state;
    size_t body_max;
    uint64_t left;
    unsigned interim;
    size_t line_size;    /* of a chunk's, or a trailer's */
    size_t digits;       /* of a chunk's size */
    size_t trailer_size; /* of all of them */
    char reason[120];
};

struct http_reply *http_reply_create(size_t body_max)
{
    struct http_reply *reply = memory_alloc(sizeof(*reply));
    reply->reader = http_reader_create(HTTP_KIND_ANSWER);
    reply->body_max = body_max;
    buffer_init(&reply->body, body_max + LIMIT_PADDING);
    return reply;
}

void http_reply_destroy(struct http_reply *reply)
{
    if (reply == NULL)
        return;
    http_reader_destroy(reply->reader);
    buffer_release(&reply->body);
    memory_free(reply);
}

static void PRINTF(2, 3) fail(struct http_reply *reply, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reply->reason, sizeof(reply->reason), format, arguments);
    va_end(arguments);
    reply->state = REPLY_FAILED;
}

/* ---- the head ---- */

static void take_head(struct http_reply *reply)
{
    const struct http_head *head = reply->head;
    bool chunked = http_header_find(head, "Transfer-Encoding").data != NULL;
    bool sized = http_header_find(head, "Content-Length").data != NULL;
    if (head->status == 101) {
        fail(reply, "answer 101 to a request that asked for no other protocol");
    } else if (head->status < 200) {
        reply->head = NULL;
        if (++reply->interim > INTERIM_MAX)
            fail(reply, "more than %d interim answers", INTERIM_MAX);
    } else if (head->status == 204 || head->status == 304) {
        reply->state = REPLY_WHOLE;
    } else if (chunked) {
        reply->state = REPLY_CHUNK_SIZE;
    } else if (sized && head->content_length > reply->body_max) {
        fail(reply, "the body is %llu bytes long, and %zu are allowed",
             (unsigned long long)head->content_length, reply->body_max);
    } else if (sized) {
        reply->left = head->content_length;
        reply->state = reply->left > 0 ? REPLY_SIZED : REPLY_WHOLE;
    } else {
        reply->state = REPLY_OPEN;
    }
}

static size_t read_head(struct http_reply *reply, struct slice input)
{
    size_t used = 0;
    const struct http_head *head = NULL;
    switch (http_read(reply->reader, input, &used, &head)) {
    case HTTP_READ_MORE:
        break;
    case HTTP_READ_HEAD:
        reply->head = head;
        take_head(reply);
        break;
    case HTTP_READ_FAILED:
        fail(reply, "not a good HTTP answer: %s", head->reason);
        break;
    }
    return used;
}

/* ---- the body ---- */

static size_t append(struct http_reply *reply, struct slice input, uint64_t most)
{
    size_t size = input.size < most ? input.size : (size_t)most;
    if (size > reply->body_max - reply->body.size)
        fail(reply, "the body is longer than %zu bytes", reply->body_max);
    else
        buffer_append(&reply->body, input.data, size);
    return size;
}

static size_t read_sized(struct http_reply *reply, struct slice input)
{
    size_t size = append(reply, input, reply->left);
    reply->left -= size;
    if (reply->left == 0 && reply->state == REPLY_SIZED)
        reply->state = REPLY_WHOLE;
    else if (reply->left == 0 && reply->state == REPLY_CHUNK_DATA)
        reply->state = REPLY_CHUNK_CR;
    return size;
}

static void expect(struct http_reply *reply, char byte, char expected, enum reply_state next)
{
    if (byte == expected)
        reply->state = next;
    else
        fail(reply, "a chunk does not end where its size says");
}

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

static void read_size_byte(struct http_reply *reply, char byte)
{
    int digit = hex_digit(byte);
    if (digit >= 0 && reply->state == REPLY_CHUNK_SIZE) {
        reply->digits++;
        reply->left = reply->left * 16 + (unsigned)digit;
        if (reply->left > reply->body_max - reply->body.size)
            fail(reply, "the body is longer than %zu bytes", reply->body_max);
    } else if (reply->digits == 0) {
        fail(reply, "a chunk's size is not a number");
    } else if (byte == '\r') {
        reply->state = REPLY_CHUNK_SIZE_LF;
    } else if (reply->state == REPLY_CHUNK_SIZE && byte != ';' && byte != ' ' && byte != '\t') {
        fail(reply, "a chunk's size is not a number");
    } else if ((unsigned char)byte < ' ' && byte != '\t') {
        fail(reply, "a control character behind a chunk's size");
    } else {
        reply->state = REPLY_CHUNK_EXTENSION;
    }
    if (++reply->line_size > CHUNK_LINE_MAX && reply->state != REPLY_FAILED)
        fail(reply, "a chunk's first line is longer than %d bytes", CHUNK_LINE_MAX);
}

static void end_size(struct http_reply *reply, char byte)
{
    bool last = reply->left == 0;
    expect(reply, byte, '\n', last ? REPLY_TRAILER : REPLY_CHUNK_DATA);
    reply->line_size = 0;
    reply->digits = 0;
}

static void read_trailer_byte(struct http_reply *reply, char byte)
{
    if (++reply->trailer_size > LIMIT_HTTP_HEAD)
        fail(reply, "the trailers are longer than %d bytes", LIMIT_HTTP_HEAD);
    else if (byte == '\r')
        reply->state = REPLY_TRAILER_LF;
    else if ((unsigned char)byte < ' ' && byte != '\t')
        fail(reply, "a control character in a trailer");
    else
        reply->line_size++;
}

static void end_trailer(struct http_reply *reply, char byte)
{
    bool last = reply->line_size == 0;
    expect(reply, byte, '\n', last ? REPLY_WHOLE : REPLY_TRAILER);
    reply->line_size = 0;
}

/* Returns how many bytes it took, one or more. */
static size_t read_some(struct http_reply *reply, struct slice input)
{
    char byte = input.data[0];
    switch (reply->state) {
    case REPLY_HEAD:
        return read_head(reply, input);
    case REPLY_SIZED:
    case REPLY_CHUNK_DATA:
        return read_sized(reply, input);
    case REPLY_OPEN:
        return append(reply, input, UINT64_MAX);
    case REPLY_CHUNK_SIZE:
    case REPLY_CHUNK_EXTENSION:
        read_size_byte(reply, byte);
        return 1;
    case REPLY_CHUNK_SIZE_LF:
        end_size(reply, byte);
        return 1;
    case REPLY_CHUNK_CR:
        expect(reply, byte, '\r', REPLY_CHUNK_LF);
        return 1;
    case REPLY_CHUNK_LF:
        expect(reply, byte, '\n', REPLY_CHUNK_SIZE);
        return 1;
    case REPLY_TRAILER:
        read_trailer_byte(reply, byte);
        return 1;
    case REPLY_TRAILER_LF:
        end_trailer(reply, byte);
        return 1;
    case REPLY_WHOLE:
    case REPLY_FAILED:
        break;
    }
    return input.size;
}

static enum http_reply_result result_of(struct http_reply *reply)
{
    if (reply->state == REPLY_FAILED)
        return HTTP_REPLY_FAILED;
    if (reply->state != REPLY_WHOLE)
        return HTTP_REPLY_MORE;
    char *padding = buffer_reserve(&reply->body, LIMIT_PADDING);
    memset(padding, 0, LIMIT_PADDING);
    return HTTP_REPLY_WHOLE;
}

enum http_reply_result http_reply_read(struct http_reply *reply, struct slice input)
{
    while (input.size > 0 && reply->state != REPLY_WHOLE && reply->state != REPLY_FAILED) {
        size_t used = read_some(reply, input);
        input.data += used;
        input.size -= used;
    }
    return result_of(reply);
}

enum http_reply_result http_reply_end(struct http_reply *reply)
{
    if (reply->state == REPLY_OPEN)
        reply->state = REPLY_WHOLE;
    else if (reply->state == REPLY_HEAD)
        fail(reply, http_reader_started(reply->reader) ? "the connection ended inside the head"
                                                       : "the connection ended without an answer");
    else if (reply->state != REPLY_WHOLE && reply->state != REPLY_FAILED)
        fail(reply, "the connection ended inside the body, after %zu bytes", reply->body.size);
    return result_of(reply);
}

const struct http_head *http_reply_head(const struct http_reply *reply)
{
    return reply->head;
}

struct slice http_reply_body(const struct http_reply *reply)
{
    return buffer_slice(&reply->body);
}

const char *http_reply_reason(const struct http_reply *reply)
{
    return reply->reason;
}
