/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the unit test and the fuzz target: what a WebSocket parser says about some bytes, written
 * down so that it does not depend on where they were cut. Each piece lies in memory of its own
 * size, so that AddressSanitizer sees a read beyond it.
 */
#pragma once

#include "base/buffer.h"
#include "base/memory.h"
#include "net/ws_deflate.h"

#include <assert.h>
#include <stdlib.h>

struct ws_record {
    struct ws_parser parser;
    struct buffer text;
    bool failed;
};

static inline void ws_record_init(struct ws_record *record, enum ws_role role, uint64_t message_max)
{
    ws_parser_init(&record->parser, role, message_max);
    buffer_init(&record->text, 16 * 1024 * 1024);
    record->failed = false;
}

static inline void ws_record_part(struct buffer *text, const struct ws_part *part)
{
    if (part->first)
        buffer_append_format(text, "(%u ", (unsigned)part->opcode);
    for (size_t i = 0; i < part->size; i++)
        buffer_append_format(text, "%02x", (unsigned)(unsigned char)part->data[i]);
    if (part->last)
        buffer_append_text(text, ")");
}

static inline void ws_record_control(struct buffer *text, const struct ws_control *control)
{
    buffer_append_format(text, "[%u ", (unsigned)control->opcode);
    if (control->opcode == WS_CLOSE)
        buffer_append_format(text, "%u ", (unsigned)control->close_code);
    for (size_t i = 0; i < control->payload.size; i++)
        buffer_append_format(text, "%02x", (unsigned)(unsigned char)control->payload.data[i]);
    buffer_append_text(text, "]");
}

/* The text stays; the caller releases it. */
static inline void ws_record_end(struct ws_record *record)
{
    ws_parser_release(&record->parser);
}

/* Feeds one piece. */
static inline void ws_record_feed(struct ws_record *record, const char *data, size_t size)
{
    if (size == 0 || record->failed)
        return;
    char *piece = memory_alloc(size);
    memcpy(piece, data, size);
    char *cursor = piece;
    enum ws_result result;
    do {
        struct ws_part part;
        struct ws_control control;
        result = ws_parse(&record->parser, &cursor, piece + size, &part, &control);
        if (result == WS_DATA)
            ws_record_part(&record->text, &part);
        if (result == WS_CONTROL)
            ws_record_control(&record->text, &control);
    } while (result == WS_DATA || result == WS_CONTROL);
    record->failed = result == WS_FAILED;
    if (record->failed)
        buffer_append_format(&record->text, "!%u", (unsigned)ws_error_code(&record->parser));
    else
        assert(cursor == piece + size); /* all has been taken */
    memory_free(piece);
    assert(!record->text.overflowed);
}

/* ---- cuts ---- */

enum ws_cuts { WS_CUTS_NONE, WS_CUTS_EACH_BYTE, WS_CUTS_RANDOM };

/* Of the rounds 0, 1 and all others. */
static inline enum ws_cuts ws_cuts_of(int round)
{
    return round == 0 ? WS_CUTS_NONE : round == 1 ? WS_CUTS_EACH_BYTE : WS_CUTS_RANDOM;
}

static inline size_t ws_piece_size(enum ws_cuts cuts, size_t left)
{
    switch (cuts) {
    case WS_CUTS_NONE:
        return left;
    case WS_CUTS_EACH_BYTE:
        return 1;
    case WS_CUTS_RANDOM:
        break;
    }
    size_t size = (size_t)rand() % 23 + 1;
    return size < left ? size : left;
}

/* The record of these bytes, to be freed. inflater: NULL when compression was not negotiated. */
static inline char *ws_record_of(struct slice bytes, enum ws_role role, uint64_t message_max,
                                 struct ws_inflater *inflater, enum ws_cuts cuts)
{
    struct ws_record record;
    ws_record_init(&record, role, message_max);
    if (inflater != NULL)
        ws_parser_set_inflater(&record.parser, inflater);
    for (size_t i = 0; i < bytes.size;) {
        size_t size = ws_piece_size(cuts, bytes.size - i);
        ws_record_feed(&record, bytes.data + i, size);
        i += size;
    }
    ws_record_end(&record);
    char *text = memory_copy_text(record.text.data);
    buffer_release(&record.text);
    return text;
}
