/* SPDX-License-Identifier: Apache-2.0 */
/* One table of last values, keyed by type, exchange, symbol and (for a status) channel. */
#include "keeper/keeper_priv.h"

#include "base/memory.h"
#include "market/encode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_START 1024
#define BOOK_LEVELS_MAX (2 * LIMIT_BOOK_DEPTH) /* a side: those of a view, and of the next */

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
    keeper->sorted = memory_resize(keeper->sorted, slot_count / 2, sizeof(struct entry *));
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
    struct pair *pair = NULL;
    if (keeper->entry_count < LIMIT_KEEPER_ENTRIES)
        pair = pair_table_get(&keeper->pairs, parts.exchange, parts.symbol);
    if (pair == NULL)
        return NULL;
    struct entry *entry = memory_alloc(sizeof *entry);
    entry->pair = pair;
    entry->pair_next = pair->entries;
    pair->entries = entry;
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
    if (record->seq <= entry->through)
        return true;
    entry->seq = entry->through = record->seq;
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

static bool keep_trade(struct keeper *keeper, const struct read_message *message,
                       const struct record *record)
{
    struct trade_key key;
    if (!keep_text(keeper, message, record))
        return false;
    struct pair *pair =
        pair_table_get(&keeper->pairs, message->exchange, symbol_slice(message->event.symbol));
    assert(pair != NULL); /* its entry has it */
    if (record->seq <= pair->keys_through)
        return true;
    pair->keys_through = record->seq;
    if (pair->keys == NULL)
        pair->keys = trade_keys_create();
    if (trade_key_make(&message->event, &key))
        trade_keys_add(pair->keys, &key);
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

/* Clients read on in the leader's view, which may have more levels than this node's own settings
 * give: none of it may be dropped. With equal settings there is always room. */
static void make_room(struct book_side *side, struct levels change, enum book_action action)
{
    uint32_t count = action == BOOK_SNAPSHOT ? 0 : side->count;
    if (count + change.count <= side->capacity)
        return;
    for (uint32_t i = 0; i < change.count; i++)
        count += !decimal_is_zero(change.level[i].size);
    if (count > side->capacity && side->capacity < BOOK_LEVELS_MAX)
        book_side_grow(side, 2 * count < BOOK_LEVELS_MAX ? 2 * count : BOOK_LEVELS_MAX);
}

static bool keep_book(struct keeper *keeper, const struct read_message *message,
                      const struct record *record)
{
    const struct event *event = &message->event;
    struct entry *entry = keeper_book_entry(keeper, message);
    if (entry == NULL)
        return false;
    struct kept_book *kept = entry->book;
    if (record->seq <= entry->through)
        return true;
    if (event->book.action == BOOK_SNAPSHOT) {
        kept->vouched = true;
        kept->proof = event->book.proof;
        kept->depth = event->book.depth;
    }
    if (!kept->vouched)
        return true; /* changes of a book that was taken back mean nothing until its next snapshot
                      */
    make_room(&kept->book.bids, event->book.bids, event->book.action);
    make_room(&kept->book.asks, event->book.asks, event->book.action);
    book_apply(&kept->book, &event->book);
    kept->exchange_us = event->exchange_us;
    kept->received_us = event->received_us;
    entry->seq = entry->through = record->seq;
    return true;
}

/* Of a book that never came as well: why there is none is worth knowing. */
static bool take_back_book(struct keeper *keeper, const struct read_message *message, int64_t seq)
{
    struct entry *entry = keeper_book_entry(keeper, message);
    if (entry == NULL)
        return false;
    if (seq <= entry->through)
        return true;
    struct kept_book *kept = entry->book;
    entry->through = seq;
    kept->vouched = false;
    if (!slice_copy(message->event.gap.reason, kept->reason, sizeof kept->reason))
        kept->reason[0] = '\0';
    return true;
}

void entry_take_back(struct entry *entry, int64_t seq)
{
    struct kept_book *kept = entry->book;
    if (kept == NULL || seq <= entry->through)
        return;
    entry->through = seq;
    if (!kept->vouched)
        return;
    kept->vouched = false;
    snprintf(kept->reason, sizeof kept->reason, "a new epoch began");
}

static void take_back_books(struct keeper *keeper, int64_t seq)
{
    for (size_t i = 0; i < keeper->entry_count; i++)
        entry_take_back(keeper->entries[i], seq);
}

/* The last values of a channel that is not collected any more are nobody's. Its trades stay what
 * they were; look-ups still give them. */
static void forget_channel(struct keeper *keeper, const struct read_message *message, int64_t seq)
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
        if (entry == NULL || seq <= entry->through)
            continue;
        entry->through = seq;
        buffer_clear(&entry->text);
        if (entry->book != NULL)
            entry->book->vouched = false;
    }
}

bool keeper_keep(struct keeper *keeper, const struct read_message *message,
                 const struct record *record)
{
    switch (message->event.type) {
    case EVENT_TRADE:
        return keep_trade(keeper, message, record);
    case EVENT_TICKER:
    case EVENT_QUOTE:
        return keep_text(keeper, message, record);
    case EVENT_STATUS:
        forget_channel(keeper, message, record->seq);
        return keep_text(keeper, message, record);
    case EVENT_BOOK:
        return keep_book(keeper, message, record);
    case EVENT_GAP:
        if (slice_is(message->event.gap.channel, "book"))
            return take_back_book(keeper, message, record->seq);
        return true;
    case EVENT_EPOCH:
        take_back_books(keeper, record->seq);
        return true;
    case EVENT_CANDLE:
    case EVENT_TYPE_COUNT:
        return true;
    }
    return false;
}

bool keeper_install(struct keeper *keeper, const struct read_message *message,
                    const struct record *record, int64_t through)
{
    bool is_book = message->event.type == EVENT_BOOK;
    struct entry *entry = is_book ? keeper_book_entry(keeper, message)
                                  : keeper_entry(keeper, message->event.type, message);
    if (entry == NULL || entry->through != 0)
        return entry != NULL;
    bool kept = is_book ? keep_book(keeper, message, record) : keep_text(keeper, message, record);
    assert(kept);
    (void)kept;
    entry->through = through;
    return true;
}

/* A snapshot's mark goes before the brace, once. */
enum read_verdict keeper_read_record(struct keeper *keeper, const struct record *record,
                                     struct read_message *ret_message)
{
    if (record->text.size == 0 || record->text.data[record->text.size - 1] != '}')
        return READ_MALFORMED;
    enum read_verdict verdict = message_read(record->text, keeper->scratch, ret_message);
    return verdict == READ_EVENT && ret_message->snapshot ? READ_MALFORMED : verdict;
}

static void keeper_on_record(void *context, const struct record *record)
{
    struct keeper *keeper = context;
    struct read_message message;
    if (record->seq <= keeper->heard_to)
        keeper_clear(keeper); /* the log begins anew; what is known bears numbers still to come */
    if (keeper->heard_from == 0)
        keeper->heard_from = record->seq;
    keeper->heard_to = record->seq;
    switch (keeper_read_record(keeper, record, &message)) {
    case READ_EVENT:
        if (!keeper_keep(keeper, &message, record))
            metric_add(keeper->unreadable, 1);
        return;
    case READ_OTHER:
        return; /* a type of a later version: passed on, not kept */
    case READ_MALFORMED:
        metric_add(keeper->unreadable, 1);
        return;
    }
}

static void keeper_begin(struct keeper *keeper)
{
    keeper->heard_from = keeper->heard_to = 0;
    keeper->slots = NULL;
    keeper->entries = keeper->sorted = NULL;
    keeper->entry_count = keeper->sorted_count = 0;
    keeper_resize(keeper, TABLE_START);
    pair_table_init(&keeper->pairs);
}

static void keeper_end(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->entry_count; i++) {
        struct entry *entry = keeper->entries[i];
        buffer_release(&entry->text);
        if (entry->book != NULL)
            book_release(&entry->book->book);
        trade_ring_destroy(entry->trades);
        memory_free(entry->book);
        memory_free(entry);
    }
    pair_table_release(&keeper->pairs);
    memory_free(keeper->sorted);
    memory_free(keeper->entries);
    memory_free(keeper->slots);
}

struct keeper *keeper_create(struct journal *journal, uint32_t book_depth)
{
    assert(book_depth >= 1 && book_depth <= LIMIT_BOOK_DEPTH);
    struct keeper *keeper = memory_alloc(sizeof *keeper);
    keeper->journal = journal;
    keeper->book_depth = book_depth;
    keeper->unreadable = metric_series(METRIC_RECORDS_UNREADABLE, "");
    keeper->levels = memory_array(2 * (size_t)LIMIT_BOOK_DEPTH, sizeof(struct level));
    keeper->scratch = memory_alloc(sizeof *keeper->scratch);
    buffer_init(&keeper->message, LIMIT_RECORD);
    buffer_init(&keeper->text, LIMIT_RECORD + LIMIT_PADDING + 1);
    keeper_begin(keeper);
    journal_listen(journal, keeper_on_record, keeper);
    return keeper;
}

void keeper_destroy(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    keeper_end(keeper);
    buffer_release(&keeper->message);
    buffer_release(&keeper->text);
    memory_free(keeper->levels);
    memory_free(keeper->scratch);
    memory_free(keeper);
}

void keeper_clear(struct keeper *keeper)
{
    keeper_end(keeper);
    keeper_begin(keeper);
}

void keeper_take(struct keeper *keeper, struct keeper *other)
{
    assert(keeper != other && keeper->book_depth == other->book_depth);
    struct keeper own = *keeper;
    *keeper = *other; /* the journal calls a keeper by its place */
    keeper->journal = own.journal;
    *other = own;
    keeper_destroy(other);
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
    assert(depth >= 1 && depth <= LIMIT_BOOK_DEPTH);
    const struct kept_book *kept = entry->book;
    struct level *bids = keeper->levels, *asks = keeper->levels + LIMIT_BOOK_DEPTH;
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

bool keeper_tell(struct keeper *keeper, const struct entry *entry)
{
    bool known = entry->book != NULL ? entry->book->vouched : entry->text.size > 0;
    if (!known)
        return false;
    buffer_clear(&keeper->message);
    if (entry->book != NULL)
        keeper_write_book(keeper, entry, LIMIT_BOOK_DEPTH, &keeper->message);
    else
        buffer_append_slice(&keeper->message, buffer_slice(&entry->text));
    mark_snapshot(&keeper->message);
    return !keeper->message.overflowed;
}

static int compare_told(const void *left, const void *right)
{
    static const uint8_t place[EVENT_TYPE_COUNT] = {[EVENT_STATUS] = 0,
                                                    [EVENT_TICKER] = 1,
                                                    [EVENT_QUOTE] = 2,
                                                    [EVENT_TRADE] = 3,
                                                    [EVENT_BOOK] = 4};
    const struct entry *a = *(struct entry *const *)left, *b = *(struct entry *const *)right;
    if (a->type != b->type)
        return place[a->type] - place[b->type];
    int order = memcmp(a->key, b->key, a->key_size < b->key_size ? a->key_size : b->key_size);
    return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

/* By type and name, so that two nodes tell the same in the same order, wherever they began. */
static void sort_entries(struct keeper *keeper)
{
    if (keeper->sorted_count == keeper->entry_count)
        return;
    memcpy(keeper->sorted, keeper->entries, keeper->entry_count * sizeof(struct entry *));
    qsort(keeper->sorted, keeper->entry_count, sizeof(struct entry *), compare_told);
    keeper->sorted_count = keeper->entry_count;
}

void keeper_snapshot(struct keeper *keeper, keeper_visit_fn *visit, void *context)
{
    sort_entries(keeper);
    for (size_t i = 0; i < keeper->sorted_count; i++)
        if (keeper_tell(keeper, keeper->sorted[i]))
            visit(context, buffer_slice(&keeper->message));
}
