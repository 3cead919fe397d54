/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of whole HTTP answers against hostile bytes: whole, byte by byte and cut at places
 * that the input itself chooses, the outcome must be the same, and no longer than is allowed. First
 * byte: the cuts.
 */
#include "base/memory.h"
#include "fuzz/pieces.h"
#include "net/http_reply.h"

#include <stdlib.h>

#define BODY_MAX 100
#define NOW_US INT64_C(784111777000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_outcome(struct http_reply *reply, enum http_reply_result result,
                          struct buffer *out)
{
    buffer_append_format(out, "%d ", (int)result);
    if (result == HTTP_REPLY_FAILED)
        buffer_append_text(out, http_reply_reason(reply));
    if (result != HTTP_REPLY_WHOLE)
        return;
    struct slice body = http_reply_body(reply);
    int64_t wait_s = http_retry_after_s(http_reply_head(reply), NOW_US);
    if (body.size > BODY_MAX || body.data[body.size] != '\0' || wait_s < -1)
        abort();
    buffer_append_format(out, "%u %lld ", http_reply_head(reply)->status, (long long)wait_s);
    buffer_append_slice(out, body);
}

/* step 0: whole; else pieces of 1 to step bytes. */
static struct buffer outcome_of(struct slice bytes, size_t step)
{
    struct buffer out;
    struct http_reply *reply = http_reply_create(BODY_MAX);
    buffer_init(&out, 1 << 20);
    for (size_t at = 0, piece = 0; at < bytes.size; at += piece) {
        piece = piece_size(bytes, at, step);
        char *copy = memory_alloc(piece); /* of its own size */
        memcpy(copy, bytes.data + at, piece);
        (void)http_reply_read(reply, (struct slice){.data = copy, .size = piece});
        memory_free(copy);
    }
    write_outcome(reply, http_reply_read(reply, (struct slice){.data = NULL}), &out);
    write_outcome(reply, http_reply_end(reply), &out);
    http_reply_destroy(reply);
    return out;
}

static void compare(struct slice bytes, const struct buffer *whole, size_t step)
{
    struct buffer cut = outcome_of(bytes, step);
    if (!slice_equal(buffer_slice(&cut), buffer_slice(whole)))
        abort();
    buffer_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct slice bytes = {.data = (const char *)data + 1, .size = size - 1};
    struct buffer whole = outcome_of(bytes, 0);
    compare(bytes, &whole, 1);
    compare(bytes, &whole, (size_t)data[0] + 2);
    buffer_release(&whole);
    return 0;
}
