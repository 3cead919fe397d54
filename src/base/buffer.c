/* SPDX-License-Identifier: Apache-2.0 */
/* Growth is by doubling, up to the maximum that the owner gave. */
#include "base/buffer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#define CAPACITY_FIRST 63 /* and a NUL */

void buffer_init(struct buffer *buffer, size_t max)
{
    assert(buffer != NULL);
    assert(max < SIZE_MAX / 2);
    size_t capacity = max < CAPACITY_FIRST ? max : CAPACITY_FIRST;
    *buffer = (struct buffer){
        .data = memory_alloc(capacity + 1),
        .capacity = capacity,
        .max = max,
    };
}

void buffer_release(struct buffer *buffer)
{
    assert(buffer != NULL);
    memory_free(buffer->data);
    *buffer = (struct buffer){.data = NULL};
}

void buffer_clear(struct buffer *buffer)
{
    assert(buffer->data != NULL);
    buffer->size = 0;
    buffer->data[0] = '\0';
    buffer->overflowed = false;
}

char *buffer_reserve(struct buffer *buffer, size_t size)
{
    assert(buffer->data != NULL);
    assert(buffer->size <= buffer->capacity && buffer->capacity <= buffer->max);
    if (size > buffer->max - buffer->size) {
        buffer->overflowed = true;
        return NULL;
    }
    size_t needed = buffer->size + size;
    if (needed > buffer->capacity) {
        size_t doubled = buffer->capacity > buffer->max / 2 ? buffer->max : buffer->capacity * 2;
        size_t capacity = needed > doubled ? needed : doubled;
        buffer->data = memory_resize(buffer->data, capacity + 1, 1);
        buffer->capacity = capacity;
    }
    buffer->data[needed] = '\0';
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    assert(data != NULL || size == 0);
    char *target = buffer_reserve(buffer, size);
    if (target == NULL || size == 0)
        return;
    memcpy(target, data, size);
    buffer->size += size;
}

void buffer_append_slice(struct buffer *buffer, struct slice slice)
{
    buffer_append(buffer, slice.data, slice.size);
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);

    char *target = buffer_reserve(buffer, (size_t)size);
    if (target != NULL) {
        int written = vsnprintf(target, (size_t)size + 1, format, again);
        assert(written == size);
        buffer->size += (size_t)written;
    }
    va_end(again);
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->size);
    buffer->size -= size;
    memmove(buffer->data, buffer->data + size, buffer->size);
    buffer->data[buffer->size] = '\0';
}
