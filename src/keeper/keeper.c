/* SPDX-License-Identifier: Apache-2.0 */
/* One table of last values, keyed by type, exchange, symbol and (for a status) channel. */
#include "keeper/keeper.h"

#include "base/memory.h"
#include "base/metrics.h"
#include "market/book.h"
#include "market/encode.h"
#include "market/read.h"

#include <assert.h>
#include <stdio.h>

#define KEY_MAX (2 * LIMIT_KEY)
#define TABLE_START 1024
#define SNAPSHOT_MARK ",\"snapshot\":true}"

struct kept_book {
    struct book book;
    bool vouched; /* a snapshot came, and nothing took it back */
    enum book_proof proof;
    uint32_t depth;
    int64_t exchange_us, received_us;
    struct symbol symbol;
};

struct entry {
    enum event_type type;
    uint64_t hash;
    size_t key_size;
    char key[KEY_MAX];  /* exchange, symbol and channel, each ended by a NUL */
    int64_t seq;        /* of the record that changed it last */
    struct buffer text; /* that record; unused for a book */
    struct kept_book *book;
};

struct keeper {
    uint32_t book_depth;
    struct entry **slots; /* open addressing, a power of two, at most half full */
    size_t slot_count;
    struct entry **entries; /* in the order of their coming */
    size_t entry_count;
    struct metric *unreadable;
    struct level *levels; /* two sides of book_depth, for writing a snapshot */
    struct buffer message;
    struct read_scratch *scratch;
};

static uint64_t key_hash(enum event_type type, const char *key, size_t size)
{
    uint64_t hash = 14695981039346656037u + (uint64_t)type; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)key[i]) * 1099511628211u;
    return hash ^ (hash >> 32);
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

static size_t key_write(char key[KEY_MAX], const struct read_message *message, struct slice channel)
{
    struct slice symbol = {0};
    if (message->event.symbol != NULL)
        symbol = symbol_slice(message->event.symbol);
    if (message->exchange.size + symbol.size + channel.size + 3 > KEY_MAX)
        return 0;
    int size = snprintf(key, KEY_MAX, "%.*s%c%.*s%c%.*s", (int)message->exchange.size,
                        message->exchange.data, 0, (int)symbol.size, symbol.data, 0,
                        (int)channel.size, channel.data);
    return size < 0 ? 0 : (size_t)size;
}

/* Finds the entry of this message; makes it when `create`. NULL: not there, or no room for more. */
static struct entry *keeper_entry(struct keeper *keeper, enum event_type type,
                                  const struct read_message *message, bool create)
{
    char key[KEY_MAX];
    struct slice channel = type == EVENT_STATUS ? message->event.status.channel : (struct slice){0};
    size_t size = key_write(key, message, channel);
    if (size == 0)
        return NULL;
    uint64_t hash = key_hash(type, key, size);
    size_t slot = keeper_slot(keeper, type, hash, (struct slice){.data = key, .size = size});
    if (keeper->slots[slot] != NULL || !create)
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
    struct entry *entry = keeper_entry(keeper, message->event.type, message, true);
    if (entry == NULL)
        return false;
    entry->seq = record->seq;
    buffer_clear(&entry->text);
    buffer_append_slice(&entry->text, record->text);
    return true;
}

static bool keep_book(struct keeper *keeper, const struct read_message *message,
                      const struct record *record)
{
    const struct event *event = &message->event;
    struct entry *entry = keeper_entry(keeper, EVENT_BOOK, message, true);
    if (entry == NULL)
        return false;
    if (entry->book == NULL) {
        entry->book = memory_alloc(sizeof *entry->book);
        book_init(&entry->book->book, 2 * keeper->book_depth);
        entry->book->symbol = *event->symbol;
    }
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

static void take_back_book(struct keeper *keeper, const struct read_message *message)
{
    struct entry *entry = keeper_entry(keeper, EVENT_BOOK, message, false);
    if (entry != NULL)
        entry->book->vouched = false;
}

static void take_back_books(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->entry_count; i++)
        if (keeper->entries[i]->book != NULL)
            keeper->entries[i]->book->vouched = false;
}

static bool keep(struct keeper *keeper, const struct read_message *message,
                 const struct record *record)
{
    switch (message->event.type) {
    case EVENT_TRADE:
    case EVENT_TICKER:
    case EVENT_QUOTE:
    case EVENT_STATUS:
        return keep_text(keeper, message, record);
    case EVENT_BOOK:
        return keep_book(keeper, message, record);
    case EVENT_GAP:
        if (slice_is(message->event.gap.channel, "book"))
            take_back_book(keeper, message);
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

static void write_book(struct keeper *keeper, const struct entry *entry)
{
    const struct kept_book *kept = entry->book;
    struct level *bids = keeper->levels, *asks = keeper->levels + keeper->book_depth;
    struct event event = {
        .type = EVENT_BOOK,
        .symbol = &kept->symbol,
        .exchange_us = kept->exchange_us,
        .received_us = kept->received_us,
        .book = {.action = BOOK_SNAPSHOT,
                 .proof = kept->proof,
                 .depth = kept->depth,
                 .bids = {.level = bids,
                          .count = book_side_top(&kept->book.bids, keeper->book_depth, bids)},
                 .asks = {.level = asks,
                          .count = book_side_top(&kept->book.asks, keeper->book_depth, asks)}},
    };
    struct slice exchange = slice_of(entry->key);
    buffer_append_format(&keeper->message, "{\"type\":\"book\",\"seq\":%lld,",
                         (long long)entry->seq);
    char *body = buffer_reserve(&keeper->message, event_encode_max(&event, exchange));
    if (body != NULL)
        keeper->message.size += (size_t)(event_encode(body, &event, exchange) - body);
}

void keeper_snapshot(struct keeper *keeper, keeper_visit_fn *visit, void *context)
{
    static const enum event_type order[] = {EVENT_STATUS, EVENT_TICKER, EVENT_QUOTE, EVENT_TRADE,
                                            EVENT_BOOK};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        for (size_t j = 0; j < keeper->entry_count; j++) {
            const struct entry *entry = keeper->entries[j];
            if (entry->type != order[i] || (entry->book != NULL && !entry->book->vouched))
                continue;
            buffer_clear(&keeper->message);
            if (entry->book != NULL)
                write_book(keeper, entry);
            else
                buffer_append_slice(&keeper->message, buffer_slice(&entry->text));
            mark_snapshot(&keeper->message);
            if (!keeper->message.overflowed)
                visit(context, buffer_slice(&keeper->message));
        }
    }
}
