/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal digits as words: eight characters are one uint64_t whose lowest byte is the first
 * character, so that reading and writing numbers needs neither a loop over digits nor a chain of
 * divisions. Words are loaded and stored with memcpy; the machine must be little-endian.
 */
#pragma once

#include "base/attr.h"

#include <string.h>

/* Sixteen bytes at a time where every machine of the kind can do it; DIGITS_PLAIN is for the tests
 * of the other way. */
#if defined(__SSE2__) && defined(__x86_64__) && !defined(DIGITS_PLAIN)
#define DIGITS_WIDE
#include <emmintrin.h>
#endif

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "digits.h reads words in little-endian order"
#endif

#define DIGITS_LOWS 0x0101010101010101u  /* the lowest bit of each byte */
#define DIGITS_HIGHS 0x8080808080808080u /* the highest bit of each byte */
#define DIGITS_ZEROS 0x3030303030303030u /* "00000000" */

#define DIGITS_READ_MAX 16

extern const uint64_t digits_powers[20]; /* 10^index */

static ALWAYS_INLINE uint64_t word_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static ALWAYS_INLINE void word_store(char *at, uint64_t word)
{
    memcpy(at, &word, sizeof(word));
}

/* Compilers make one instruction of it. */
static ALWAYS_INLINE uint64_t word_reverse(uint64_t word)
{
    word = (word & 0x00ff00ff00ff00ffu) << 8 | (word >> 8 & 0x00ff00ff00ff00ffu);
    word = (word & 0x0000ffff0000ffffu) << 16 | (word >> 16 & 0x0000ffff0000ffffu);
    return word << 32 | word >> 32;
}

/* The value of eight digits; each byte of the word is 0 to 9, the first digit lowest. Pairs, then
 * fours, then all: each multiplication adds neighbours. */
static ALWAYS_INLINE uint64_t digits_value(uint64_t word)
{
    word = (word * (10 * 0x100 + 1)) >> 8;
    word = ((word & 0x00ff00ff00ff00ffu) * (100 * 0x10000 + 1)) >> 16;
    return ((word & 0x0000ffff0000ffffu) * (10000 * 0x100000000u + 1)) >> 32;
}

/* The reverse: eight bytes of 0 to 9, the first digit lowest. value < 10^8. */
static ALWAYS_INLINE uint64_t digits_word(uint64_t value)
{
    /* Halves, pairs and digits are split side by side. Each quotient is a multiplication that is
     * exact in its range: below 494 million, below 10^4, below 100. The remainder goes one lane up:
     * q + ((x - b * q) << n) is (x << n) - q * ((b << n) - 1). */
    uint64_t high = (value * 109951163) >> 40;
    value = (value << 32) - high * ((UINT64_C(10000) << 32) - 1);
    high = ((value * 10486) >> 20) & 0x0000007f0000007fu;
    value = (value << 16) - high * ((100 << 16) - 1);
    high = ((value * 103) >> 10) & 0x000f000f000f000fu;
    return (value << 8) - high * ((10 << 8) - 1);
}

/* The value of the first `count` bytes, 1 to 8, which are digits. */
static ALWAYS_INLINE uint64_t digits_value_of(const char *at, unsigned count)
{
    return digits_value((word_load(at) ^ DIGITS_ZEROS) << ((0 - 8 * count) & 63));
}

/* digits_word of two values below 10^8. */
static ALWAYS_INLINE void digits_word_pair(uint64_t first, uint64_t second, uint64_t *ret_first,
                                           uint64_t *ret_second)
{
#ifdef DIGITS_WIDE
    /* The steps of digits_word, side by side. */
    __m128i value = _mm_set_epi64x((int64_t)second, (int64_t)first);
    __m128i high = _mm_srli_epi64(_mm_mul_epu32(value, _mm_set1_epi64x(109951163)), 40);
    value = _mm_sub_epi64(value, _mm_mul_epu32(high, _mm_set1_epi64x(10000)));
    value = _mm_or_si128(high, _mm_slli_epi64(value, 32));
    high = _mm_srli_epi16(_mm_mulhi_epu16(value, _mm_set1_epi32(5243)), 3);
    value = _mm_sub_epi16(value, _mm_mullo_epi16(high, _mm_set1_epi32(100)));
    value = _mm_or_si128(high, _mm_slli_epi32(value, 16));
    high = _mm_mulhi_epu16(value, _mm_set1_epi16(6554));
    value = _mm_sub_epi16(value, _mm_mullo_epi16(high, _mm_set1_epi16(10)));
    value = _mm_or_si128(high, _mm_slli_epi16(value, 8));
    *ret_first = (uint64_t)_mm_cvtsi128_si64(value);
    *ret_second = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(value, value));
#else
    *ret_first = digits_word(first);
    *ret_second = digits_word(second);
#endif
}

#ifdef DIGITS_WIDE
/* Bit i: byte i of the next 16 is no digit. The bits from 16 on are set. */
static ALWAYS_INLINE uint32_t digits_stop_bits(const char *at)
{
    /* '0' to '9' become the ten highest signed bytes. */
    __m128i bytes = _mm_add_epi8(_mm_loadu_si128((const void *)at), _mm_set1_epi8(0x7f - '9'));
    __m128i digits = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x7f - 10));
    return ~(uint32_t)_mm_movemask_epi8(digits);
}

/* How many of the next 16 bytes are digits, before the first that is none. */
static ALWAYS_INLINE unsigned digits_run(const char *at)
{
    return count_trailing_zeros(digits_stop_bits(at));
}
#else
/* The high bit of each byte that is no digit, of the next eight. The lowest one is exact: a carry
 * can only disturb the bytes behind it. */
static ALWAYS_INLINE uint64_t digits_stops(const char *at)
{
    uint64_t word = word_load(at) ^ DIGITS_ZEROS;
    return ((word + 0x7676767676767676u) | word) & DIGITS_HIGHS;
}

static ALWAYS_INLINE unsigned digits_run(const char *at)
{
    uint64_t stops = digits_stops(at);
    if (stops != 0)
        return count_trailing_zeros(stops) / 8;
    stops = digits_stops(at + 8);
    return stops != 0 ? 8 + count_trailing_zeros(stops) / 8 : 16;
}
#endif

/*
 * Reads the digits at `at`, at most DIGITS_READ_MAX, and returns how many there are (more may
 * follow when it is the maximum). 16 bytes must be readable behind the first byte that is no digit.
 */
static ALWAYS_INLINE unsigned digits_read(const char *at, uint64_t *ret_value)
{
    unsigned count = digits_run(at);
    if (count > 8) {
        *ret_value =
            digits_value_of(at, 8) * digits_powers[count - 8] + digits_value_of(at + 8, count - 8);
        return count;
    }
    *ret_value = count == 0 ? 0 : digits_value_of(at, count);
    return count;
}

#define INTEGER_TEXT_MAX 20 /* digits of the largest uint64_t */

/* Zeros behind the last digit that is not zero; at most 7. */
static ALWAYS_INLINE unsigned digits_zeros_behind(uint64_t word)
{
    return count_trailing_zeros(word_reverse(word) | UINT64_C(1) << 63) / 8;
}

/* Zeros before the first digit that is not zero; at most 7. */
static ALWAYS_INLINE unsigned digits_zeros_before(uint64_t word)
{
    return count_trailing_zeros(word | UINT64_C(1) << 63) / 8;
}

/* The word without zeros at the front; returns the end. */
static ALWAYS_INLINE char *digits_write_word(char *out, uint64_t word)
{
    unsigned zeros = digits_zeros_before(word);
    word_store(out, (word + DIGITS_ZEROS) >> (8 * zeros));
    return out + 8 - zeros;
}

/* Writes the value without zeros at the front; touches at most INTEGER_TEXT_MAX bytes; returns the
 * end. */
static ALWAYS_INLINE char *digits_write(char *out, uint64_t value)
{
    const uint64_t eight = 100000000;
    if (LIKELY(value < eight))
        return digits_write_word(out, digits_word(value));
    uint64_t high = value / eight;
    uint64_t low = value - high * eight;
    if (UNLIKELY(high >= eight)) {
        out = digits_write_word(out, digits_word(high / eight));
        word_store(out, digits_word(high % eight) + DIGITS_ZEROS);
        word_store(out + 8, digits_word(low) + DIGITS_ZEROS);
        return out + 16;
    }
    digits_word_pair(high, low, &high, &low);
    out = digits_write_word(out, high);
    word_store(out, low + DIGITS_ZEROS);
    return out + 8;
}
