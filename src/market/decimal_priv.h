/* SPDX-License-Identifier: Apache-2.0 */
/* The ways that decimal.c leaves to decimal_long.c. */
#pragma once

#include "market/decimal.h"
#include "market/digits.h"

/* decimal_read of what the quick way does not take: by words up to 15 digits on either side of the
 * point, else digit by digit. */
enum decimal_verdict decimal_read_medium(const char *text, const char **ret_end,
                                         struct decimal *ret_value);

/* mantissa > 0. The medium way takes up to 16 decimals, the far one any exponent; the wide one what
 * is already split: the fraction is eight decimals. */
char *decimal_write_wide(char *out, uint64_t whole, uint64_t fraction);
char *decimal_write_medium(char *out, uint64_t mantissa, unsigned scale);
char *decimal_write_far(char *out, uint64_t mantissa, int exponent);
