/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable run of bytes that takes its maximum at init. What does not fit is not appended at all,
 * and the buffer remembers it: check `overflowed` once at the end instead of every call. The bytes
 * are always followed by a NUL.
 */
#pragma once

#include "base/slice.h"

struct buffer {
    char *data;      /* owned */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated, less the NUL */
    size_t max;      /* `size` never exceeds it */
    bool overflowed; /* something was not appended */
};

void buffer_init(struct buffer *buffer, size_t max);
void buffer_release(struct buffer *buffer);

/* Keeps the memory; clears `overflowed`. */
void buffer_clear(struct buffer *buffer);

/*
 * Room for `size` more bytes at data + size; NULL (and overflowed) when over max. Commit by adding
 * to size. The NUL stands behind the whole room: who commits less puts one there himself, if
 * anybody reads it as text.
 */
char *buffer_reserve(struct buffer *buffer, size_t size);

void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_slice(struct buffer *buffer, struct slice slice);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_format(struct buffer *buffer, const char *format, ...) PRINTF(2, 3);

/* Drops the first `size` bytes. */
void buffer_consume(struct buffer *buffer, size_t size);

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return (struct slice){.data = buffer->data, .size = buffer->size};
}
