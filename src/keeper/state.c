/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers that begin in the middle of a stream: states are saved, read, and loaded. */
#include "keeper/keeper_priv.h"

#include "base/memory.h"

#include <assert.h>

#define STATE_MESSAGES_MAX 64 /* four values and the statuses of a pair's channels */
#define STATE_END 16          /* bytes behind the messages: `],"trades":[` and `]}` */
#define EXCHANGE_NAME_MAX 32

/* ---- saving ---- */

static void begin_state(const struct keeper *keeper, const struct pair *pair, struct buffer *out)
{
    struct slice exchange = pair_exchange(pair), symbol = pair_symbol(pair);
    buffer_append_format(out, "{\"type\":\"state\",\"seq\":%lld,\"exchange\":\"%.*s\"",
                         (long long)(journal_next(keeper->journal) - 1), (int)exchange.size,
                         exchange.data);
    if (symbol.size > 0)
        buffer_append_format(out, ",\"symbol\":\"%.*s\"", (int)symbol.size, symbol.data);
    buffer_append_text(out, ",\"messages\":[");
}

/* limit: of out->size. */
static void save_messages(struct keeper *keeper, const struct pair *pair, size_t limit,
                          struct buffer *out)
{
    unsigned count = 0;
    for (const struct entry *entry = pair->entries; entry != NULL; entry = entry->pair_next) {
        if (count == STATE_MESSAGES_MAX || !keeper_tell(keeper, entry) ||
            out->size + keeper->message.size + 1 + STATE_END > limit)
            continue;
        if (count++ > 0)
            buffer_append_text(out, ",");
        buffer_append_slice(out, buffer_slice(&keeper->message));
    }
}

/* The first key from which on all fit into `room` bytes. */
static uint32_t first_that_fits(const struct trade_keys *keys, size_t room)
{
    char text[TRADE_KEY_TEXT_MAX];
    uint32_t first = trade_keys_count(keys);
    if (first <= room / TRADE_KEY_TEXT_MAX)
        return 0; /* as nearly always */
    while (first > 0) {
        size_t size = 1 + (size_t)(trade_key_write(text, trade_keys_at(keys, first - 1)) - text);
        if (size > room)
            break;
        room -= size;
        first--;
    }
    return first;
}

static void save_trades(const struct pair *pair, size_t limit, struct buffer *out)
{
    char text[TRADE_KEY_TEXT_MAX];
    uint32_t first = first_that_fits(pair->keys, limit - out->size - STATE_END);
    buffer_append_text(out, "],\"trades\":[");
    for (uint32_t i = first; i < trade_keys_count(pair->keys); i++) {
        char *end = trade_key_write(text, trade_keys_at(pair->keys, i));
        if (i > first)
            buffer_append_text(out, ",");
        buffer_append(out, text, (size_t)(end - text));
    }
    buffer_append_text(out, "]}");
}

size_t keeper_save_state(struct keeper *keeper, size_t index, struct buffer *out)
{
    if (index >= keeper->pairs.count)
        return keeper->pairs.count;
    const struct pair *pair = keeper->pairs.pairs[index];
    size_t start = out->size;
    size_t room = out->max - start < LIMIT_STATE ? out->max - start : LIMIT_STATE;
    if (pair->ahead >= journal_next(keeper->journal) || room < KIBIBYTE)
        return keeper->pairs.count;
    begin_state(keeper, pair, out);
    save_messages(keeper, pair, start + room, out);
    save_trades(pair, start + room, out);
    assert(!out->overflowed && out->size - start <= room);
    return keeper->pairs.count;
}

/* ---- reading ---- */

struct state_text {
    int64_t seq;
    struct slice exchange, symbol;
    struct slice messages[STATE_MESSAGES_MAX];
    uint32_t message_count;
    struct trade_keys *trades; /* owned */
    uint32_t seen;             /* bit i: state_names[i] */
};

enum state_key {
    STATE_TYPE,
    STATE_SEQ,
    STATE_EXCHANGE,
    STATE_SYMBOL,
    STATE_MESSAGES,
    STATE_TRADES
};
static const char *const state_names[] = {"type",   "seq",      "exchange",
                                          "symbol", "messages", "trades"};
#define STATE_REQUIRED (0x3fu & ~(1u << STATE_SYMBOL))

static struct slice scan_exchange(struct scan *scan)
{
    struct slice name = scan_text(scan);
    bool valid = name.size > 0 && name.size <= EXCHANGE_NAME_MAX;
    for (size_t i = 0; i < name.size && valid; i++) {
        char byte = name.data[i];
        valid = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
    }
    if (!valid)
        scan_fail(scan);
    return name;
}

static struct slice scan_symbol(struct scan *scan)
{
    struct symbol symbol;
    struct slice name = scan_text(scan);
    if (!symbol_read(name, &symbol))
        scan_fail(scan);
    return name;
}

static void scan_messages(struct scan *scan, struct state_text *state)
{
    bool first = true;
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        scan_space(scan);
        const char *start = scan->at;
        scan_skip(scan);
        if (scan->failed || state->message_count == STATE_MESSAGES_MAX) {
            scan_fail(scan);
            return;
        }
        state->messages[state->message_count++] =
            (struct slice){.data = start, .size = (size_t)(scan->at - start)};
    }
}

static void scan_trades(struct scan *scan, struct state_text *state)
{
    bool first = true;
    uint32_t count = 0;
    state->trades = trade_keys_create();
    scan_expect(scan, '[');
    while (scan_next_element(scan, &first)) {
        struct trade_key key = trade_key_scan(scan);
        if (++count > TRADE_KEYS_MAX)
            scan_fail(scan);
        if (!scan->failed)
            trade_keys_add(state->trades, &key);
    }
}

static void scan_state_key(struct scan *scan, enum state_key key, struct state_text *state)
{
    switch (key) {
    case STATE_TYPE:
        if (!slice_is(scan_text(scan), "state"))
            scan_fail(scan);
        return;
    case STATE_SEQ:
        state->seq = scan_integer(scan);
        return;
    case STATE_EXCHANGE:
        state->exchange = scan_exchange(scan);
        return;
    case STATE_SYMBOL:
        state->symbol = scan_symbol(scan);
        return;
    case STATE_MESSAGES:
        scan_messages(scan, state);
        return;
    case STATE_TRADES:
        scan_trades(scan, state);
        return;
    }
    assert(false);
}

/* False: it is none; whatever it says, state->trades is the caller's. */
static bool read_state(struct slice text, struct state_text *state)
{
    struct scan scan = scan_begin(text);
    bool first = true;
    struct slice name;
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &name)) {
        unsigned key = 0;
        while (key < COUNT_OF(state_names) && !slice_is(name, state_names[key]))
            key++;
        if (key == COUNT_OF(state_names)) {
            scan_skip(&scan);
            continue;
        }
        if ((state->seen & 1u << key) != 0)
            scan_fail(&scan);
        else
            scan_state_key(&scan, (enum state_key)key, state);
        state->seen |= 1u << key;
    }
    return scan_finish(&scan) && (state->seen & STATE_REQUIRED) == STATE_REQUIRED &&
           state->seq >= 1 && state->seq <= LIMIT_NUMBER;
}

/* ---- messages of a snapshot ---- */

static bool is_told(enum event_type type)
{
    return type == EVENT_STATUS || type == EVENT_TICKER || type == EVENT_QUOTE ||
           type == EVENT_TRADE || type == EVENT_BOOK;
}

/*
 * Reads it, and makes the record of it that it was made of; both borrow from keeper->text and
 * keeper->scratch. False: it is none.
 */
static bool read_message(struct keeper *keeper, struct slice text, struct read_message *ret_message,
                         struct record *ret_record)
{
    static const char padding[LIMIT_PADDING + 1];
    char key[LIMIT_KEY];
    struct slice mark = SLICE(SNAPSHOT_MARK);
    if (text.size > LIMIT_RECORD || text.size <= mark.size ||
        memcmp(text.data + text.size - mark.size, mark.data, mark.size) != 0)
        return false;
    buffer_clear(&keeper->text);
    buffer_append_slice(&keeper->text, text);
    buffer_append(&keeper->text, padding, sizeof padding);
    *ret_record = (struct record){0};
    struct slice copy = {.data = keeper->text.data, .size = text.size};
    if (message_read(copy, keeper->scratch, ret_message) != READ_EVENT || !ret_message->snapshot ||
        !is_told(ret_message->event.type) || !record_read_head(copy, key, ret_record) ||
        ret_record->seq < 1 || ret_record->seq != ret_message->seq)
        return false;
    if (ret_message->event.type == EVENT_BOOK && ret_message->event.book.action != BOOK_SNAPSHOT)
        return false;
    keeper->text.data[text.size - mark.size] = '}';
    ret_record->text = (struct slice){.data = copy.data, .size = text.size - mark.size + 1};
    return true;
}

static struct slice message_symbol(const struct read_message *message)
{
    struct slice none = {0};
    return message->event.symbol == NULL ? none : symbol_slice(message->event.symbol);
}

/* Room for its entry's key (keeper.c). */
static bool names_fit(const struct read_message *message, struct slice symbol)
{
    size_t size = message->exchange.size + symbol.size;
    if (message->event.type == EVENT_STATUS)
        size += message->event.status.channel.size;
    return size + 3 <= KEY_MAX;
}

static bool check_messages(struct keeper *keeper, const struct state_text *state)
{
    struct read_message message;
    struct record record;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < state->message_count; i++) {
        if (!read_message(keeper, state->messages[i], &message, &record) ||
            record.seq > state->seq || !slice_equal(message.exchange, state->exchange) ||
            !slice_equal(message_symbol(&message), state->symbol) ||
            !names_fit(&message, state->symbol))
            return false;
        uint32_t bit = message.event.type == EVENT_STATUS ? 0 : 1u << message.event.type;
        if ((seen & bit) != 0)
            return false;
        seen |= bit;
    }
    return keeper->entry_count + state->message_count <= LIMIT_KEEPER_ENTRIES;
}

/* ---- loading ---- */

/* Seq before the first record heard. */
static int64_t keeper_base(const struct keeper *keeper)
{
    return (keeper->heard_from == 0 ? journal_next(keeper->journal) : keeper->heard_from) - 1;
}

/* Everything behind seq `after` that has come, and concerns the pair, once more: what an entry
 * holds already it ignores. */
static void read_again(struct keeper *keeper, struct pair *pair, int64_t after)
{
    struct slice exchange = pair_exchange(pair), symbol = pair_symbol(pair);
    struct cursor cursor = {0};
    struct record record;
    struct read_message message;
    char key[LIMIT_KEY], own[PAIR_KEY_MAX];
    memcpy(own, pair->key, sizeof own);
    size_t size = exchange.size + (symbol.size == 0 ? 0 : 1 + symbol.size);
    if (symbol.size > 0)
        own[exchange.size] = ':';
    if (after + 1 >= journal_next(keeper->journal) ||
        !cursor_attach(&cursor, keeper->journal, after + 1))
        return;
    while (journal_read(keeper->journal, &cursor, &keeper->text, key, &record)) {
        bool is_epoch = slice_is(record.type, "epoch");
        if (!is_epoch && !slice_equal(record.key, (struct slice){.data = own, .size = size}))
            continue;
        if (keeper_read_record(keeper, &record, &message) != READ_EVENT)
            continue;
        if (!is_epoch)
            (void)keeper_keep(keeper, &message, &record); /* counted when it came */
        for (struct entry *entry = pair->entries; is_epoch && entry != NULL;
             entry = entry->pair_next)
            entry_take_back(entry, record.seq);
    }
    cursor_detach(&cursor);
}

static void pair_holds(struct pair *pair, int64_t seq)
{
    if (seq > pair->ahead)
        pair->ahead = seq;
}

/* Everything was checked. */
static void install_state(struct keeper *keeper, struct pair *pair, struct state_text *state)
{
    struct read_message message;
    struct record record;
    for (uint32_t i = 0; i < state->message_count; i++) {
        bool taken = read_message(keeper, state->messages[i], &message, &record) &&
                     keeper_install(keeper, &message, &record, state->seq);
        assert(taken);
        (void)taken;
    }
    trade_keys_destroy(pair->keys);
    pair->keys = state->trades;
    state->trades = NULL;
    pair->keys_through = state->seq;
    pair->complete = true;
    pair_holds(pair, state->seq);
    read_again(keeper, pair, state->seq);
}

/* There is nothing in it for us. */
static bool tells_nothing(const struct keeper *keeper, struct slice exchange, struct slice symbol,
                          int64_t seq)
{
    const struct pair *known = pair_table_find(&keeper->pairs, exchange, symbol);
    return (known != NULL && known->complete) || seq < keeper_base(keeper) ||
           seq + 1 < journal_first(keeper->journal);
}

/* The same by its head alone, as we write it: who is there already gets every state all the time.
 */
static bool is_passed_over(const struct keeper *keeper, struct slice text)
{
    char key[LIMIT_KEY];
    struct record record = {0};
    if (!record_read_head(text, key, &record) || !slice_is(record.type, "state"))
        return false;
    struct slice symbol, exchange = slice_split(record.key, ':', &symbol);
    return tells_nothing(keeper, exchange, symbol, record.seq);
}

static bool load_state(struct keeper *keeper, struct state_text *state)
{
    if (tells_nothing(keeper, state->exchange, state->symbol, state->seq))
        return true;
    if (!check_messages(keeper, state))
        return false;
    struct pair *pair = pair_table_get(&keeper->pairs, state->exchange, state->symbol);
    if (pair == NULL)
        return false;
    install_state(keeper, pair, state);
    return true;
}

bool keeper_load_state(struct keeper *keeper, struct slice text)
{
    struct state_text state = {0};
    if (text.size > LIMIT_STATE)
        return false;
    if (is_passed_over(keeper, text))
        return true;
    bool loaded = read_state(text, &state) && load_state(keeper, &state);
    trade_keys_destroy(state.trades);
    return loaded;
}

bool keeper_load_message(struct keeper *keeper, struct slice text)
{
    struct read_message message;
    struct record record;
    if (!read_message(keeper, text, &message, &record) ||
        keeper->entry_count == LIMIT_KEEPER_ENTRIES)
        return false;
    struct pair *pair = NULL;
    if (names_fit(&message, message_symbol(&message)))
        pair = pair_table_get(&keeper->pairs, message.exchange, message_symbol(&message));
    if (pair == NULL || !keeper_install(keeper, &message, &record, record.seq))
        return false;
    pair_holds(pair, record.seq);
    struct trade_key key;
    if (message.event.type == EVENT_TRADE && pair->keys == NULL &&
        trade_key_make(&message.event, &key)) {
        pair->keys = trade_keys_create();
        pair->keys_through = record.seq;
        trade_keys_add(pair->keys, &key);
    }
    int64_t held = journal_first(keeper->journal) - 1;
    read_again(keeper, pair, record.seq > held ? record.seq : held);
    return true;
}

/* ---- trades ---- */

void keeper_visit_trade_keys(const struct keeper *keeper, const struct keeper_pair *pair,
                             keeper_trade_fn *visit, void *context)
{
    const struct pair *known = pair_table_find(&keeper->pairs, pair->exchange, pair->symbol);
    uint32_t count = known == NULL ? 0 : trade_keys_count(known->keys);
    for (uint32_t i = 0; i < count; i++) {
        struct event event = trade_key_event(trade_keys_at(known->keys, i));
        visit(context, &event);
    }
}

bool keeper_identify_trade(const struct record *record, uint64_t *ret_hash, int64_t *ret_recv_us)
{
    struct trade_key key;
    if (!slice_is(record->type, "trade") || !trade_key_read(record->text, &key))
        return false;
    uint64_t hash = trade_key_hash(&key, slice_hash(record->key));
    *ret_hash = hash == 0 ? 1 : hash;
    *ret_recv_us = key.received_us;
    return true;
}
