/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In one pass: the list of markets is many megabytes, of which two members of each symbol matter.
 */
#include "exchange/binance/rest.h"

#include "exchange/rest.h"

struct answer_reader {
    struct rest_visitor visitor;
    struct slice note;
};

static void fact_visit(const struct answer_reader *reader, const struct rest_fact *fact)
{
    reader->visitor.visit(reader->visitor.context, fact);
}

/* "TRADING"; HALT, BREAK and CANCEL_ONLY make no trades. */
static bool market_read(struct scan *scan, struct rest_fact *fact)
{
    static const char *const names[] = {"symbol", "status", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return false;
    fact->native = value[0];
    fact->tradable = slice_is(value[1], "TRADING");
    return fact->native.size > 0;
}

static bool markets_read(const struct answer_reader *reader, struct scan *scan)
{
    bool first = true;
    if (scan_peek(scan) != '[')
        return false;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        struct rest_fact fact = {.tradable = false};
        if (!market_read(scan, &fact))
            return false;
        fact_visit(reader, &fact);
    }
    return !scan->failed;
}

/* {"timezone",...,"symbols":[{"symbol","status",...},...]} */
static bool exchange_information_read(struct answer_reader *reader, struct scan *scan)
{
    struct slice key;
    bool first = true;
    bool seen = false;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (slice_is(key, "symbols")) {
            if (seen || !markets_read(reader, scan))
                return false;
            seen = true;
        } else if (slice_is(key, "msg") && scan_peek(scan) == '"') {
            reader->note = scan_text(scan);
        } else {
            scan_skip(scan);
        }
    }
    return seen && scan_finish(scan);
}

/* Of lastId -1 there was no trade in 24 hours. closeTime is the end of the window, not a trade's.
 */
static bool ticker_read(struct answer_reader *reader, struct scan *scan)
{
    static const char *const names[] = {"symbol", "lastId", "msg", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return false;
    reader->note = value[2];
    if (value[0].size == 0)
        return false;
    struct rest_fact fact = {.native = value[0], .trade_id = rest_id(value[1])};
    fact_visit(reader, &fact);
    return true;
}

/* A list, or one object when one symbol was asked for. */
static bool tickers_read(struct answer_reader *reader, struct scan *scan)
{
    bool first = true;
    if (scan_peek(scan) == '{')
        return ticker_read(reader, scan) && scan_finish(scan);
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first))
        if (!ticker_read(reader, scan))
            return false;
    return scan_finish(scan);
}

/* The first of [["price","size"],...]; an empty side leaves it as it is. */
static void best_read(struct scan *scan, struct level *best)
{
    bool first = true, none = true;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        if (!none) {
            scan_skip(scan);
            continue;
        }
        none = false;
        scan_expect(scan, '[');
        if (scan_quoted_decimal(scan, &best->price) != DECIMAL_OK)
            scan_fail(scan);
        scan_expect(scan, ',');
        if (scan_quoted_decimal(scan, &best->size) != DECIMAL_OK)
            scan_fail(scan);
        scan_expect(scan, ']');
    }
}

/* It names no symbol and no time. Its id grows with every change of the whole book, of which the
 * channel shows twenty levels: so the best ones are looked at as well. */
static bool book_read(struct answer_reader *reader, struct scan *scan)
{
    struct rest_fact fact = {.tradable = false};
    struct slice key;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (slice_is(key, "lastUpdateId") && fact.book_id == 0)
            fact.book_id = scan_integer(scan);
        else if (slice_is(key, "lastUpdateId"))
            scan_fail(scan);
        else if (slice_is(key, "bids"))
            best_read(scan, &fact.bid);
        else if (slice_is(key, "asks"))
            best_read(scan, &fact.ask);
        else if (slice_is(key, "msg") && scan_peek(scan) == '"')
            reader->note = scan_text(scan);
        else
            scan_skip(scan);
    }
    if (!scan_finish(scan) || fact.book_id <= 0)
        return false;
    fact_visit(reader, &fact);
    return true;
}

static bool answer_read(enum rest_kind kind, struct answer_reader *reader, struct scan *scan)
{
    switch (kind) {
    case REST_MARKETS:
        return exchange_information_read(reader, scan);
    case REST_TICKERS:
        return tickers_read(reader, scan);
    case REST_BOOK:
        return book_read(reader, scan);
    case REST_TRADES:
        break;
    }
    return false;
}

bool binance_rest_read(enum rest_kind kind, struct slice text, rest_fact_fn *visit, void *context,
                       struct slice *ret_note)
{
    struct answer_reader reader = {.visitor = {.visit = visit, .context = context}};
    struct scan scan = scan_begin(text);
    bool good = answer_read(kind, &reader, &scan);
    *ret_note = good ? (struct slice){.data = NULL, .size = 0} : reader.note;
    return good;
}
