/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from the table; nothing here changes it. */
#include "keeper/keeper_priv.h"

#include <assert.h>

static struct entry_key key_of(const struct keeper_pair *pair)
{
    return (struct entry_key){.exchange = pair->exchange, .symbol = pair->symbol};
}

/* Bit i: there is an entry of enum event_type i. */
static uint32_t types_of(const struct keeper *keeper, const struct entry_key *key)
{
    static const enum event_type types[] = {EVENT_TRADE, EVENT_TICKER, EVENT_QUOTE, EVENT_BOOK};
    uint32_t found = 0;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (keeper_find(keeper, types[i], key) != NULL)
            found |= 1u << types[i];
    return found;
}

bool keeper_knows(const struct keeper *keeper, const struct keeper_pair *pair)
{
    struct entry_key key = key_of(pair);
    return types_of(keeper, &key) != 0;
}

static struct keeper_pair pair_of(const struct entry *entry)
{
    struct slice exchange = slice_of(entry->key);
    struct slice symbol = slice_of(entry->key + exchange.size + 1);
    return (struct keeper_pair){.exchange = exchange, .symbol = symbol};
}

void keeper_find_pairs(const struct keeper *keeper, keeper_pair_fn *visit, void *context)
{
    for (size_t i = 0; i < keeper->entry_count; i++) {
        const struct entry *entry = keeper->entries[i];
        struct keeper_pair pair = pair_of(entry);
        struct entry_key key = key_of(&pair);
        uint32_t types = types_of(keeper, &key);
        uint32_t bit = 1u << entry->type;
        /* Once: at the entry of its first type. */
        if ((types & bit) != 0 && (types & (bit - 1)) == 0)
            visit(context, &pair, types);
    }
}

/* ---- tickers ---- */

static bool pair_has(const struct keeper_pair *pair, const struct entry *entry)
{
    struct keeper_pair own = pair_of(entry);
    return (pair->exchange.size == 0 || slice_equal(pair->exchange, own.exchange)) &&
           (pair->symbol.size == 0 || slice_equal(pair->symbol, own.symbol));
}

static void found_text(struct keeper_found *found, const struct entry *entry,
                       keeper_visit_fn *visit, void *context)
{
    if (entry->seq > found->seq)
        found->seq = entry->seq;
    if (entry->text.size == 0)
        return; /* not collected any more */
    found->count++;
    if (visit != NULL)
        visit(context, buffer_slice(&entry->text));
}

struct keeper_found keeper_find_tickers(const struct keeper *keeper, const struct keeper_pair *pair,
                                        keeper_visit_fn *visit, void *context)
{
    struct keeper_found found = {0};
    if (pair->exchange.size > 0 && pair->symbol.size > 0) {
        struct entry_key key = key_of(pair);
        const struct entry *entry = keeper_find(keeper, EVENT_TICKER, &key);
        if (entry != NULL)
            found_text(&found, entry, visit, context);
        return found;
    }
    for (size_t i = 0; i < keeper->entry_count; i++) {
        const struct entry *entry = keeper->entries[i];
        if (entry->type == EVENT_TICKER && pair_has(pair, entry))
            found_text(&found, entry, visit, context);
    }
    return found;
}

/* ---- trades ---- */

struct keeper_found keeper_find_trades(const struct keeper *keeper, const struct keeper_pair *pair,
                                       uint32_t limit, keeper_visit_fn *visit, void *context)
{
    struct keeper_found found = {0};
    struct entry_key key = key_of(pair);
    const struct entry *entry = keeper_find(keeper, EVENT_TRADE, &key);
    if (entry == NULL)
        return found;
    assert(entry->trades != NULL);
    found.seq = entry->seq;
    uint32_t count = trade_ring_count(entry->trades);
    for (uint32_t i = 0; i < count && i < limit; i++) {
        struct slice text = trade_ring_at(entry->trades, i);
        if (text.size == 0) {
            found.left_out++;
            continue;
        }
        found.count++;
        if (visit != NULL)
            visit(context, text);
    }
    return found;
}

/* ---- books ---- */

/*
 * NULL when it is live, or when nobody said anything: without a status nothing is known against it.
 * A book of an exchange that is not live is the last one, not the one of now.
 */
static const char *not_live(const struct keeper *keeper, const struct entry_key *key)
{
    const struct entry *status = keeper_find(keeper, EVENT_STATUS, key);
    if (status == NULL)
        return NULL;
    switch (status->state) {
    case STATUS_LIVE:
        return NULL;
    case STATUS_CONNECTING:
        return "the exchange is being connected to";
    case STATUS_STALE:
        return "the exchange is stale";
    case STATUS_DOWN:
        return "the exchange is down";
    }
    return NULL;
}

/* Statuses may concern an exchange, one of its symbols, or just the books of these. */
static const char *book_not_live(const struct keeper *keeper, const struct keeper_pair *pair)
{
    const struct entry_key keys[] = {
        {.exchange = pair->exchange},
        {.exchange = pair->exchange, .channel = SLICE("book")},
        {.exchange = pair->exchange, .symbol = pair->symbol},
        {.exchange = pair->exchange, .symbol = pair->symbol, .channel = SLICE("book")},
    };
    const char *reason = NULL;
    for (size_t i = 0; i < COUNT_OF(keys) && reason == NULL; i++)
        reason = not_live(keeper, &keys[i]);
    return reason;
}

enum keeper_book_verdict keeper_find_book(const struct keeper *keeper,
                                          const struct keeper_pair *pair,
                                          struct keeper_book *ret_book)
{
    struct entry_key key = key_of(pair);
    const struct entry *entry = keeper_find(keeper, EVENT_BOOK, &key);
    *ret_book = (struct keeper_book){0};
    if (entry == NULL)
        return KEEPER_BOOK_NONE;
    const struct kept_book *kept = entry->book;
    if (!kept->vouched)
        ret_book->reason = kept->reason[0] == '\0' ? "its snapshot is missing" : kept->reason;
    else
        ret_book->reason = book_not_live(keeper, pair);
    if (ret_book->reason != NULL)
        return KEEPER_BOOK_LOST;
    ret_book->seq = entry->seq;
    return KEEPER_BOOK_FOUND;
}

void keeper_append_book(struct keeper *keeper, const struct keeper_pair *pair, uint32_t depth,
                        struct buffer *out)
{
    struct entry_key key = key_of(pair);
    const struct entry *entry = keeper_find(keeper, EVENT_BOOK, &key);
    assert(entry != NULL);
    assert(entry->book->vouched);
    keeper_write_book(keeper, entry, depth, out);
}

/* STATUS_LIVE when nothing was told. */
static enum status_state told_state(const struct keeper *keeper, const struct keeper_pair *pair,
                                    struct slice channel)
{
    struct entry_key key = key_of(pair);
    const struct entry *all = NULL;
    if (pair->symbol.size > 0)
        all = keeper_find(keeper, EVENT_STATUS, &key);
    key.channel = channel;
    const struct entry *own = keeper_find(keeper, EVENT_STATUS, &key);
    const struct entry *last = all == NULL || (own != NULL && own->seq > all->seq) ? own : all;
    return last == NULL ? STATUS_LIVE : last->state;
}

bool keeper_told_not_live(const struct keeper *keeper, const struct keeper_pair *pair,
                          struct slice channel)
{
    return told_state(keeper, pair, channel) != STATUS_LIVE;
}

bool keeper_told_down(const struct keeper *keeper, const struct keeper_pair *pair,
                      struct slice channel)
{
    return told_state(keeper, pair, channel) == STATUS_DOWN;
}

uint32_t keeper_book_depth(const struct keeper *keeper)
{
    return keeper->book_depth;
}

int64_t keeper_epoch(const struct keeper *keeper)
{
    return journal_epoch(keeper->journal);
}
