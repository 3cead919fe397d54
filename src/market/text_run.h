/* SPDX-License-Identifier: Apache-2.0 */
/* How far a JSON string goes on with bytes that need no thought: what the scanner and the writer of
 * strings look at first. */
#pragma once

#include "market/digits.h"

/* The high bit of each byte that ends the plain run of a string: a quote, a backslash, a control
 * character or a byte of a longer UTF-8 sequence. The lowest one is exact. */
static ALWAYS_INLINE uint64_t text_stops(uint64_t word)
{
    uint64_t quotes = (word ^ 0x2222222222222222u) - DIGITS_LOWS;
    uint64_t backslashes = (word ^ 0x5c5c5c5c5c5c5c5cu) - DIGITS_LOWS;
    uint64_t controls = word - 0x2020202020202020u;
    return (quotes | backslashes | controls | word) & DIGITS_HIGHS;
}

/* How many bytes of a string's plain run stand at `at`, of the next TEXT_RUN. */
#ifdef DIGITS_WIDE
#define TEXT_RUN 16u
/* Bit i: byte i ends the plain run. The bits from 16 on are set. */
static ALWAYS_INLINE uint32_t text_stop_bits(__m128i bytes)
{
    __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    __m128i plain = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' ' - 1)); /* signed: to 0x7f */
    plain = _mm_andnot_si128(_mm_or_si128(quotes, backslashes), plain);
    return ~(uint32_t)_mm_movemask_epi8(plain);
}

static ALWAYS_INLINE unsigned text_run(const char *at)
{
    return count_trailing_zeros(text_stop_bits(_mm_loadu_si128((const void *)at)));
}

/* Whether a plain run ends in either word. */
static ALWAYS_INLINE bool text_stops_pair(uint64_t first, uint64_t last)
{
    return text_stop_bits(_mm_set_epi64x((int64_t)last, (int64_t)first)) != ~UINT32_C(0xffff);
}
#else
#define TEXT_RUN 8u
static ALWAYS_INLINE unsigned text_run(const char *at)
{
    uint64_t stops = text_stops(word_load(at));
    return stops == 0 ? TEXT_RUN : count_trailing_zeros(stops) / 8;
}

static ALWAYS_INLINE bool text_stops_pair(uint64_t first, uint64_t last)
{
    return (text_stops(first) | text_stops(last)) != 0;
}
#endif

/* One byte that surely may stand in a string; a few others may as well. */
static ALWAYS_INLINE bool text_plain(char byte)
{
    return (unsigned char)(byte - '#') <= 0x7f - '#' && byte != '\\';
}
