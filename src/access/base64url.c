/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's decoder takes another alphabet and forgives much; this one forgives nothing. */
#include "access/base64url.h"

/* 0 to 63, or -1. */
static int digit_value(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    if (byte == '-')
        return 62;
    return byte == '_' ? 63 : -1;
}

bool base64url_decode(struct slice text, uint8_t *out, size_t out_size, size_t *ret_size)
{
    size_t size = 0;
    uint32_t bits = 0;
    unsigned bit_count = 0; /* of `bits`, not yet written: under 8 between two digits */
    if (text.size % 4 == 1 || text.size / 4 * 3 + text.size % 4 * 3 / 4 > out_size)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int value = digit_value(text.data[i]);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xfff;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[size++] = (uint8_t)(bits >> bit_count);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0)
        return false;
    *ret_size = size;
    return true;
}
