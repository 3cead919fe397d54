/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocation for start-up and control objects. Out of memory ends the process: what is allocated
 * here is small and bounded, and the data path does not allocate. Nothing else calls malloc
 * (tools/tidy.py).
 */
#pragma once

#include "base/attr.h"

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
