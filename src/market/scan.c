/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the scanner that rare input needs; what every message needs is inline in scan.h. */
#include "market/scan.h"

#include "market/decimal_quick.h"
#include "market/event.h"
#include "market/utf8.h"

const char scan_nothing[LIMIT_PADDING + 1];

static_assert(LIMIT_PADDING >= 16, "words are loaded from any byte of the text, the NUL included");
static_assert(LIMIT_JSON_DEPTH <= 64, "scan_skip_long keeps one bit for each open bracket");

static ALWAYS_INLINE bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

void scan_space_long(struct scan *scan)
{
    const char *at = scan->at;
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    scan->at = at;
}

static bool is_hex(char byte)
{
    char lower = (char)(byte | 0x20);
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

/* Bytes of the escape at the backslash; 0 when it is none. */
static size_t escape_size(const char *at)
{
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        return is_hex(at[2]) && is_hex(at[3]) && is_hex(at[4]) && is_hex(at[5]) ? 6 : 0;
    default:
        return 0;
    }
}

/* At an opening quote, whose plain run ended at `stopped`: at an escape, a longer character, or
 * what may not stand in a string. Or not at a quote at all. */
struct slice scan_text_long(struct scan *scan, const char *stopped)
{
    const char *start = scan->at + 1;
    const char *at = stopped;
    size_t size = *scan->at == '"';
    while (size != 0 && *at != '"') {
        size = 0;
        if (*at == '\\')
            size = escape_size(at);
        else if ((unsigned char)*at >= ' ')
            size = utf8_character_size(at, 4); /* the NUL stops it before the end does */
        at += size;
    }
    if (size == 0) {
        scan_fail(scan);
        return (struct slice){.data = scan->end, .size = 0};
    }
    scan->at = at + 1;
    return (struct slice){.data = start, .size = (size_t)(at - start)};
}

/* White space, long keys, escapes in keys, the end, and what is no key. */
bool scan_next_key_long(struct scan *scan, bool *first, struct slice *ret_key)
{
    if (!scan_next(scan, first, '}'))
        return false;
    *ret_key = scan_text(scan);
    scan_expect(scan, ':');
    return !scan->failed;
}

/* Signs, zero, more than 15 digits, and everything that is no integer. */
int64_t scan_integer_long(struct scan *scan)
{
    bool negative = *scan->at == '-';
    const char *at = scan->at + negative;
    uint64_t value;
    uint64_t rest = 0;
    unsigned count = digits_read(at, &value);
    bool valid = count == 1 || (count > 1 && *at != '0');
    at += count;
    if (count == DIGITS_READ_MAX) {
        unsigned rest_count = digits_read(at, &rest);
        valid = valid && rest_count <= 3; /* 19 digits in all always fit an uint64_t */
        value = value * digits_powers[rest_count] + rest;
        at += rest_count;
    }
    if (!valid || value > (uint64_t)INT64_MAX + negative || *at == '.' || (*at | 0x20) == 'e') {
        scan_fail(scan);
        return 0;
    }
    scan->at = at;
    return (int64_t)(negative ? 0 - value : value);
}

bool scan_boolean(struct scan *scan)
{
    scan_space(scan);
    if (scan_take_exact(scan, SLICE("true")))
        return true;
    if (!scan_take_exact(scan, SLICE("false")))
        scan_fail(scan);
    return false;
}

bool scan_take_null(struct scan *scan)
{
    scan_space(scan);
    return scan_take_exact(scan, SLICE("null"));
}

/* Behind one run of digits; NULL when there is none. */
static ALWAYS_INLINE const char *skip_digits(const char *at)
{
    const char *start = at;
    unsigned run;
    do {
        run = digits_run(at);
        at += run;
    } while (UNLIKELY(run == DIGITS_READ_MAX));
    return at == start ? NULL : at;
}

/* Behind the exponent whose `e` stands at `at`; NULL when it is none. */
static const char *skip_exponent(const char *at)
{
    at++;
    if (*at == '-' || *at == '+')
        at++;
    return skip_digits(at);
}

/* A number as scan_number takes it, without its value. */
static ALWAYS_INLINE void skip_number(struct scan *scan)
{
    const char *start = scan->at + (*scan->at == '-');
    const char *at = skip_digits(start);
    bool loose = *start == '0' && at != start + 1;
    if (at != NULL && *at == '.')
        at = skip_digits(at + 1);
    if (at != NULL && UNLIKELY((*at | 0x20) == 'e'))
        at = skip_exponent(at);
    if (UNLIKELY(at == NULL || loose))
        scan_fail(scan);
    else
        scan->at = at;
}

static ALWAYS_INLINE void skip_scalar(struct scan *scan)
{
    char next = scan_peek(scan);
    if (next == '"')
        scan_text(scan);
    else if (next == '-' || is_digit(next))
        skip_number(scan);
    else if (next == 't' || next == 'f')
        scan_boolean(scan);
    else if (!scan_take_null(scan))
        scan_fail(scan);
}

static void skip_key(struct scan *scan)
{
    scan_text(scan);
    scan_expect(scan, ':');
}

/* The brackets that are open: bit 0 is the innermost one, set for an object. */
struct nesting {
    uint64_t objects;
    unsigned depth;
};

/* At a value: opens the brackets that come, up to where a scalar is next. False when the last one
 * closed at once. */
static bool skip_openings(struct scan *scan, struct nesting *nesting)
{
    for (;;) {
        bool object = scan_take(scan, '{');
        if (!object && !scan_take(scan, '['))
            return true;
        if (nesting->depth == LIMIT_JSON_DEPTH) {
            scan_fail(scan);
            return false;
        }
        if (scan_take(scan, object ? '}' : ']'))
            return false;
        nesting->objects = nesting->objects << 1 | object;
        nesting->depth++;
        if (object)
            skip_key(scan);
    }
}

/* Behind a value: closes the brackets that end. True when another value follows. */
static bool skip_closings(struct scan *scan, struct nesting *nesting)
{
    while (nesting->depth > 0) {
        bool object = (nesting->objects & 1) != 0;
        if (scan_take(scan, ',')) {
            if (object)
                skip_key(scan);
            return true;
        }
        scan_expect(scan, object ? '}' : ']');
        if (scan->failed)
            return false;
        nesting->objects >>= 1;
        nesting->depth--;
    }
    return false;
}

static void skip_nested(struct scan *scan)
{
    struct nesting nesting = {0};
    do {
        if (skip_openings(scan, &nesting))
            skip_scalar(scan);
    } while (skip_closings(scan, &nesting));
}

void scan_skip_long(struct scan *scan)
{
    if (LIKELY(scan_peek(scan) != '{' && *scan->at != '['))
        skip_scalar(scan);
    else
        skip_nested(scan);
}

/* One level without white space, both numbers of ordinary length, as exchanges send it. False: not
 * of that kind. */
static ALWAYS_INLINE bool level_quick(const char **at, struct level *out)
{
    const char *next = *at;
    if (next[0] != '[' || next[1] != '"' || !decimal_read_quick(next + 2, &next, &out->price))
        return false;
    if (next[0] != '"' || next[1] != ',' || next[2] != '"' ||
        !decimal_read_quick(next + 3, &next, &out->size))
        return false;
    if (next[0] != '"' || next[1] != ']')
        return false;
    *at = next + 2;
    return true;
}

static void level_long(struct scan *scan, struct level *out)
{
    scan_expect(scan, '[');
    if (scan_quoted_decimal(scan, &out->price) != DECIMAL_OK)
        scan_fail(scan);
    scan_expect(scan, ',');
    if (scan_quoted_decimal(scan, &out->size) != DECIMAL_OK)
        scan_fail(scan);
    scan_expect(scan, ']');
}

uint32_t scan_levels(struct scan *scan, struct level *out, uint32_t capacity)
{
    uint32_t count = 0;
    bool first = true;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        if (count == capacity) {
            scan_fail(scan);
            break;
        }
        const char *at = scan->at;
        if (LIKELY(level_quick(&at, &out[count])))
            scan->at = at;
        else
            level_long(scan, &out[count]);
        count++;
    }
    return scan->failed ? 0 : count;
}
