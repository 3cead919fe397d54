/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the unit test and the fuzz target: what the reader of HTTP heads says about some bytes,
 * written down so that it does not depend on where they were cut. Bodies are not skipped: after a
 * head the next one is looked for at once.
 */
#pragma once

#include "base/memory.h"
#include "net/http.h"

#include <assert.h>

struct http_record {
    struct http_reader *reader;
    struct buffer text;
    bool failed;
};

static inline void http_record_init(struct http_record *record, enum http_kind kind)
{
    record->reader = http_reader_create(kind);
    buffer_init(&record->text, 16 * 1024 * 1024);
    record->failed = false;
}

static inline void http_record_release(struct http_record *record)
{
    http_reader_destroy(record->reader);
    buffer_release(&record->text);
}

static inline void http_record_head(struct buffer *text, const struct http_head *head)
{
    buffer_append_slice(text, head->method);
    buffer_append_text(text, "|");
    buffer_append_slice(text, head->path);
    buffer_append_text(text, "|");
    buffer_append_slice(text, head->query);
    buffer_append_format(text, "|%u%s%s%s|%llu", head->status, head->keep_alive ? " keep" : "",
                         head->upgrade ? " upgrade" : "", head->has_body ? " body" : "",
                         (unsigned long long)head->content_length);
    for (size_t i = 0; i < head->header_count; i++) {
        buffer_append_text(text, "|");
        buffer_append_slice(text, head->header[i].name);
        buffer_append_text(text, "=");
        buffer_append_slice(text, head->header[i].value);
    }
    buffer_append_text(text, "\n");
}

/* Feeds one piece, which lies in memory of its own size. */
static inline void http_record_feed(struct http_record *record, const char *data, size_t size)
{
    if (size == 0 || record->failed)
        return;
    char *piece = memory_alloc(size);
    memcpy(piece, data, size);
    struct slice left = {.data = piece, .size = size};
    while (left.size > 0 && !record->failed) {
        size_t used;
        const struct http_head *head;
        enum http_result result = http_read(record->reader, left, &used, &head);
        assert(used <= left.size);
        left.data += used;
        left.size -= used;
        if (result == HTTP_READ_HEAD)
            http_record_head(&record->text, head);
        assert(result != HTTP_READ_MORE || left.size == 0);
        record->failed = result == HTTP_READ_FAILED;
        if (record->failed)
            buffer_append_format(&record->text, "!%u %s", head->status, head->reason);
    }
    memory_free(piece);
}
