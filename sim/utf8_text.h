/* SPDX-License-Identifier: Apache-2.0 */
/* Is what stands here one whole, well-formed character of UTF-8 (Unicode, table 3-7)? Pure. */
#pragma once

#include "base/attr.h"

static inline bool utf8_is_within(const char *at, const char *end, unsigned low, unsigned high)
{
    return at < end && (unsigned char)*at >= low && (unsigned char)*at <= high;
}

/* Its bytes, 1 to 4; 0: it is none. at < end. */
static inline size_t utf8_text_size(const char *at, const char *end)
{
    unsigned first = (unsigned char)at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (!utf8_is_within(at + 1, end, low, high))
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!utf8_is_within(at + i, end, 0x80, 0xbf))
            return 0;
    return size;
}
