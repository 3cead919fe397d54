/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to REST requests of the quotation protocol: a list of objects that name their market, or
 * an error, which Bithumb sends with status 200.
 */
#include "exchange/calendar.h"
#include "exchange/quotation.h"
#include "exchange/rest.h"

#define KST_US (CALENDAR_KST_SECONDS * INT64_C(1000000))
#define SECOND_US INT64_C(1000000)

/* The words are for operators: a name, where it is one and not a number, says more than the
 * translated message. */
static struct slice note_of(struct slice name, struct slice message)
{
    bool is_word = name.size > 0 && (name.data[0] < '0' || name.data[0] > '9');
    return is_word || message.size == 0 ? name : message;
}

static struct slice error_read(struct scan *scan)
{
    static const char *const names[] = {"name", "message", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return (struct slice){.data = NULL, .size = 0};
    return note_of(value[0], value[1]);
}

/* {"error":{"name":404,"message":"..."}}, or without the envelope. */
static struct slice refusal_read(struct scan *scan)
{
    struct slice key;
    struct slice inner = {.data = NULL, .size = 0};
    struct slice name = inner;
    struct slice message = inner;
    bool first = true;
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        char next = scan_peek(scan);
        if (slice_is(key, "error") && next == '{')
            inner = error_read(scan);
        else if (slice_is(key, "name") && next == '"')
            name = scan_text(scan);
        else if (slice_is(key, "message") && next == '"')
            message = scan_text(scan);
        else
            scan_skip(scan);
    }
    return inner.size > 0 ? inner : note_of(name, message);
}

/*
 * Bithumb's stamp of a last trade is Korea's clock read as if it were UTC, 9 hours ahead. Should it
 * ever become what is documented, then the date and time in words, which are Korea's, tell: they
 * are the stamp's own seconds now, and would be 9 hours later then.
 */
static int64_t trade_time(const struct quotation_dialect *dialect, struct slice stamp,
                          struct slice korean_date, struct slice korean_time)
{
    int64_t stamp_us = rest_time_us(stamp);
    int64_t words_us;
    if (stamp_us == 0 || !dialect->rest_trade_time_korean)
        return stamp_us;
    if (calendar_read_compact(korean_date, korean_time, &words_us) &&
        stamp_us - stamp_us % SECOND_US == words_us - KST_US)
        return stamp_us;
    return stamp_us - KST_US;
}

static bool market_read(struct scan *scan, struct rest_fact *fact)
{
    static const char *const names[] = {"market", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return false;
    fact->native = value[0];
    fact->tradable = true; /* what is not, is not in the list */
    return true;
}

static bool ticker_read(const struct quotation_dialect *dialect, struct scan *scan,
                        struct rest_fact *fact)
{
    static const char *const names[] = {"market", "trade_timestamp", "trade_date_kst",
                                        "trade_time_kst", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return false;
    fact->native = value[0];
    fact->trade_us = trade_time(dialect, value[1], value[2], value[3]);
    return true;
}

static bool book_read(struct scan *scan, struct rest_fact *fact)
{
    static const char *const names[] = {"market", "timestamp", NULL};
    struct slice value[REST_MEMBERS_MAX];
    if (!rest_members_read(scan, names, value))
        return false;
    fact->native = value[0];
    fact->book_us = rest_time_us(value[1]);
    return true;
}

static bool entry_read(const struct quotation_dialect *dialect, enum rest_kind kind,
                       struct scan *scan, struct rest_fact *fact)
{
    switch (kind) {
    case REST_MARKETS:
        return market_read(scan, fact);
    case REST_TICKERS:
        return ticker_read(dialect, scan, fact);
    case REST_BOOK:
        return book_read(scan, fact);
    case REST_TRADES:
        break;
    }
    return false;
}

bool quotation_rest_read(const struct quotation_dialect *dialect, enum rest_kind kind,
                         struct slice text, const struct rest_visitor *visitor,
                         struct slice *ret_note)
{
    struct scan scan = scan_begin(text);
    bool first = true;
    *ret_note = (struct slice){.data = NULL, .size = 0};
    if (scan_peek(&scan) == '{') {
        *ret_note = refusal_read(&scan);
        return false;
    }
    scan_expect(&scan, '[');
    while (scan_next_element(&scan, &first)) {
        struct rest_fact fact = {.tradable = false};
        if (!entry_read(dialect, kind, &scan, &fact) || fact.native.size == 0)
            return false;
        visitor->visit(visitor->context, &fact);
    }
    return scan_finish(&scan);
}
