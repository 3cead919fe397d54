/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes: never owned, never terminated unless somebody promises so. */
#pragma once

#include "base/attr.h"

#include <string.h>

struct slice {
    const char *data; /* borrowed; may be NULL when size is 0 */
    size_t size;      /* bytes */
};

#define SLICE(literal) ((struct slice){.data = (literal), .size = sizeof(literal) - 1})

static inline struct slice slice_of(const char *text)
{
    return (struct slice){.data = text, .size = text == NULL ? 0 : strlen(text)};
}

static inline bool slice_equal(struct slice left, struct slice right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static inline bool slice_is(struct slice slice, const char *text)
{
    return slice_equal(slice, slice_of(text));
}

static inline bool slice_starts_with(struct slice slice, struct slice prefix)
{
    return slice.size >= prefix.size &&
           (prefix.size == 0 || memcmp(slice.data, prefix.data, prefix.size) == 0);
}

/* The part before the first `separator`; *rest becomes what follows it (empty when there is none).
 */
struct slice slice_split(struct slice slice, char separator, struct slice *rest);

/* Without leading and trailing blanks and tabs. */
struct slice slice_trim(struct slice slice);

/* Decimal digits only, no sign, no blanks; false when empty, not digits, or over `max`. */
bool slice_to_uint64(struct slice slice, uint64_t max, uint64_t *ret_value) MUST_CHECK;

/* Copies into a terminated array; false (and an empty string) when it does not fit. */
bool slice_copy(struct slice slice, char *target, size_t target_size) MUST_CHECK;

/* FNV-1a, 64 bits: for tables and tags, not against an adversary. */
uint64_t slice_hash(struct slice slice);
