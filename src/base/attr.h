/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler extensions that this project allows itself; nothing else uses __attribute__ or a
 * builtin. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define CLEANUP(function) __attribute__((cleanup(function)))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NO_RETURN __attribute__((noreturn))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define LIKELY(condition) __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Checked arithmetic: true when the result fits, which is then stored. */
static inline MUST_CHECK bool size_add(size_t left, size_t right, size_t *ret_sum)
{
    return !__builtin_add_overflow(left, right, ret_sum);
}

static inline MUST_CHECK bool size_multiply(size_t left, size_t right, size_t *ret_product)
{
    return !__builtin_mul_overflow(left, right, ret_product);
}

static inline MUST_CHECK bool int64_add(int64_t left, int64_t right, int64_t *ret_sum)
{
    return !__builtin_add_overflow(left, right, ret_sum);
}

static inline MUST_CHECK bool int64_multiply(int64_t left, int64_t right, int64_t *ret_product)
{
    return !__builtin_mul_overflow(left, right, ret_product);
}

/* Number of zero bits below the lowest set bit; the argument must not be 0. */
static ALWAYS_INLINE unsigned count_trailing_zeros(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits);
}
