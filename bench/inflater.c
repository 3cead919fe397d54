/* SPDX-License-Identifier: Apache-2.0 */
/* A table of what was inflated lately, addressed by a hash of a message's first bytes; each place
 * holds the newest message of its hash. */
#include "bench/inflater.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "bench/tally.h"

#include <assert.h>
#include <zlib.h>

#define PLACES 1024
#define HASHED 64 /* bytes: enough to hold number and time of a message */
#define STEP ((size_t)16 * 1024)
#define RAW_WINDOW_BITS (-15)

struct place {
    struct buffer compressed;
    struct buffer text; /* with padding behind it; size is without */
};

struct inflater {
    z_stream stream;
    struct place place[PLACES];
};

struct inflater *inflater_create(void)
{
    struct inflater *inflater = memory_alloc(sizeof *inflater);
    int failed = inflateInit2(&inflater->stream, RAW_WINDOW_BITS);
    assert(failed == Z_OK);
    (void)failed;
    for (size_t i = 0; i < PLACES; i++) {
        buffer_init(&inflater->place[i].compressed, INFLATER_TEXT_MAX);
        buffer_init(&inflater->place[i].text, INFLATER_TEXT_MAX + STEP + TALLY_PADDING);
    }
    return inflater;
}

void inflater_destroy(struct inflater *inflater)
{
    if (inflater == NULL)
        return;
    inflateEnd(&inflater->stream);
    for (size_t i = 0; i < PLACES; i++) {
        buffer_release(&inflater->place[i].compressed);
        buffer_release(&inflater->place[i].text);
    }
    memory_free(inflater);
}

/* Inflates what the stream has as input; false when it is no such thing, or too much. */
static bool inflate_part(z_stream *stream, struct buffer *text)
{
    do {
        if (text->size > INFLATER_TEXT_MAX)
            return false;
        char *room = buffer_reserve(text, STEP + TALLY_PADDING);
        stream->next_out = (Bytef *)room;
        stream->avail_out = STEP;
        int status = inflate(stream, Z_SYNC_FLUSH);
        text->size += STEP - stream->avail_out;
        if (status == Z_STREAM_END) /* a last block: nothing may follow but the tail */
            return true;
        if (status != Z_OK && status != Z_BUF_ERROR)
            return false;
    } while (stream->avail_in > 0 || stream->avail_out == 0);
    return true;
}

static bool inflate_whole(struct inflater *inflater, struct slice compressed, struct buffer *text)
{
    static const Bytef tail[] = {0, 0, 0xff, 0xff};
    z_stream *stream = &inflater->stream;
    buffer_clear(text);
    inflateReset(stream);
    stream->next_in = (z_const Bytef *)(uintptr_t)compressed.data;
    stream->avail_in = (uInt)compressed.size;
    if (!inflate_part(stream, text))
        return false;
    stream->next_in = (z_const Bytef *)(uintptr_t)tail;
    stream->avail_in = sizeof tail;
    return inflate_part(stream, text);
}

bool inflater_message(struct inflater *inflater, struct slice compressed, struct slice *ret_text)
{
    struct slice head = compressed;
    if (head.size > HASHED)
        head.size = HASHED;
    struct place *place = &inflater->place[(slice_hash(head) ^ compressed.size) % PLACES];
    if (place->compressed.size == 0 || !slice_equal(buffer_slice(&place->compressed), compressed)) {
        buffer_clear(&place->compressed);
        if (!inflate_whole(inflater, compressed, &place->text))
            return false;
        buffer_append_slice(&place->compressed, compressed);
    }
    *ret_text = buffer_slice(&place->text);
    return true;
}
