/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The careful ways to read and write numbers: long ones, and those with an exponent. They stand in
 * a file of their own so that the quick ways in decimal.c stay small: a compiler that pulled these
 * in would save registers on every call.
 */
#include "market/decimal_priv.h"
#include "market/decimal_quick.h"

#include <assert.h>

/* Far beyond what any text can shift the point by, and far from overflowing when added up. */
#define EXPONENT_READ_MAX INT64_C(100000000000000000)

/* A number of any length on its way in: the significant digits that fit, and what came of the
 * rest. */
struct digit_sum {
    uint64_t mantissa;
    unsigned count;   /* of digits in the mantissa, zeros at the front not counted */
    int64_t exponent; /* of the mantissa's last digit */
    bool too_long;    /* a digit that does not fit was not zero */
};

static ALWAYS_INLINE bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static const char *sum_digits(struct digit_sum *sum, const char *at, bool fraction)
{
    for (; is_digit(*at); at++) {
        bool fits = sum->count < DECIMAL_DIGITS_MAX;
        if (fits) {
            sum->mantissa = sum->mantissa * 10 + (uint64_t)(*at - '0');
            sum->count += sum->mantissa != 0;
        } else {
            sum->too_long |= *at != '0';
        }
        /* A digit taken behind the point lowers the scale, one left out before it raises it. */
        sum->exponent += (int64_t)!fits - (int64_t)fraction;
    }
    return at;
}

/* Reads the exponent behind an `e`; NULL when there is none. */
static const char *sum_exponent(struct digit_sum *sum, const char *at)
{
    bool negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    if (!is_digit(*at))
        return NULL;
    int64_t exponent = 0;
    for (; is_digit(*at); at++)
        if (exponent < EXPONENT_READ_MAX)
            exponent = exponent * 10 + (*at - '0');
    sum->exponent += negative ? -exponent : exponent;
    return at;
}

/* Brings the exponent into its bounds where the value allows it, so that what is accepted depends
 * on the value and not on its spelling. */
static bool sum_fit(struct digit_sum *sum)
{
    if (sum->too_long)
        return false;
    if (sum->mantissa == 0) {
        if (sum->exponent > DECIMAL_EXPONENT_MAX)
            sum->exponent = DECIMAL_EXPONENT_MAX;
        if (sum->exponent < -DECIMAL_EXPONENT_MAX)
            sum->exponent = -DECIMAL_EXPONENT_MAX;
        return true;
    }
    while (sum->exponent > DECIMAL_EXPONENT_MAX && sum->count < DECIMAL_DIGITS_MAX) {
        sum->mantissa *= 10;
        sum->count++;
        sum->exponent--;
    }
    while (sum->exponent < -DECIMAL_EXPONENT_MAX && sum->mantissa % 10 == 0) {
        sum->mantissa /= 10;
        sum->exponent++;
    }
    return sum->exponent >= -DECIMAL_EXPONENT_MAX && sum->exponent <= DECIMAL_EXPONENT_MAX;
}

static enum decimal_verdict decimal_read_long(const char *text, const char **ret_end,
                                              struct decimal *ret_value)
{
    struct digit_sum sum = {0};
    bool negative = *text == '-';
    const char *at = text + (*text == '-' || *text == '+');
    if (!is_digit(*at))
        return DECIMAL_INVALID;
    at = sum_digits(&sum, at, false);
    if (*at == '.') {
        if (!is_digit(at[1]))
            return DECIMAL_INVALID;
        at = sum_digits(&sum, at + 1, true);
    }
    if (*at == 'e' || *at == 'E') {
        at = sum_exponent(&sum, at + 1);
        if (at == NULL)
            return DECIMAL_INVALID;
    }
    *ret_end = at;
    if (!sum_fit(&sum))
        return DECIMAL_TOO_LONG;
    assert(sum.mantissa < digits_powers[DECIMAL_DIGITS_MAX]);
    int64_t mantissa = (int64_t)sum.mantissa;
    *ret_value = (struct decimal){.mantissa = negative ? -mantissa : mantissa,
                                  .exponent = (int8_t)sum.exponent};
    return DECIMAL_OK;
}

struct decimal_exponent decimal_read_exponent(const char *at, unsigned scale)
{
    assert((*at | 0x20) == 'e');
    bool negative = at[1] == '-';
    unsigned sign = negative || at[1] == '+';
    const char *digit = at + 1 + sign;
    if (!is_digit(digit[0]))
        return (struct decimal_exponent){.size = 0};
    int size = digit[0] - '0';
    unsigned count = 1;
    if (is_digit(digit[1])) { /* branches, so that the processor can run ahead */
        size = size * 10 + digit[1] - '0';
        count = is_digit(digit[2]) ? 3 : 2;
    }
    int value = (negative ? -size : size) - (int)scale;
    if (count > 2 || value < -DECIMAL_EXPONENT_MAX || value > DECIMAL_EXPONENT_MAX)
        return (struct decimal_exponent){.size = 0};
    return (struct decimal_exponent){.value = value, .size = 1 + sign + count};
}

enum decimal_verdict decimal_read_medium(const char *text, const char **ret_end,
                                         struct decimal *ret_value)
{
    int64_t negative = *text == '-';
    const char *at = text + (negative | (*text == '+'));
    uint64_t whole;
    uint64_t fraction = 0;
    unsigned whole_count = digits_read(at, &whole);
    unsigned fraction_count = 0;
    at += whole_count;
    if (*at == '.') {
        fraction_count = digits_read(at + 1, &fraction);
        if (fraction_count == 0)
            return DECIMAL_INVALID;
        at += 1 + fraction_count;
    }
    /* A count at its maximum may have left digits behind. */
    if (whole_count - 1 >= DIGITS_READ_MAX - 1 || fraction_count >= DIGITS_READ_MAX ||
        whole_count + fraction_count > DECIMAL_DIGITS_MAX || (*at | 0x20) == 'e')
        return decimal_read_long(text, ret_end, ret_value);
    int64_t mantissa = (int64_t)(whole * digits_powers[fraction_count] + fraction);
    *ret_end = at;
    ret_value->mantissa = (mantissa ^ -negative) + negative;
    ret_value->exponent = (int8_t) - (int)fraction_count;
    return DECIMAL_OK;
}

char *decimal_write_far(char *out, uint64_t mantissa, int exponent)
{
    assert(exponent >= -DECIMAL_EXPONENT_MAX && exponent <= DECIMAL_EXPONENT_MAX);
    if (exponent >= 0 && exponent <= 10 && mantissa < 1000000000)
        return digits_write(out, mantissa * digits_powers[exponent]);
    while (exponent < 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        exponent++;
    }
    char digits[INTEGER_TEXT_MAX];
    int count = (int)(digits_write(digits, mantissa) - digits);
    int whole = count + exponent; /* digits before the point */
    assert(whole <= DECIMAL_DIGITS_MAX + DECIMAL_EXPONENT_MAX && whole >= -DECIMAL_EXPONENT_MAX);
    if (exponent >= 0) {
        memcpy(out, digits, (size_t)count);
        memset(out + count, '0', (size_t)exponent);
        return out + whole;
    }
    if (whole > 0) {
        memcpy(out, digits, (size_t)whole);
        out[whole] = '.';
        memcpy(out + whole + 1, digits + whole, (size_t)-exponent);
        return out + count + 1;
    }
    memset(out, '0', (size_t)(2 - whole));
    out[1] = '.';
    memcpy(out + 2 - whole, digits, (size_t)count);
    return out + 2 - whole + count;
}

char *decimal_write_wide(char *out, uint64_t whole, uint64_t fraction)
{
    assert(fraction < 100000000);
    out = digits_write(out, whole);
    if (fraction == 0)
        return out;
    uint64_t word = digits_word(fraction);
    *out = '.';
    word_store(out + 1, word + DIGITS_ZEROS);
    return out + 9 - digits_zeros_behind(word);
}

char *decimal_write_medium(char *out, uint64_t mantissa, unsigned scale)
{
    uint64_t whole = mantissa / digits_powers[scale];
    uint64_t fraction = (mantissa - whole * digits_powers[scale]) * digits_powers[16 - scale];
    out = digits_write(out, whole);
    if (fraction == 0)
        return out;
    uint64_t high = digits_word(fraction / 100000000);
    uint64_t low = digits_word(fraction % 100000000);
    *out = '.';
    word_store(out + 1, high + DIGITS_ZEROS);
    word_store(out + 9, low + DIGITS_ZEROS);
    return low == 0 ? out + 9 - digits_zeros_behind(high) : out + 17 - digits_zeros_behind(low);
}
