/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compressor and the inflater. zlib's memory comes from base/memory once, when they are made;
 * each message only resets it.
 */
#include "net/ws_deflate.h"

#include "base/frame.h"
#include "base/memory.h"
#include "net/ws_priv.h"

#include <assert.h>
#define ZLIB_CONST /* input is read only */
#include <zlib.h>

#define WINDOW_BITS (-15) /* negative: raw, without zlib's header */
/* A hash table of 2^13 entries and 4,096 symbols a block: as small as the greater ones with texts
 * of up to 100 messages, and less to clear before each. */
#define MEMORY_LEVEL 6
#define FLUSH_ROOM 8 /* zlib wants more than six bytes for a flush to be whole */
#define INFLATE_STEP_MIN 4096
#define BLOCK_BOUNDARY 128 /* in data_type, behind a block */

#define CODE_BROKEN 1007
#define CODE_TOO_BIG 1009

/* What a flush ends with; it is not sent (RFC 7692, section 7.2.1). */
static const uint8_t flush_end[] = {0x00, 0x00, 0xff, 0xff};

static void *memory_for_zlib(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return memory_array(count, size);
}

static void memory_from_zlib(void *opaque, void *pointer)
{
    (void)opaque;
    memory_free(pointer);
}

static z_stream stream_start(void)
{
    return (z_stream){.zalloc = memory_for_zlib, .zfree = memory_from_zlib};
}

static void set_input(z_stream *stream, struct slice input)
{
    assert(input.size <= UINT32_MAX);
    stream->next_in = (const Bytef *)input.data;
    stream->avail_in = (unsigned)input.size;
}

/* ---- sending ---- */

struct ws_deflater {
    z_stream stream;
};

struct ws_deflater *ws_deflater_create(int level)
{
    assert(level >= 1 && level <= 9); /* 0 would be stored blocks: bytes added, nothing gained */
    struct ws_deflater *deflater = memory_alloc(sizeof *deflater);
    deflater->stream = stream_start();
    int done = deflateInit2(&deflater->stream, level, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                            Z_DEFAULT_STRATEGY);
    assert(done == Z_OK); /* memory_array does not fail */
    (void)done;
    return deflater;
}

void ws_deflater_destroy(struct ws_deflater *deflater)
{
    if (deflater == NULL)
        return;
    (void)deflateEnd(&deflater->stream);
    memory_free(deflater);
}

/* The size of the compressed payload at `room`, which has space for the plain one and FLUSH_ROOM;
 * payload.size when it does not shrink. */
static size_t compress_payload(struct ws_deflater *deflater, struct slice payload, char *room)
{
    z_stream *stream = &deflater->stream;
    int done = deflateReset(stream);
    assert(done == Z_OK);
    set_input(stream, payload);
    stream->next_out = (Bytef *)room;
    stream->avail_out = (unsigned)(payload.size + FLUSH_ROOM);
    done = deflate(stream, Z_SYNC_FLUSH);
    assert(done == Z_OK);
    (void)done;
    if (stream->avail_out == 0)
        return payload.size; /* there is more to come */
    size_t size = payload.size + FLUSH_ROOM - stream->avail_out;
    assert(size > sizeof flush_end);
    size -= sizeof flush_end;
    assert(memcmp(room + size, flush_end, sizeof flush_end) == 0);
    return size < payload.size ? size : payload.size;
}

void ws_deflate_frame(struct ws_deflater *deflater, enum ws_opcode opcode, struct slice payload,
                      struct buffer *out)
{
    assert(opcode == WS_TEXT || opcode == WS_BINARY);
    assert(payload.size <= INT32_MAX);
    char *frame = buffer_reserve(out, FRAME_HEADER_MAX + payload.size + FLUSH_ROOM);
    if (frame == NULL)
        return;
    size_t size = payload.size;
    char *room = frame + FRAME_HEADER_MAX;
    if (size > 0)
        size = compress_payload(deflater, payload, room);
    bool smaller = size < payload.size;
    unsigned first = (unsigned)opcode | (smaller ? FRAME_COMPRESSED : 0);
    size_t header_size = frame_header_write((uint8_t *)frame, first, size);
    if (size > 0)
        memmove(frame + header_size, smaller ? room : payload.data, size);
    out->size += header_size + size;
    out->data[out->size] = '\0';
}

/* ---- receiving: messages that come in pieces ---- */

struct ws_inflater {
    z_stream stream;
    struct buffer message; /* the last one */
    size_t message_max;
    size_t waiting_max;
    size_t waiting_size;       /* bytes allocated for what waits */
    struct ws_waiting *oldest; /* borrowed from the parsers */
    struct ws_waiting *newest;
};

struct ws_inflater *ws_inflater_create(size_t message_max, size_t waiting_max)
{
    struct ws_inflater *inflater = memory_alloc(sizeof *inflater);
    inflater->stream = stream_start();
    inflater->message_max = message_max;
    inflater->waiting_max = waiting_max;
    buffer_init(&inflater->message, message_max + 1 + LIMIT_PADDING);
    int done = inflateInit2(&inflater->stream, WINDOW_BITS);
    assert(done == Z_OK);
    (void)done;
    return inflater;
}

void ws_inflater_destroy(struct ws_inflater *inflater)
{
    if (inflater == NULL)
        return;
    assert(inflater->oldest == NULL);
    (void)inflateEnd(&inflater->stream);
    buffer_release(&inflater->message);
    memory_free(inflater);
}

size_t ws_inflater_message_max(const struct ws_inflater *inflater)
{
    return inflater->message_max;
}

static void join(struct ws_inflater *inflater, struct ws_waiting *waiting)
{
    waiting->newer = NULL;
    waiting->older = inflater->newest;
    if (inflater->newest != NULL)
        inflater->newest->newer = waiting;
    else
        inflater->oldest = waiting;
    inflater->newest = waiting;
    buffer_init(&waiting->bytes, ws_compressed_max(inflater->message_max));
    inflater->waiting_size += waiting->bytes.capacity;
}

void ws_inflater_forget(struct ws_inflater *inflater, struct ws_waiting *waiting)
{
    if (waiting->bytes.data == NULL)
        return;
    if (waiting->older != NULL)
        waiting->older->newer = waiting->newer;
    else
        inflater->oldest = waiting->newer;
    if (waiting->newer != NULL)
        waiting->newer->older = waiting->older;
    else
        inflater->newest = waiting->older;
    inflater->waiting_size -= waiting->bytes.capacity;
    buffer_release(&waiting->bytes);
}

void ws_inflater_keep(struct ws_inflater *inflater, struct ws_waiting *waiting, struct slice piece)
{
    if (waiting->bytes.data == NULL)
        join(inflater, waiting);
    inflater->waiting_size -= waiting->bytes.capacity;
    buffer_append_slice(&waiting->bytes, piece);
    inflater->waiting_size += waiting->bytes.capacity;
    assert(!waiting->bytes.overflowed);
    while (inflater->waiting_size > inflater->waiting_max && inflater->oldest != inflater->newest)
        ws_parser_give_up(inflater->oldest->parser);
}

/* ---- receiving: inflating ---- */

/* All the room that is there, at least a step if the maximum allows one. */
static void set_output(struct ws_inflater *inflater)
{
    struct buffer *message = &inflater->message;
    size_t room = message->capacity - message->size;
    size_t left = inflater->message_max + 1 - message->size;
    if (room < INFLATE_STEP_MIN + LIMIT_PADDING)
        room = INFLATE_STEP_MIN + LIMIT_PADDING;
    room -= LIMIT_PADDING;
    if (room > left)
        room = left;
    char *target = buffer_reserve(message, room + LIMIT_PADDING);
    assert(target != NULL);
    inflater->stream.next_out = (Bytef *)target;
    inflater->stream.avail_out = (unsigned)room;
}

enum step { STEP_ON, STEP_ENDED, STEP_TOO_BIG, STEP_BROKEN };

/* Inflates until the input is used up, its last block has ended, or it fails. */
static enum step inflate_piece(struct ws_inflater *inflater, int flush)
{
    z_stream *stream = &inflater->stream;
    for (;;) {
        set_output(inflater);
        unsigned room = stream->avail_out;
        unsigned input = stream->avail_in;
        int done = inflate(stream, flush);
        inflater->message.size += room - stream->avail_out;
        if (inflater->message.size > inflater->message_max)
            return STEP_TOO_BIG;
        if (done == Z_STREAM_END)
            return STEP_ENDED;
        if (done != Z_OK && done != Z_BUF_ERROR)
            return STEP_BROKEN;
        bool stuck = room == stream->avail_out && input == stream->avail_in;
        if (stuck || (stream->avail_in == 0 && stream->avail_out > 0))
            return STEP_ON;
    }
}

/* The payload itself. A block may be marked as the last one: what follows it is another stream (RFC
 * 7692, section 7.2.3.4). STEP_ENDED: and nothing follows. */
static enum step inflate_payload(struct ws_inflater *inflater, struct slice compressed)
{
    set_input(&inflater->stream, compressed);
    for (;;) {
        enum step step = inflate_piece(inflater, Z_SYNC_FLUSH);
        if (step != STEP_ENDED || inflater->stream.avail_in == 0)
            return step;
        (void)inflateReset(&inflater->stream);
    }
}

/* The end that was not sent. It must end a block, or the message was cut off. */
static enum step inflate_end(struct ws_inflater *inflater)
{
    set_input(&inflater->stream,
              (struct slice){.data = (const char *)flush_end, .size = sizeof flush_end});
    enum step step;
    do {
        step = inflate_piece(inflater, Z_BLOCK);
    } while (step == STEP_ON && inflater->stream.avail_in > 0);
    if (step == STEP_ON && (inflater->stream.data_type & BLOCK_BOUNDARY) == 0)
        return STEP_BROKEN;
    if (step == STEP_ENDED && inflater->stream.avail_in > 0)
        return STEP_BROKEN;
    return step;
}

uint16_t ws_inflate(struct ws_inflater *inflater, struct slice compressed,
                    struct buffer **ret_message)
{
    buffer_clear(&inflater->message);
    (void)inflateReset(&inflater->stream);
    set_output(inflater);
    enum step step =
        STEP_ENDED; /* of no bytes at all, which everybody takes for an empty message */
    if (compressed.size > 0)
        step = inflate_payload(inflater, compressed);
    if (step == STEP_ON)
        step = inflate_end(inflater);
    switch (step) {
    case STEP_TOO_BIG:
        return CODE_TOO_BIG;
    case STEP_BROKEN:
        return CODE_BROKEN;
    case STEP_ON:
    case STEP_ENDED:
        break;
    }
    memset(inflater->message.data + inflater->message.size, 0, LIMIT_PADDING);
    *ret_message = &inflater->message;
    return 0;
}
