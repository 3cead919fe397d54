/* SPDX-License-Identifier: Apache-2.0 */
/* One table of last values, keyed by type, exchange, symbol and (for a status) channel. */
#include "keeper/keeper_priv.h"

#include "base/memory.h"
#include "market/encode.h"

#include <assert.h>
#include <stdio.h>

#define TABLE_START 1024
#define SNAPSHOT_MARK ",\"snapshot\":true}"

static uint64_t key_hash(enum event_type type, const char *key, size_t size)
{
    uint64_t hash = slice_hash((struct slice){.data = key, .size = size});
    return (hash ^ (hash >> 32)) + (uint64_t)type;
}

static size_t keeper_slot(const struct keeper *keeper, enum event_type type, uint64_t hash,
                          struct slice key)
{
    size_t slot = hash & (keeper->slot_count - 1);
    for (; keeper->slots[slot] != NULL; slot = (slot + 1) & (keeper->slot_count - 1)) {
        const struct entry *entry = keeper->slots[slot];
        if (entry->hash == hash && entry->type == type &&
            slice_equal((struct slice){.data = entry->key, .size = entry->key_size}, key))
            break;
    }
    return slot;
}

static void keeper_resize(struct keeper *keeper, size_t slot_count)
{
    memory_free(keeper->slots);
    keeper->slots = memory_array(slot_count, sizeof(struct entry *));
    keeper->entries = memory_resize(keeper->entries, slot_count / 2, sizeof(struct entry *));
    keeper->slot_count = slot_count;
    for (size_t i = 0; i < keeper->entry_count; i++) {
        struct entry *entry = keeper->entries[i];
        struct slice key = {.data = entry->key, .size = entry->key_size};
        keeper->slots[keeper_slot(keeper, entry->type, entry->hash, key)] = entry;
    }
}

static size_t key_write(char out[KEY_MAX], const struct entry_key *key)
{
    if (key->exchange.size + key->symbol.size + key->channel.size + 3 > KEY_MAX)
        return 0;
    int size = snprintf(out, KEY_MAX, "%.*s%c%.*s%c%.*s", (int)key->exchange.size,
                        key->exchange.data, 0, (int)key->symbol.size, key->symbol.data, 0,
                        (int)key->channel.size, key->channel.data);
    return size < 0 ? 0 : (size_t)size;
}

struct entry *keeper_find(const struct keeper *keeper, enum event_type type,
                          const struct entry_key *key)
{
    char text[KEY_MAX];
    size_t size = key_write(text, key);
    if (size == 0)
        return NULL;
    uint64_t hash = key_hash(type, text, size);
    return keeper
        ->slots[keeper_slot(keeper, type, hash, (struct slice){.data = text, .size = size})];
}

/* Finds the entry of this message; makes it when it is not there. NULL: no room for more. */
static struct entry *keeper_entry(struct keeper *keeper, enum event_type type,
                                  const struct read_message *message)
{
    char key[KEY_MAX];
    const struct event *event = &message->event;
    struct entry_key parts = {.exchange = message->exchange};
    if (event->symbol != NULL)
        parts.symbol = symbol_slice(event->symbol);
    if (type == EVENT_STATUS)
        parts.channel = event->status.channel;
    size_t size = key_write(key, &parts);
    if (size == 0)
        return NULL;
    uint64_t hash = key_hash(type, key, size);
    size_t slot = keeper_slot(keeper, type, hash, (struct slice){.data = key, .size = size});
    if (keeper->slots[slot] != NULL)
        return keeper->slots[slot];
    if (keeper->entry_count == LIMIT_KEEPER_ENTRIES)
        return NULL;
    struct entry *entry = memory_alloc(sizeof *entry);
    entry->type = type;
    entry->hash = hash;
    entry->key_size = size;
    memcpy(entry->key, key, size);
    buffer_init(&entry->text, LIMIT_RECORD);
    keeper->slots[slot] = entry;
    keeper->entries[keeper->entry_count++] = entry;
    if (keeper->entry_count == keeper->slot_count / 2)
        keeper_resize(keeper, keeper->slot_count * 2);
    return entry;
}

static bool keep_text(struct keeper *keeper, const struct read_message *message,
                      const struct record *record)
{
    struct entry *entry = keeper_entry(keeper, message->event.type, message);
    if (entry == NULL)
        return false;
    entry->seq = record->seq;
    buffer_clear(&entry->text);
    buffer_append_slice(&entry->text, record->text);
    if (entry->type == EVENT_STATUS)
        entry->state = message->event.status.state;
    if (entry->type != EVENT_TRADE)
        return true;
    if (entry->trades == NULL)
        entry->trades = trade_ring_create();
    trade_ring_add(entry->trades, record->text);
    return true;
}

/* NULL: no room for more. */
static struct entry *keeper_book_entry(struct keeper *keeper, const struct read_message *message)
{
    struct entry *entry = keeper_entry(keeper, EVENT_BOOK, message);
    if (entry == NULL || entry->book != NULL)
        return entry;
    entry->book = memory_alloc(sizeof *entry->book);
    book_init(&entry->book->book, 2 * keeper->book_depth);
    entry->book->symbol = *message->event.symbol;
    return entry;
}

static bool keep_book(struct keeper *keeper, const struct read_message *message,
                      const struct record *record)
{
    const struct event *event = &message->event;
    struct entry *entry = keeper_book_entry(keeper, message);
    if (entry == NULL)
        return false;
    struct kept_book *kept = entry->book;
    if (event->book.action == BOOK_SNAPSHOT) {
        kept->vouched = true;
        kept->proof = event->book.proof;
        kept->depth = event->book.depth;
    }
    if (!kept->vouched)
        return true; /* changes of a book that was taken back mean nothing until its next snapshot
                      */
    book_apply(&kept->book, &event->book);
    kept->exchange_us = event->exchange_us;
    kept->received_us = event->received_us;
    entry->seq = record->seq;
    return true;
}

/* Of a book that never came as well: why there is none is worth knowing. */
static bool take_back_book(struct keeper *keeper, const struct read_message *message)
{
    struct entry *entry = keeper_book_entry(keeper, message);
    if (entry == NULL)
        return false;
    struct kept_book *kept = entry->book;
    kept->vouched = false;
    if (!slice_copy(message->event.gap.reason, kept->reason, sizeof kept->reason))
        kept->reason[0] = '\0';
    return true;
}

static void take_back_books(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->entry_count; i++) {
        struct kept_book *kept = keeper->entries[i]->book;
        if (kept == NULL || !kept->vouched)
            continue;
        kept->vouched = false;
        snprintf(kept->reason, sizeof kept->reason, "a new epoch began");
    }
}

/* The last values of a channel that is not collected any more are nobody's. Its trades stay what
 * they were; look-ups still give them. */
static void forget_channel(struct keeper *keeper, const struct read_message *message)
{
    static const enum event_type types[] = {EVENT_TRADE, EVENT_TICKER, EVENT_QUOTE, EVENT_BOOK};
    const struct status *status = &message->event.status;
    if (message->event.symbol == NULL || status->state != STATUS_DOWN)
        return;
    struct entry_key key = {.exchange = message->exchange,
                            .symbol = symbol_slice(message->event.symbol)};
    for (size_t i = 0; i < COUNT_OF(types); i++) { /* a channel is called like its type */
        if (status->channel.size > 0 && !slice_is(status->channel, event_type_names[types[i]]))
            continue;
        struct entry *entry = keeper_find(keeper, types[i], &key);
        if (entry != NULL)
            buffer_clear(&entry->text);
        if (entry != NULL && entry->book != NULL)
            entry->book->vouched = false;
    }
}

static bool keep(struct keeper *keeper, const struct read_message *message,
                 const struct record *record)
{
    switch (message->event.type) {
    case EVENT_TRADE:
    case EVENT_TICKER:
    case EVENT_QUOTE:
        return keep_text(keeper, message, record);
    case EVENT_STATUS:
        forget_channel(keeper, message);
        return keep_text(keeper, message, record);
    case EVENT_BOOK:
        return keep_book(keeper, message, record);
    case EVENT_GAP:
        if (slice_is(message->event.gap.channel, "book"))
            return take_back_book(keeper, message);
        return true;
    case EVENT_EPOCH:
        take_back_books(keeper);
        return true;
    case EVENT_CANDLE:
    case EVENT_TYPE_COUNT:
        return true;
    }
    return false;
}

static void keeper_on_record(void *context, const struct record *record)
{
    struct keeper *keeper = context;
    struct read_message message;
    switch (message_read(record->text, keeper->scratch, &message)) {
    case READ_EVENT:
        if (!keep(keeper, &message, record))
            metric_add(keeper->unreadable, 1);
        return;
    case READ_OTHER:
        return; /* a type of a later version: passed on, not kept */
    case READ_MALFORMED:
        metric_add(keeper->unreadable, 1);
        return;
    }
}

struct keeper *keeper_create(struct journal *journal, uint32_t book_depth)
{
    assert(book_depth >= 1 && book_depth <= LIMIT_BOOK_DEPTH);
    struct keeper *keeper = memory_alloc(sizeof *keeper);
    keeper->book_depth = book_depth;
    keeper->unreadable = metric_series(METRIC_RECORDS_UNREADABLE, "");
    keeper->levels = memory_array(2 * (size_t)book_depth, sizeof(struct level));
    keeper->scratch = memory_alloc(sizeof *keeper->scratch);
    buffer_init(&keeper->message, LIMIT_RECORD);
    keeper_resize(keeper, TABLE_START);
    journal_listen(journal, keeper_on_record, keeper);
    return keeper;
}

void keeper_destroy(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    for (size_t i = 0; i < keeper->entry_count; i++) {
        struct entry *entry = keeper->entries[i];
        buffer_release(&entry->text);
        if (entry->book != NULL)
            book_release(&entry->book->book);
        trade_ring_destroy(entry->trades);
        memory_free(entry->book);
        memory_free(entry);
    }
    buffer_release(&keeper->message);
    memory_free(keeper->entries);
    memory_free(keeper->slots);
    memory_free(keeper->levels);
    memory_free(keeper->scratch);
    memory_free(keeper);
}

/* Everything but the closing brace, then the mark. */
static void mark_snapshot(struct buffer *message)
{
    assert(message->size > 0 && message->data[message->size - 1] == '}');
    message->size--;
    buffer_append_slice(message, SLICE(SNAPSHOT_MARK));
}

void keeper_write_book(struct keeper *keeper, const struct entry *entry, uint32_t depth,
                       struct buffer *out)
{
    assert(depth >= 1 && depth <= keeper->book_depth);
    const struct kept_book *kept = entry->book;
    struct level *bids = keeper->levels, *asks = keeper->levels + keeper->book_depth;
    struct event event = {
        .type = EVENT_BOOK,
        .symbol = &kept->symbol,
        .exchange_us = kept->exchange_us,
        .received_us = kept->received_us,
        .book = {.action = BOOK_SNAPSHOT,
                 .proof = kept->proof,
                 .depth = kept->depth < depth ? kept->depth : depth,
                 .bids = {.level = bids, .count = book_side_top(&kept->book.bids, depth, bids)},
                 .asks = {.level = asks, .count = book_side_top(&kept->book.asks, depth, asks)}},
    };
    struct slice exchange = slice_of(entry->key);
    buffer_append_format(out, "{\"type\":\"book\",\"seq\":%lld,", (long long)entry->seq);
    char *body = buffer_reserve(out, event_encode_max(&event, exchange));
    if (body != NULL)
        out->size += (size_t)(event_encode(body, &event, exchange) - body);
}

void keeper_snapshot(struct keeper *keeper, keeper_visit_fn *visit, void *context)
{
    static const enum event_type order[] = {EVENT_STATUS, EVENT_TICKER, EVENT_QUOTE, EVENT_TRADE,
                                            EVENT_BOOK};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        for (size_t j = 0; j < keeper->entry_count; j++) {
            const struct entry *entry = keeper->entries[j];
            bool known = entry->book != NULL ? entry->book->vouched : entry->text.size > 0;
            if (entry->type != order[i] || !known)
                continue;
            buffer_clear(&keeper->message);
            if (entry->book != NULL)
                keeper_write_book(keeper, entry, keeper->book_depth, &keeper->message);
            else
                buffer_append_slice(&keeper->message, buffer_slice(&entry->text));
            mark_snapshot(&keeper->message);
            if (!keeper->message.overflowed)
                visit(context, buffer_slice(&keeper->message));
        }
    }
}
