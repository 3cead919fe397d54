/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation for start-up and control objects. Out of memory ends the process: what is allocated
 * here is small and bounded, and the data path does not allocate. Nothing else calls malloc
 * (tools/tidy.py).
 */
#pragma once

#include "base/attr.h"

/*
 * For main, before there is another thread. What is freed goes back to the system: blocks from
 * MEMORY_WHOLE on at once, of the others all but about MEMORY_SPARE in each of the allocator's
 * arenas (and what lies between blocks that are in use). Without this glibc raises both with the
 * largest block ever freed, up to 32 and 64 MiB, so that each thread which comes and goes can leave
 * that much behind. Does nothing where the allocator is another one.
 */
void memory_configure(void);

#define MEMORY_WHOLE (256 * 1024)
#define MEMORY_SPARE (512 * 1024)

/*
 * Pages that nothing is left in go back to the system, those between blocks in use too. For who has
 * just ended something large; takes the locks of the allocator for a millisecond or so. Any thread.
 */
void memory_give_back(void);

/* Zeroed memory; never NULL. size may not be 0. */
void *memory_alloc(size_t size) MUST_CHECK;

/* Zeroed array; the product is checked. */
void *memory_array(size_t count, size_t element_size) MUST_CHECK;

/* Like realloc; the product is checked, new bytes are not zeroed. */
void *memory_resize(void *pointer, size_t count, size_t element_size) MUST_CHECK;

char *memory_copy_text(const char *text) MUST_CHECK;

/* NULL is a no-op. */
void memory_free(void *pointer);

/* For CLEANUP(memory_freep) on the control path: frees *(void **)pointer. */
void memory_freep(void *pointer);
