/* SPDX-License-Identifier: Apache-2.0 */
/*
 * {"status":"0000","data":{...}}, with status 200 for errors too. The data is passed over once, and
 * read when the status is known, wherever that stood.
 */
#include "exchange/bithumb/old_rest.h"

#include "exchange/rest.h"

struct envelope {
    struct slice status, message;
    const char *data; /* where it begins; NULL: there is none */
    bool muddled;     /* a key came twice */
};

static bool envelope_read(struct envelope *envelope, struct scan *scan)
{
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        char next = scan_peek(scan);
        if (slice_is(key, "status") && next == '"') {
            envelope->muddled |= envelope->status.data != NULL;
            envelope->status = scan_text(scan);
        } else if (slice_is(key, "message") && next == '"') {
            envelope->message = scan_text(scan);
        } else {
            if (slice_is(key, "data") && next == '{') {
                envelope->muddled |= envelope->data != NULL;
                envelope->data = scan->at;
            }
            scan_skip(scan);
        }
    }
    return scan_finish(scan) && !envelope->muddled;
}

/* The key is the base alone; the quote is the path's. False when it cannot be spelled. */
static bool native_make(struct slice base, struct slice quote, char native[LIMIT_NATIVE_SYMBOL])
{
    if (base.size == 0 || quote.size == 0 || base.size + 1 + quote.size >= LIMIT_NATIVE_SYMBOL)
        return false;
    memcpy(native, base.data, base.size);
    native[base.size] = '_';
    memcpy(native + base.size + 1, quote.data, quote.size);
    native[base.size + 1 + quote.size] = '\0';
    return true;
}

/* {"BTC":{...},"ETH":{...},"OLD":[],"date":"..."}: an empty list is a market without trading. */
static bool tickers_read(enum rest_kind kind, struct scan *scan, const struct rest_visitor *visitor)
{
    char native[LIMIT_NATIVE_SYMBOL];
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        char next = scan_peek(scan);
        scan_skip(scan);
        if ((next != '{' && next != '[') || !native_make(key, SLICE("KRW"), native))
            continue;
        struct rest_fact fact = {.native = slice_of(native),
                                 .tradable = kind == REST_MARKETS && next == '{'};
        visitor->visit(visitor->context, &fact);
    }
    return !scan->failed;
}

static bool book_read(struct scan *scan, const struct rest_visitor *visitor)
{
    static const char *const names[] = {"order_currency", "payment_currency", "timestamp", NULL};
    struct slice value[REST_MEMBERS_MAX];
    char native[LIMIT_NATIVE_SYMBOL];
    if (!rest_members_read(scan, names, value) || !native_make(value[0], value[1], native))
        return false;
    struct rest_fact fact = {.native = slice_of(native), .book_us = rest_time_us(value[2])};
    visitor->visit(visitor->context, &fact);
    return true;
}

static bool data_read(enum rest_kind kind, struct scan *scan, const struct rest_visitor *visitor)
{
    switch (kind) {
    case REST_MARKETS:
    case REST_TICKERS:
        return tickers_read(kind, scan, visitor);
    case REST_BOOK:
        return book_read(scan, visitor);
    case REST_TRADES:
        break;
    }
    return false;
}

bool bithumb1_rest_read(enum rest_kind kind, struct slice text, rest_fact_fn *visit, void *context,
                        struct slice *ret_note)
{
    const struct rest_visitor visitor = {.visit = visit, .context = context};
    struct envelope envelope = {.data = NULL};
    struct scan scan = scan_begin(text);
    *ret_note = (struct slice){.data = NULL, .size = 0};
    if (!envelope_read(&envelope, &scan))
        return false;
    if (!slice_is(envelope.status, "0000")) {
        *ret_note = envelope.message.size > 0 ? envelope.message : envelope.status;
        return false;
    }
    struct scan inner = {.at = envelope.data, .end = text.data + text.size};
    return envelope.data != NULL && data_read(kind, &inner, &visitor);
}
