/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of ordinary length are read and written here, by words of eight digits (digits.h); the
 * others are left to decimal_long.c. */
#include "market/decimal.h"

#include "market/decimal_priv.h"
#include "market/decimal_quick.h"
#include "market/digits.h"

#include <assert.h>

const uint64_t digits_powers[20] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
    10000000000000000u,
    100000000000000000u,
    1000000000000000000u,
    10000000000000000000u,
};

static_assert(DECIMAL_TEXT_MAX >= 1 + DECIMAL_DIGITS_MAX + DECIMAL_EXPONENT_MAX, "1...0...");
static_assert(DECIMAL_TEXT_MAX >= 3 + DECIMAL_EXPONENT_MAX, "-0.0...1");

enum decimal_verdict decimal_read(const char *text, const char **ret_end, struct decimal *ret_value)
{
    if (LIKELY(decimal_read_quick(text, ret_end, ret_value)))
        return DECIMAL_OK;
    return decimal_read_medium(text, ret_end, ret_value);
}

char *decimal_write(char *out, struct decimal value)
{
    uint64_t mantissa = (uint64_t)value.mantissa;
    if (value.mantissa <= 0) {
        *out = value.mantissa == 0 ? '0' : '-';
        out++;
        if (value.mantissa == 0)
            return out;
        mantissa = 0 - mantissa;
    }
    unsigned scale = (unsigned)-value.exponent;
    if (UNLIKELY(scale > 8))
        return scale > 16 ? decimal_write_far(out, mantissa, value.exponent)
                          : decimal_write_medium(out, mantissa, scale);
    uint64_t whole;
    uint64_t fraction;        /* eight decimals */
    if (LIKELY(scale == 8)) { /* what most exchanges send; the division is a multiplication then */
        whole = mantissa / 100000000;
        fraction = mantissa - whole * 100000000;
    } else {
        whole = mantissa / digits_powers[scale];
        fraction = (mantissa - whole * digits_powers[scale]) * digits_powers[8 - scale];
    }
    if (UNLIKELY(whole >= 100000000))
        return decimal_write_wide(out, whole, fraction);
    uint64_t word;
    digits_word_pair(whole, fraction, &whole, &word);
    out = digits_write_word(out, whole);
    /* Zeros are added behind the fraction to fill a word, and then not kept: a fraction of nothing
     * but zeros leaves not even the point. */
    *out = '.';
    word_store(out + 1, word + DIGITS_ZEROS);
    return out + ((9 - digits_zeros_behind(word)) & -(size_t)(word != 0));
}

/* Of two positive mantissas, the left one's scale higher by `shift` places. */
static int compare_shifted(int64_t left, int64_t right, int shift)
{
    int64_t scaled;
    if (shift >= DECIMAL_DIGITS_MAX ||
        !int64_multiply(left, (int64_t)digits_powers[shift], &scaled))
        return 1;
    return (scaled > right) - (scaled < right);
}

int decimal_compare(struct decimal left, struct decimal right)
{
    int shift = left.exponent - right.exponent;
    int left_sign = (left.mantissa > 0) - (left.mantissa < 0);
    int right_sign = (right.mantissa > 0) - (right.mantissa < 0);
    if (shift == 0)
        return (left.mantissa > right.mantissa) - (left.mantissa < right.mantissa);
    if (left_sign != right_sign || left_sign == 0)
        return (left_sign > right_sign) - (left_sign < right_sign);
    int64_t left_size = left.mantissa * left_sign;
    int64_t right_size = right.mantissa * right_sign;
    if (shift > 0)
        return left_sign * compare_shifted(left_size, right_size, shift);
    return -left_sign * compare_shifted(right_size, left_size, -shift);
}
