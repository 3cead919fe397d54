/* SPDX-License-Identifier: Apache-2.0 */
/* The only callers of the C library's allocator. */
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* No log line: the logger's own buffers are what may be missing. */
static NO_RETURN void out_of_memory(void)
{
    static const char text[] = "level=error part=memory msg=\"out of memory\"\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written;
    abort();
}

void memory_configure(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, MEMORY_WHOLE); /* either one keeps both from being raised */
    mallopt(M_TRIM_THRESHOLD, MEMORY_SPARE);
#endif
}

void memory_give_back(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void *memory_alloc(size_t size)
{
    return memory_array(1, size);
}

void *memory_array(size_t count, size_t element_size)
{
    assert(count > 0);
    assert(element_size > 0);
    void *pointer = calloc(count, element_size);
    if (pointer == NULL)
        out_of_memory();
    return pointer;
}

void *memory_resize(void *pointer, size_t count, size_t element_size)
{
    size_t size;
    if (!size_multiply(count, element_size, &size))
        out_of_memory();
    assert(size > 0);
    void *resized = realloc(pointer, size);
    if (resized == NULL)
        out_of_memory();
    return resized;
}

char *memory_copy_text(const char *text)
{
    assert(text != NULL);
    size_t size = strlen(text) + 1;
    char *copy = memory_alloc(size);
    memcpy(copy, text, size);
    return copy;
}

void memory_free(void *pointer)
{
    free(pointer);
}

void memory_freep(void *pointer)
{
    assert(pointer != NULL);
    void *owned;
    memcpy(&owned, pointer, sizeof owned); /* it is a char ** or a struct ** in truth */
    free(owned);
}
