/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as the market needs it: is what stands here one whole, valid character (RFC 3629)? */
#pragma once

#include "base/attr.h"

static inline bool utf8_continues(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

/*
 * Bytes of the character at `at`, 1 to 4; 0 when it is not valid or does not fit `available`
 * (at least 1). No byte behind the first invalid one is read, so a NUL ends a text as well as
 * `available` does.
 */
static inline size_t utf8_character_size(const char *at, size_t available)
{
    unsigned char first = (unsigned char)at[0];
    if (first < 0x80)
        return 1;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || size > available)
        return 0;
    /* The second byte has narrower bounds where overlong forms, surrogates and what is beyond
     * U+10FFFF would begin. */
    unsigned char second = (unsigned char)at[1];
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < low || second > high)
        return 0;
    if (size >= 3 && !utf8_continues(at[2]))
        return 0;
    if (size == 4 && !utf8_continues(at[3]))
        return 0;
    return size;
}
