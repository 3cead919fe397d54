/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The WebSocket codec against hostile bytes: whole, byte by byte and cut at places that the input
 * itself chooses, the record must be the same. First byte: role and size limit; second: the cuts.
 */
#include "fuzz/pieces.h"
#include "net/ws_record_test.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct setup {
    enum ws_role role;
    uint64_t message_max;
};

/* step 0: whole; else pieces of 1 to step bytes. */
static struct buffer record_of(const struct setup *setup, struct slice bytes, size_t step)
{
    struct ws_record record;
    ws_record_init(&record, setup->role, setup->message_max);
    for (size_t at = 0, piece = 0; at < bytes.size; at += piece) {
        piece = piece_size(bytes, at, step);
        ws_record_feed(&record, bytes.data + at, piece);
    }
    ws_record_end(&record);
    return record.text;
}

static void compare(const struct setup *setup, struct slice bytes, const struct buffer *whole,
                    size_t step)
{
    struct buffer cut = record_of(setup, bytes, step);
    if (!slice_equal(buffer_slice(&cut), buffer_slice(whole)))
        abort();
    buffer_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct setup setup = {.role = (data[0] & 1) != 0 ? WS_CLIENT : WS_SERVER,
                                .message_max = (uint64_t)1 << (data[0] >> 1) % 20};
    struct slice bytes = {.data = (const char *)data + 2, .size = size - 2};
    struct buffer whole = record_of(&setup, bytes, 0);
    compare(&setup, bytes, &whole, 1);
    compare(&setup, bytes, &whole, (size_t)data[1] + 2);
    buffer_release(&whole);
    return 0;
}
