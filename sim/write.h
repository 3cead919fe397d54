/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, texts and times as exchanges spell them, written with code of the simulator's own. A
 * number is an integer and a scale: 12345 at scale 2 is 123.45.
 */
#pragma once

#include "base/buffer.h"

#define WRITE_SCALE_MAX 18
#define WRITE_NUMBER_MAX 48 /* bytes of any number, with its NUL */

int64_t write_power(unsigned exponent); /* 10^exponent, exponent at most 18 */

/* All decimals: 123.4500 with decimals 4. decimals may be more than scale, or fewer (cut). */
void write_fixed(struct buffer *out, int64_t value, unsigned scale, unsigned decimals);

/* The shortest plain form: 123.45, 100, 0.0001. The canonical one of the contract, too. */
void write_plain(struct buffer *out, int64_t value, unsigned scale);

/* The shortest with a point: 123.45, 100.0. */
void write_pointed(struct buffer *out, int64_t value, unsigned scale);

/* As a Java double is printed: 100.0, 123.45, and from 10^7 and below 10^-3 with an exponent:
 * 1.16539E8, 9.9E-7, 5.0E-4. */
void write_java(struct buffer *out, int64_t value, unsigned scale);

void write_integer(struct buffer *out, int64_t value);
void write_unsigned(struct buffer *out, uint64_t value);

/* A JSON string with its quotes; escapes what must be. */
void write_text(struct buffer *out, struct slice text);

/* value * numerator / denominator without overflow in between, cut towards 0. The result must fit;
 * denominator over 0. */
int64_t write_ratio(int64_t value, int64_t numerator, int64_t denominator);

/* Microseconds since 1970 as a date, UTC. (Add 9 hours for Korea.) */
struct civil {
    int year, month, day, hour, minute, second, microsecond;
};
struct civil civil_from_us(int64_t us);

/* The pattern is copied but for Y (4 digits), M, D, h, m, s (2 each) and u (6): "Y-M-D", "hms". */
void write_date(struct buffer *out, const struct civil *civil, const char *pattern);

/* CRC-32 (IEEE, as zlib's) that goes on from `crc`; 0 to begin with. */
uint32_t write_crc32(uint32_t crc, struct slice bytes);
