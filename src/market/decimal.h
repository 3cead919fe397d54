/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact decimal numbers: mantissa * 10^exponent, no rounding anywhere, no binary floating point.
 * Reading keeps the scale as sent ("127.0" is 1270e-1), so that a reader of the same exchange sees
 * one exponent and comparing is one integer comparison. Writing is canonical: plain notation, no
 * exponent, no trailing zeros, "0" for every zero, "-" only before a non-zero number.
 */
#pragma once

#include "base/attr.h"

#define DECIMAL_DIGITS_MAX 18   /* significant digits; more is not a number of ours */
#define DECIMAL_EXPONENT_MAX 40 /* |exponent| at most, so that the written form is bounded */
#define DECIMAL_TEXT_MAX 64     /* bytes that decimal_write may write */

struct decimal {
    int64_t mantissa; /* |mantissa| < 10^18 */
    int8_t exponent;  /* within +-DECIMAL_EXPONENT_MAX */
};

enum decimal_verdict {
    DECIMAL_OK,
    DECIMAL_INVALID,  /* not a number */
    DECIMAL_TOO_LONG, /* a number, of more than 18 significant digits or beyond the exponents */
};

/*
 * Reads [+-] digits [. digits] [(e|E) [+-] digits]; at least one digit before the point, or after
 * it (".5" and "5." are invalid: no exchange sends them). *ret_end is set behind the number when
 * the verdict is not DECIMAL_INVALID. Zeros at the front are not significant; zeros at the end are
 * kept in the scale unless the digits would pass 18; an exponent out of bounds is brought into them
 * where the digits allow it. So whether a number is taken depends on its value, not on its spelling
 * (a zero always is). *ret_value is set on DECIMAL_OK only. text must be followed by 16 readable
 * bytes, and by a byte that ends the number (a NUL will do).
 */
enum decimal_verdict decimal_read(const char *text, const char **ret_end,
                                  struct decimal *ret_value);

/* Writes the canonical form, at most DECIMAL_TEXT_MAX bytes, not terminated; returns the end. */
char *decimal_write(char *out, struct decimal value);

/* -1, 0 or 1. Exact for every pair. */
int decimal_compare(struct decimal left, struct decimal right);

static ALWAYS_INLINE bool decimal_is_zero(struct decimal value)
{
    return value.mantissa == 0;
}

/* Equality of values: 1.0 equals 1. */
static ALWAYS_INLINE bool decimal_equal(struct decimal left, struct decimal right)
{
    if (LIKELY(left.exponent == right.exponent))
        return left.mantissa == right.mantissa;
    return decimal_compare(left, right) == 0;
}
