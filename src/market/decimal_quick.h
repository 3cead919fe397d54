/* SPDX-License-Identifier: Apache-2.0 */
/* The common case of decimal_read, for the loops that read many numbers: inline, without a call. */
#pragma once

#include "market/decimal.h"
#include "market/digits.h"

#include <assert.h>

/* So that all digits taken at once are fewer than DECIMAL_DIGITS_MAX may be. */
#define DECIMAL_QUICK_WHOLE_MAX 10
#define DECIMAL_QUICK_SCALE_MAX 8

static_assert(DECIMAL_QUICK_WHOLE_MAX + DECIMAL_QUICK_SCALE_MAX <= DECIMAL_DIGITS_MAX, "they fit");

/* Where the point and the end of a number stand, if it has a point; all counted from its first
 * digit. */
struct decimal_shape {
    unsigned whole; /* digits before the first byte that is none */
    unsigned end;   /* the second byte that is none, or 16 when it is not before that */
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
    unsigned end = at[whole] == '.' ? whole + 1 + digits_run(at + whole + 1) : 16;
    return (struct decimal_shape){.whole = whole, .end = end < 16 ? end : 16};
#endif
}

/* The value of 1 to 16 digits; more than 8 are two words that do not overlap. */
static ALWAYS_INLINE uint64_t decimal_whole(const char *at, unsigned count)
{
    if (LIKELY(count <= 8))
        return digits_value_of(at, count);
    return digits_value_of(at, count - 8) * 100000000 + digits_value_of(at + count - 8, 8);
}

/* An exponent of one or two digits, less the scale of the number before it. */
struct decimal_exponent {
    int value;
    unsigned size; /* of its text; 0: it is not of that kind, or out of bounds */
};

/* Its `e` stands at `at`. */
struct decimal_exponent decimal_read_exponent(const char *at, unsigned scale);

/* Reads a number of at most 10 digits before the point and 8 behind it, without '+'. False: it is
 * not of that kind, ask decimal_read. */
static ALWAYS_INLINE bool decimal_read_quick(const char *text, const char **ret_end,
                                             struct decimal *ret_value)
{
    int64_t negative = *text == '-';
    const char *at = text + negative;
    struct decimal_shape shape = decimal_measure(at);
    if (UNLIKELY(shape.whole - 1 >= DECIMAL_QUICK_WHOLE_MAX))
        return false;
    uint64_t mantissa = decimal_whole(at, shape.whole);
    unsigned scale = 0;
    at += shape.whole;
    if (LIKELY(*at == '.')) {
        at++;
        scale = shape.end - shape.whole - 1;
        if (UNLIKELY(shape.end == 16)) /* more may stand behind what was measured */
            scale = digits_run(at);
        if (UNLIKELY(scale - 1 >= DECIMAL_QUICK_SCALE_MAX))
            return false;
        mantissa = mantissa * digits_powers[scale] + digits_value_of(at, scale);
        at += scale;
    }
    int exponent = -(int)scale;
    /* Another digit or an exponent; the only other bytes stopped by this are ':' to '?'. */
    if (UNLIKELY((*at & 0xf0) == 0x30 || (*at | 0x20) == 'e')) {
        if ((*at | 0x20) != 'e')
            return false;
        struct decimal_exponent shift = decimal_read_exponent(at, scale);
        if (shift.size == 0)
            return false;
        exponent = shift.value;
        at += shift.size;
    }
    *ret_end = at;
    ret_value->mantissa = ((int64_t)mantissa ^ -negative) + negative;
    ret_value->exponent = (int8_t)exponent;
    return true;
}
