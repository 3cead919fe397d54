/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the unit test and the fuzz target: what a WebSocket parser says about some bytes, written
 * down so that it does not depend on where they were cut. Each piece lies in memory of its own
 * size, so that AddressSanitizer sees a read beyond it.
 */
#pragma once

#include "base/buffer.h"
#include "base/memory.h"
#include "net/ws.h"

#include <assert.h>

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
