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
#include "market/decimal.h"

#include "base/slice.h"

struct scan {
    const char *at;  /* next byte */
    const char *end; /* the NUL */
    bool failed;
};

/* text.data[text.size] must be NUL, and LIMIT_PADDING bytes behind it readable. */
static inline struct scan scan_begin(struct slice text)
{
    return (struct scan){
        .at = text.data, .end = text.data + text.size, .failed = text.data[text.size] != '\0'};
}

/*
 * Functions below skip white space before the token. On anything else than what is asked for they
 * set `failed` (but the _take and _peek ones, which answer), after which every function fails at
 * once and moves no further.
 */

/* The next byte that is not white space; NUL at the end or after a failure. */
char scan_peek(struct scan *scan);

/* Takes the byte when it comes next; answers whether it did. */
bool scan_take(struct scan *scan, char byte);
void scan_expect(struct scan *scan, char byte);

/*
 * Walks an object or array, after its opening bracket was taken by scan_expect: true when an
 * element follows, false (bracket taken, or failed) at the end. `first` must be true before the
 * first call and is kept by these functions. scan_next_key also takes the key and its colon.
 *
 *     bool first = true;
 *     scan_expect(&scan, '{');
 *     while (scan_next_key(&scan, &first, &key)) ...
 */
bool scan_next_key(struct scan *scan, bool *first, struct slice *ret_key);
bool scan_next_element(struct scan *scan, bool *first);

/* A string's content as it stands between the quotes (escapes checked, not resolved; no raw control
 * characters). */
struct slice scan_text(struct scan *scan);

/* A number with neither fraction nor exponent that fits int64. */
int64_t scan_integer(struct scan *scan);

/* A JSON number, strictly (no '+', no leading zeros, at least one digit on both sides of a point).
 */
enum decimal_verdict scan_number(struct scan *scan, struct decimal *ret_value);

/* A string holding exactly a decimal, in decimal_read's wider grammar. Not a number:
 * DECIMAL_INVALID and failed. */
enum decimal_verdict scan_quoted_decimal(struct scan *scan, struct decimal *ret_value);

bool scan_boolean(struct scan *scan);

/* Takes `null` when it comes next. */
bool scan_take_null(struct scan *scan);

/* Any one value, checked, nested at most LIMIT_JSON_DEPTH. */
void scan_skip(struct scan *scan);

/* True when nothing failed and only white space is left. */
bool scan_finish(struct scan *scan);
