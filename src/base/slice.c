/* SPDX-License-Identifier: Apache-2.0 */
/* The operations on slices that are too long to stand in the header. */
#include "base/slice.h"

#include <assert.h>

struct slice slice_split(struct slice slice, char separator, struct slice *rest)
{
    assert(rest != NULL);
    const char *found = slice.size == 0 ? NULL : memchr(slice.data, separator, slice.size);
    if (found == NULL) {
        *rest = (struct slice){.data = NULL, .size = 0};
        return slice;
    }
    size_t before = (size_t)(found - slice.data);
    *rest = (struct slice){.data = found + 1, .size = slice.size - before - 1};
    return (struct slice){.data = slice.data, .size = before};
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct slice slice_trim(struct slice slice)
{
    while (slice.size > 0 && is_blank(slice.data[0])) {
        slice.data++;
        slice.size--;
    }
    while (slice.size > 0 && is_blank(slice.data[slice.size - 1]))
        slice.size--;
    return slice;
}

bool slice_to_uint64(struct slice slice, uint64_t max, uint64_t *ret_value)
{
    assert(ret_value != NULL);
    if (slice.size == 0)
        return false;

    uint64_t value = 0;
    for (size_t i = 0; i < slice.size; i++) {
        if (slice.data[i] < '0' || slice.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(slice.data[i] - '0');
        if (value > max / 10 || digit > max - value * 10)
            return false;
        value = value * 10 + digit;
    }
    assert(value <= max);
    *ret_value = value;
    return true;
}

bool slice_copy(struct slice slice, char *target, size_t target_size)
{
    assert(target != NULL && target_size > 0);
    if (slice.size >= target_size) {
        target[0] = '\0';
        return false;
    }
    if (slice.size > 0)
        memcpy(target, slice.data, slice.size);
    target[slice.size] = '\0';
    return true;
}

uint64_t slice_hash(struct slice slice)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < slice.size; i++)
        hash = (hash ^ (uint8_t)slice.data[i]) * 1099511628211u;
    return hash;
}
