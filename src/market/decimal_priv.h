/* SPDX-License-Identifier: Apache-2.0 */
/* The common case of decimal_read, for the loops of this folder that read many numbers; and the
 * ways that decimal.c leaves to decimal_long.c. */
#pragma once

#include "market/decimal.h"
#include "market/digits.h"

/* decimal_read of what the quick way does not take: by words up to 15 digits on either side of the
 * point, else digit by digit. */
enum decimal_verdict decimal_read_medium(const char *text, const char **ret_end,
                                         struct decimal *ret_value);

/* mantissa > 0. The medium way takes up to 16 decimals, the far one any exponent. */
char *decimal_write_medium(char *out, uint64_t mantissa, unsigned scale);
char *decimal_write_far(char *out, uint64_t mantissa, int exponent);

/* Where the point and the end of a number stand, if it has a point; all counted from its first
 * digit. */
struct decimal_shape {
    unsigned whole; /* digits before the first byte that is none */
    unsigned end;   /* the second byte that is none */
};

static ALWAYS_INLINE struct decimal_shape decimal_measure(const char *at)
{
#ifdef DIGITS_WIDE
    uint32_t stops = digits_stop_bits(at);
    uint32_t rest = stops & (stops - 1);
    return (struct decimal_shape){.whole = count_trailing_zeros(stops),
                                  .end = count_trailing_zeros(rest | 1u << 16)};
#else
    unsigned whole = digits_run(at);
    return (struct decimal_shape){.whole = whole, .end = whole + 1 + digits_run(at + whole + 1)};
#endif
}

/* Reads a number of at most 7 digits before the point and 8 behind it, without exponent or '+'.
 * False: it is not of that kind, ask decimal_read. */
static ALWAYS_INLINE bool decimal_read_quick(const char *text, const char **ret_end,
                                             struct decimal *ret_value)
{
    int64_t negative = *text == '-';
    const char *at = text + negative;
    struct decimal_shape shape = decimal_measure(at);
    if (UNLIKELY(shape.whole - 1 >= 7))
        return false;
    uint64_t mantissa = digits_value_of(at, shape.whole);
    unsigned scale = 0;
    if (LIKELY(at[shape.whole] == '.')) {
        scale = shape.end - shape.whole - 1;
        if (UNLIKELY(scale - 1 >= 8))
            return false;
        mantissa = mantissa * digits_powers[scale] + digits_value_of(at + shape.whole + 1, scale);
        at += shape.end;
    } else {
        at += shape.whole;
    }
    /* Another digit or an exponent; the only other bytes refused by this are ':' to '?'. */
    if (UNLIKELY((*at & 0xf0) == 0x30 || (*at | 0x20) == 'e'))
        return false;
    *ret_end = at;
    ret_value->mantissa = ((int64_t)mantissa ^ -negative) + negative;
    ret_value->exponent = (int8_t) - (int)scale;
    return true;
}
