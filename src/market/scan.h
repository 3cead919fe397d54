/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict JSON scanner (RFC 8259) for one pass over one message: the caller dispatches on keys as
 * they come and nothing is stored. It stands on a sentinel instead of bounds: the text is followed
 * by a NUL, which no token may contain, so every loop ends there; and by LIMIT_PADDING readable
 * bytes, so that words can be loaded whole. A scan that fails stays failed: check once at the end
 * with scan_finish.
 */
#pragma once

#include "base/limits.h"
#include "base/slice.h"
#include "market/decimal.h"
#include "market/digits.h"
#include "market/text_run.h"

struct level;

struct scan {
    const char *at;  /* next byte; the end after a failure, where no token is found any more */
    const char *end; /* the NUL */
    bool failed;
};

/* What the inline functions below leave to scan.c: rare input. */
void scan_space_long(struct scan *scan);
struct slice scan_text_long(struct scan *scan, const char *stopped);
bool scan_next_key_long(struct scan *scan, bool *first, struct slice *ret_key);
int64_t scan_integer_long(struct scan *scan);
void scan_skip_long(struct scan *scan);
extern const char scan_nothing[LIMIT_PADDING + 1]; /* an empty text */

/* text.data[text.size] must be NUL (else the scan has failed), and LIMIT_PADDING bytes behind it
 * readable. */
static inline struct scan scan_begin(struct slice text)
{
    if (UNLIKELY(text.data[text.size] != '\0'))
        return (struct scan){.at = scan_nothing, .end = scan_nothing, .failed = true};
    return (struct scan){.at = text.data, .end = text.data + text.size, .failed = false};
}

/* Also for callers that find a value out of bounds: nothing more is then found in this text. */
static inline void scan_fail(struct scan *scan)
{
    scan->failed = true;
    scan->at = scan->end;
}

/*
 * Functions below skip white space before the token. On anything else than what is asked for they
 * set `failed` (but the _take and _peek ones, which answer), after which every function fails at
 * once and moves no further.
 */

static ALWAYS_INLINE void scan_space(struct scan *scan)
{
    if (UNLIKELY((unsigned char)*scan->at <= ' '))
        scan_space_long(scan);
}

/* The next byte that is not white space; NUL at the end or after a failure. */
static ALWAYS_INLINE char scan_peek(struct scan *scan)
{
    scan_space(scan);
    return *scan->at;
}

/* Takes the byte (not NUL) when it comes next; answers whether it did. */
static ALWAYS_INLINE bool scan_take(struct scan *scan, char byte)
{
    if (scan_peek(scan) != byte)
        return false;
    scan->at++;
    return true;
}

static ALWAYS_INLINE void scan_expect(struct scan *scan, char byte)
{
    if (UNLIKELY(!scan_take(scan, byte)))
        scan_fail(scan);
}

/* A string's content as it stands between the quotes (escapes checked, not resolved; no raw control
 * characters; valid UTF-8). */
static ALWAYS_INLINE struct slice scan_text(struct scan *scan)
{
    scan_space(scan);
    const char *start = scan->at + 1;
    if (UNLIKELY(*scan->at != '"'))
        return scan_text_long(scan, scan->at);
    const char *at = start;
    unsigned run = text_run(at);
    while (UNLIKELY(run == TEXT_RUN)) {
        at += TEXT_RUN;
        run = text_run(at);
    }
    at += run;
    if (UNLIKELY(*at != '"'))
        return scan_text_long(scan, at);
    scan->at = at + 1;
    return (struct slice){.data = start, .size = (size_t)(at - start)};
}

/*
 * Walks an object or array, after its opening bracket was taken by scan_expect: true when an
 * element follows, false (bracket taken, or failed) at the end. `first` must be true before the
 * first call and is kept by these functions. scan_next_key also takes the key and its colon.
 *
 *     bool first = true;
 *     scan_expect(&scan, '{');
 *     while (scan_next_key(&scan, &first, &key)) ...
 */
static ALWAYS_INLINE bool scan_next(struct scan *scan, bool *first, char closing)
{
    bool opening = *first;
    *first = false;
    if (!opening && LIKELY(scan_take(scan, ',')))
        return true;
    if (scan_take(scan, closing))
        return false;
    if (UNLIKELY(!opening || *scan->at == '\0')) {
        scan_fail(scan);
        return false;
    }
    return true;
}

static ALWAYS_INLINE bool scan_next_element(struct scan *scan, bool *first)
{
    return scan_next(scan, first, ']');
}

static ALWAYS_INLINE bool scan_next_key(struct scan *scan, bool *first, struct slice *ret_key)
{
    /* No white space, as exchanges send it; anything else goes the long way. */
    const char *at = scan->at;
    if (!*first && LIKELY(*at == ','))
        at++;
    else if (!*first)
        return scan_next_key_long(scan, first, ret_key);
    if (UNLIKELY(*at != '"'))
        return scan_next_key_long(scan, first, ret_key);
    at++;
    /* Guessing the length of short keys by branches lets the processor run ahead of the search for
     * the end. */
    unsigned size = 1;
    if (at[1] != '"' || !text_plain(at[0])) {
        unsigned run = text_run(at);
        size = at[2] == '"' ? 2 : run;
        if (UNLIKELY(size != run || at[size] != '"'))
            return scan_next_key_long(scan, first, ret_key);
    }
    if (UNLIKELY(at[size + 1] != ':'))
        return scan_next_key_long(scan, first, ret_key);
    *ret_key = (struct slice){.data = at, .size = size};
    *first = false;
    scan->at = at + size + 2;
    return true;
}

/*
 * Takes exactly these bytes (LIMIT_PADDING at most) when they come next, without white space;
 * answers whether they did. For what nearly always stands in the same place, like `,"price":`: a
 * fraction of the cost of a key. When it does not come, go on with the function for the token.
 */
static ALWAYS_INLINE bool scan_take_exact(struct scan *scan, struct slice text)
{
    if (memcmp(scan->at, text.data, text.size) != 0)
        return false;
    scan->at += text.size;
    return true;
}

/* A number with neither fraction nor exponent that fits int64. */
static ALWAYS_INLINE int64_t scan_integer(struct scan *scan)
{
    scan_space(scan);
    const char *at = scan->at;
    uint64_t value;
    unsigned count = digits_read(at, &value);
    char next = at[count];
    if (UNLIKELY(count - 1 >= DIGITS_READ_MAX - 1 || *at == '0' || next == '.' ||
                 (next | 0x20) == 'e'))
        return scan_integer_long(scan);
    scan->at = at + count;
    return (int64_t)value;
}

/* A JSON number, strictly (no '+', no leading zeros, at least one digit on both sides of a point).
 * Not a number: DECIMAL_INVALID and failed. Too long: taken, and not failed. */
static inline enum decimal_verdict scan_number(struct scan *scan, struct decimal *ret_value)
{
    scan_space(scan);
    const char *at = scan->at + (*scan->at == '-');
    bool loose = *at == '+' || (*at == '0' && at[1] >= '0' && at[1] <= '9');
    enum decimal_verdict verdict = DECIMAL_INVALID;
    if (LIKELY(!loose))
        verdict = decimal_read(scan->at, &scan->at, ret_value);
    if (UNLIKELY(verdict == DECIMAL_INVALID))
        scan_fail(scan);
    return verdict;
}

/* A string holding exactly a decimal, in decimal_read's wider grammar. Not a number:
 * DECIMAL_INVALID and failed. Too long: taken, and not failed. */
static inline enum decimal_verdict scan_quoted_decimal(struct scan *scan, struct decimal *ret_value)
{
    scan_expect(scan, '"');
    const char *at = scan->at;
    enum decimal_verdict verdict = decimal_read(at, &at, ret_value);
    if (UNLIKELY(verdict == DECIMAL_INVALID || *at != '"')) {
        scan_fail(scan);
        return DECIMAL_INVALID;
    }
    scan->at = at + 1;
    return verdict;
}

/*
 * A whole array of levels, [["price","size"],...], into out; returns how many. Fails on more than
 * `capacity`, on any other shape, and on a number that is too long.
 */
uint32_t scan_levels(struct scan *scan, struct level *out, uint32_t capacity);

bool scan_boolean(struct scan *scan);

/* Takes `null` when it comes next. */
bool scan_take_null(struct scan *scan);

/* Any one value, checked, nested at most LIMIT_JSON_DEPTH. */
static ALWAYS_INLINE void scan_skip(struct scan *scan)
{
    /* Plain numbers are most of what is skipped. */
    const char *at = scan->at;
    if (*at >= '1' && *at <= '9')
        at += digits_run(at);
    if (LIKELY(at != scan->at && (*at == ',' || *at == '}')))
        scan->at = at;
    else
        scan_skip_long(scan);
}

/* True when nothing failed and only white space is left. */
static inline bool scan_finish(struct scan *scan)
{
    scan_space(scan);
    return !scan->failed && scan->at == scan->end;
}
