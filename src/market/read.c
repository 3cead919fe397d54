/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass by the table of the message's type; the type usually comes first, else a pass before it
 * finds it. Each type has its list of keys, in the order in which the writer puts them: a key is
 * looked for where the last one was found, so that our own messages are read without searching.
 */
#include "market/read.h"

#include "market/book.h"
#include "market/scan.h"

#include <assert.h>

#define INTEGER_MAX ((INT64_C(1) << 53) - 1) /* exact in a JavaScript number */
#define EXCHANGE_NAME_MAX 32
#define ESCAPED_MAX 6 /* bytes that one byte may have become */

/* Keys that every type may have; those of the type follow. */
enum common_key { KEY_TYPE, KEY_SEQ, KEY_EXCHANGE, KEY_SYMBOL, KEY_TS, KEY_RECV, KEY_SNAPSHOT };
#define COMMON_KEYS "type", "seq", "exchange", "symbol", "ts", "recv", "snapshot"
#define KEY_OWN 7 /* the first key of the type */
#define KEY_BIT(key) (1u << (key))

struct reader {
    struct scan scan;
    struct read_scratch *scratch; /* borrowed */
    struct read_message message;
    uint32_t seen; /* KEY_BITs */
};

typedef void field_fn(struct reader *reader, unsigned key);

struct shape {
    const char *const *keys;
    unsigned count;
    uint32_t required; /* KEY_BITs */
    field_fn *field;   /* reads the value of one of the type's own keys */
};

static int64_t read_integer(struct reader *reader, int64_t max)
{
    int64_t value = scan_integer(&reader->scan);
    if (value < 0 || value > max)
        scan_fail(&reader->scan);
    return value;
}

static struct slice read_text(struct reader *reader, size_t max)
{
    struct slice text = scan_text(&reader->scan);
    if (text.size > ESCAPED_MAX * max)
        scan_fail(&reader->scan);
    return text;
}

/* No price, size or rate of ours is negative. */
static struct decimal read_decimal(struct reader *reader)
{
    struct decimal value = {0};
    if (scan_quoted_decimal(&reader->scan, &value) != DECIMAL_OK || value.mantissa < 0)
        scan_fail(&reader->scan);
    return value;
}

/* The index of the word, from `first` on. */
static unsigned read_word(struct reader *reader, const char *const *words, unsigned first,
                          unsigned last)
{
    struct slice text = scan_text(&reader->scan);
    for (unsigned i = first; i <= last; i++)
        if (slice_is(text, words[i]))
            return i;
    scan_fail(&reader->scan);
    return first;
}

static struct levels read_levels(struct reader *reader, struct level *level)
{
    uint32_t count = scan_levels(&reader->scan, level, LIMIT_MESSAGE_LEVELS);
    for (uint32_t i = 0; i < count; i++)
        if (level[i].price.mantissa < 0 || level[i].size.mantissa < 0)
            scan_fail(&reader->scan);
    return (struct levels){.level = level, .count = count};
}

static struct slice read_exchange(struct reader *reader)
{
    struct slice name = scan_text(&reader->scan);
    bool valid = name.size > 0 && name.size <= EXCHANGE_NAME_MAX;
    for (size_t i = 0; i < name.size && valid; i++) {
        char byte = name.data[i];
        valid = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
    }
    if (!valid)
        scan_fail(&reader->scan);
    return name;
}

static void read_common(struct reader *reader, enum common_key key)
{
    struct read_message *message = &reader->message;
    switch (key) {
    case KEY_TYPE:
        message->type = scan_text(&reader->scan);
        return;
    case KEY_SEQ:
        message->seq = read_integer(reader, INTEGER_MAX);
        return;
    case KEY_EXCHANGE:
        message->exchange = read_exchange(reader);
        return;
    case KEY_SYMBOL:
        if (!symbol_read(scan_text(&reader->scan), &reader->scratch->symbol))
            scan_fail(&reader->scan);
        message->event.symbol = &reader->scratch->symbol;
        return;
    case KEY_TS:
        message->event.exchange_us = read_integer(reader, INTEGER_MAX);
        return;
    case KEY_RECV:
        message->event.received_us = read_integer(reader, INTEGER_MAX);
        return;
    case KEY_SNAPSHOT:
        message->snapshot = scan_boolean(&reader->scan);
        return;
    }
    assert(false);
}

enum trade_key { TRADE_ID = KEY_OWN, TRADE_PRICE, TRADE_SIZE, TRADE_SIDE, TRADE_ORIGIN };
static const char *const trade_keys[] = {COMMON_KEYS, "id", "price", "size", "side", "origin"};

static void trade_field(struct reader *reader, unsigned key)
{
    struct trade *trade = &reader->message.event.trade;
    switch ((enum trade_key)key) {
    case TRADE_ID:
        trade->id = read_text(reader, LIMIT_TRADE_ID);
        return;
    case TRADE_PRICE:
        trade->price = read_decimal(reader);
        return;
    case TRADE_SIZE:
        trade->size = read_decimal(reader);
        return;
    case TRADE_SIDE:
        trade->side = (enum side)read_word(reader, side_names, SIDE_BUY, SIDE_SELL);
        return;
    case TRADE_ORIGIN: /* live is said by leaving it out */
        trade->origin =
            (enum trade_origin)read_word(reader, trade_origin_names, TRADE_REST, TRADE_SNAPSHOT);
        return;
    }
    assert(false);
}

static const char *const ticker_keys[] = {COMMON_KEYS, "last",   "open",         "high",
                                          "low",       "volume", "quote_volume", "bid",
                                          "bid_size",  "ask",    "ask_size"};
static_assert(COUNT_OF(ticker_keys) == KEY_OWN + TICKER_FIELD_COUNT, "as enum ticker_field");

static void ticker_field(struct reader *reader, unsigned key)
{
    struct ticker *ticker = &reader->message.event.ticker;
    unsigned field = key - KEY_OWN;
    ticker->value[field] = read_decimal(reader);
    ticker->present |= 1u << field;
}

enum book_key { BOOK_ACTION = KEY_OWN, BOOK_PROOF, BOOK_DEPTH, BOOK_BIDS, BOOK_ASKS };
static const char *const book_keys[] = {COMMON_KEYS, "action", "proof", "depth", "bids", "asks"};

static void book_field(struct reader *reader, unsigned key)
{
    struct book_change *book = &reader->message.event.book;
    switch ((enum book_key)key) {
    case BOOK_ACTION:
        book->action =
            (enum book_action)read_word(reader, book_action_names, BOOK_SNAPSHOT, BOOK_UPDATE);
        return;
    case BOOK_PROOF:
        book->proof = (enum book_proof)read_word(reader, book_proof_names, BOOK_PROOF_CHAIN,
                                                 BOOK_PROOF_WHOLE);
        return;
    case BOOK_DEPTH:
        book->depth = (uint32_t)read_integer(reader, UINT32_MAX);
        return;
    case BOOK_BIDS:
        book->bids = read_levels(reader, reader->scratch->bids);
        return;
    case BOOK_ASKS:
        book->asks = read_levels(reader, reader->scratch->asks);
        return;
    }
    assert(false);
}

/* What vouches for a snapshot belongs to it alone, and its order is relied upon. */
static bool book_valid(const struct reader *reader)
{
    const struct book_change *book = &reader->message.event.book;
    uint32_t vouching = KEY_BIT(BOOK_PROOF) | KEY_BIT(BOOK_DEPTH);
    if (book->action == BOOK_UPDATE)
        return (reader->seen & vouching) == 0;
    return (reader->seen & KEY_BIT(BOOK_DEPTH)) != 0 && levels_ordered(book->bids, true) &&
           levels_ordered(book->asks, false);
}

enum status_key { STATUS_STATE = KEY_OWN, STATUS_REASON, STATUS_CHANNEL };
static const char *const status_keys[] = {COMMON_KEYS, "state", "reason", "channel"};

static void status_field(struct reader *reader, unsigned key)
{
    struct status *status = &reader->message.event.status;
    switch ((enum status_key)key) {
    case STATUS_STATE:
        status->state = (enum status_state)read_word(reader, status_state_names, STATUS_CONNECTING,
                                                     STATUS_DOWN);
        return;
    case STATUS_REASON:
        status->reason = read_text(reader, LIMIT_REASON);
        return;
    case STATUS_CHANNEL:
        status->channel = read_text(reader, LIMIT_NATIVE_SYMBOL);
        return;
    }
    assert(false);
}

enum gap_key {
    GAP_CHANNEL = KEY_OWN,
    GAP_AFTER_ID,
    GAP_BEFORE_ID,
    GAP_FROM_TS,
    GAP_TO_TS,
    GAP_MISSING,
    GAP_FILLED,
    GAP_REASON
};
static const char *const gap_keys[] = {COMMON_KEYS, "channel", "after_id", "before_id", "from_ts",
                                       "to_ts",     "missing", "filled",   "reason"};

static void gap_field(struct reader *reader, unsigned key)
{
    struct gap *gap = &reader->message.event.gap;
    switch ((enum gap_key)key) {
    case GAP_CHANNEL:
        gap->channel = read_text(reader, LIMIT_NATIVE_SYMBOL);
        return;
    case GAP_AFTER_ID:
        gap->after_id = read_text(reader, LIMIT_TRADE_ID);
        return;
    case GAP_BEFORE_ID:
        gap->before_id = read_text(reader, LIMIT_TRADE_ID);
        return;
    case GAP_FROM_TS:
        gap->from_us = read_integer(reader, INTEGER_MAX);
        return;
    case GAP_TO_TS:
        gap->to_us = read_integer(reader, INTEGER_MAX);
        return;
    case GAP_MISSING:
        gap->missing = read_integer(reader, INTEGER_MAX);
        return;
    case GAP_FILLED:
        gap->filled = scan_boolean(&reader->scan);
        return;
    case GAP_REASON:
        gap->reason = read_text(reader, LIMIT_REASON);
        return;
    }
    assert(false);
}

enum epoch_key { EPOCH_EPOCH = KEY_OWN, EPOCH_PREVIOUS, EPOCH_NODE };
static const char *const epoch_keys[] = {COMMON_KEYS, "epoch", "prev", "node"};

static void previous_field(struct reader *reader)
{
    struct epoch *epoch = &reader->message.event.epoch;
    bool first = true;
    bool has_epoch = false;
    bool has_seq = false;
    struct slice key;
    scan_expect(&reader->scan, '{');
    while (scan_next_key(&reader->scan, &first, &key)) {
        if (slice_is(key, "epoch") && !has_epoch) {
            epoch->previous_epoch = read_integer(reader, INTEGER_MAX);
            has_epoch = true;
        } else if (slice_is(key, "seq") && !has_seq) {
            epoch->previous_seq = read_integer(reader, INTEGER_MAX);
            has_seq = true;
        } else if (slice_is(key, "epoch") || slice_is(key, "seq")) {
            scan_fail(&reader->scan);
        } else {
            scan_skip(&reader->scan);
        }
    }
    if (!has_epoch || !has_seq)
        scan_fail(&reader->scan);
}

static void epoch_field(struct reader *reader, unsigned key)
{
    struct epoch *epoch = &reader->message.event.epoch;
    switch ((enum epoch_key)key) {
    case EPOCH_EPOCH:
        epoch->epoch = read_integer(reader, INTEGER_MAX);
        return;
    case EPOCH_PREVIOUS:
        previous_field(reader);
        return;
    case EPOCH_NODE:
        epoch->node = read_text(reader, LIMIT_HOST);
        return;
    }
    assert(false);
}

#define KEYS(array) .keys = (array), .count = COUNT_OF(array)
#define MARKET_BITS (KEY_BIT(KEY_EXCHANGE) | KEY_BIT(KEY_SYMBOL))

/* A candle is not part of the stream. */
static const struct shape shapes[EVENT_CANDLE] = {
    [EVENT_TRADE] = {KEYS(trade_keys), .field = trade_field,
                     .required = MARKET_BITS | KEY_BIT(TRADE_PRICE) | KEY_BIT(TRADE_SIZE) |
                                 KEY_BIT(TRADE_SIDE)},
    [EVENT_TICKER] = {KEYS(ticker_keys), .field = ticker_field, .required = MARKET_BITS},
    [EVENT_QUOTE] = {KEYS(ticker_keys), .field = ticker_field, .required = MARKET_BITS},
    [EVENT_BOOK] = {KEYS(book_keys), .field = book_field,
                    .required = MARKET_BITS | KEY_BIT(BOOK_ACTION) | KEY_BIT(BOOK_BIDS) |
                                KEY_BIT(BOOK_ASKS)},
    [EVENT_STATUS] = {KEYS(status_keys), .field = status_field,
                      .required = KEY_BIT(KEY_EXCHANGE) | KEY_BIT(STATUS_STATE)},
    [EVENT_GAP] = {KEYS(gap_keys), .field = gap_field,
                   .required = MARKET_BITS | KEY_BIT(GAP_CHANNEL) | KEY_BIT(GAP_FILLED)},
    [EVENT_EPOCH] = {KEYS(epoch_keys), .field = epoch_field,
                     .required =
                         KEY_BIT(EPOCH_EPOCH) | KEY_BIT(EPOCH_PREVIOUS) | KEY_BIT(EPOCH_NODE)},
};

/* Of a message that is no event, what it shares with all others. */
static const char *const other_keys[] = {"type", "seq"};
static const struct shape other_shape = {KEYS(other_keys), .required = KEY_BIT(KEY_TYPE)};

/* The key's place in the list, looked for from `hint` on; count when it is not there. */
static unsigned find_key(const struct shape *shape, struct slice key, unsigned hint)
{
    for (unsigned i = hint; i < shape->count; i++)
        if (slice_is(key, shape->keys[i]))
            return i;
    for (unsigned i = 0; i < hint; i++)
        if (slice_is(key, shape->keys[i]))
            return i;
    return shape->count;
}

static bool read_fields(struct reader *reader, const struct shape *shape)
{
    bool first = true;
    unsigned hint = 0;
    struct slice name;
    scan_expect(&reader->scan, '{');
    while (scan_next_key(&reader->scan, &first, &name)) {
        unsigned key = find_key(shape, name, hint);
        if (key == shape->count) {
            scan_skip(&reader->scan);
            continue;
        }
        if ((reader->seen & KEY_BIT(key)) != 0)
            scan_fail(&reader->scan);
        reader->seen |= KEY_BIT(key);
        hint = key + 1;
        if (key < KEY_OWN)
            read_common(reader, (enum common_key)key);
        else {
            assert(shape->field != NULL); /* it has keys of its own */
            shape->field(reader, key);
        }
    }
    return scan_finish(&reader->scan) && (reader->seen & shape->required) == shape->required;
}

/* The first `type`; an empty slice when there is none. */
static struct slice find_type(struct slice text)
{
    struct scan scan = scan_begin(text);
    bool first = true;
    struct slice key;
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key)) {
        if (slice_is(key, "type"))
            return scan_text(&scan);
        scan_skip(&scan);
    }
    return (struct slice){0};
}

static enum event_type find_event_type(struct slice name)
{
    for (unsigned i = 0; i < COUNT_OF(shapes); i++)
        if (slice_is(name, event_type_names[i]))
            return (enum event_type)i;
    return EVENT_TYPE_COUNT;
}

enum read_verdict message_read(struct slice text, struct read_scratch *scratch,
                               struct read_message *ret_message)
{
    struct reader reader = {.scratch = scratch};
    enum event_type type = find_event_type(find_type(text));
    reader.scan = scan_begin(text);
    if (type == EVENT_TYPE_COUNT) {
        if (!read_fields(&reader, &other_shape))
            return READ_MALFORMED;
        *ret_message = reader.message;
        return READ_OTHER;
    }
    reader.message.event.type = type;
    if (type == EVENT_GAP)
        reader.message.event.gap.missing = -1;
    if (!read_fields(&reader, &shapes[type]))
        return READ_MALFORMED;
    if (type == EVENT_BOOK && !book_valid(&reader))
        return READ_MALFORMED;
    *ret_message = reader.message;
    return READ_EVENT;
}
