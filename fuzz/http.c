/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of HTTP heads against hostile bytes: whole, byte by byte and cut at places that the
 * input itself chooses, the record must be the same. Each head is also looked at as the server and
 * the client would. First byte: request or answer; second: the cuts.
 */
#include "fuzz/pieces.h"
#include "net/http_record_test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* step 0: whole; else pieces of 1 to step bytes. */
static struct buffer record_of(enum http_kind kind, struct slice bytes, size_t step)
{
    struct http_record record;
    http_record_init(&record, kind);
    for (size_t at = 0, piece = 0; at < bytes.size; at += piece) {
        piece = piece_size(bytes, at, step);
        http_record_feed(&record, bytes.data + at, piece);
    }
    struct buffer text = record.text;
    http_reader_destroy(record.reader);
    return text;
}

static void compare(enum http_kind kind, struct slice bytes, const struct buffer *whole,
                    size_t step)
{
    struct buffer cut = record_of(kind, bytes, step);
    if (!slice_equal(buffer_slice(&cut), buffer_slice(whole)))
        abort();
    buffer_release(&cut);
}

static void use_head(enum http_kind kind, const struct http_head *head)
{
    const char *reason = NULL;
    char value[16];
    bool present;
    struct err err;
    if (kind == HTTP_KIND_ANSWER) {
        (void)!ws_handshake_accepted(head, "dGhlIHNhbXBsZSBub25jZQ==", &err);
        return;
    }
    unsigned status = ws_handshake_check(head, &reason);
    if (status != 0 && reason == NULL)
        abort();
    if (http_query_find(head->query, "since", value, sizeof(value), &present) && !present)
        abort();
}

static void read_and_use(enum http_kind kind, struct slice bytes)
{
    struct http_reader *reader = http_reader_create(kind);
    const struct http_head *head;
    size_t used;
    while (bytes.size > 0 && http_read(reader, bytes, &used, &head) == HTTP_READ_HEAD) {
        use_head(kind, head);
        bytes.data += used;
        bytes.size -= used;
    }
    http_reader_destroy(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum http_kind kind = (data[0] & 1) != 0 ? HTTP_KIND_ANSWER : HTTP_KIND_REQUEST;
    struct slice bytes = {.data = (const char *)data + 2, .size = size - 2};
    struct buffer whole = record_of(kind, bytes, 0);
    compare(kind, bytes, &whole, 1);
    compare(kind, bytes, &whole, (size_t)data[1] + 2);
    buffer_release(&whole);
    read_and_use(kind, bytes);
    return 0;
}
