/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper that begins in the middle, and is given states at any time, ends with what a keeper that
 * read everything has: histories made from a seed, compared byte for byte.
 */
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keeper/keeper_fixture_test.h"
#include "keeper/keeper_priv.h"

#define SEEDS 3000
#define RECORDS_MAX 4000
#define LOADS_MAX 64
#define DEPTH 8

struct load {
    size_t index;        /* of the state, in the keeper that read everything */
    int64_t made, given; /* both: behind this seq */
    struct buffer text;  /* padded */
};

struct written {
    int64_t epoch;
    char *text;
    size_t size;
};

struct world {
    uint64_t random;
    int64_t recv;
    int64_t count; /* records; record[0] has seq 1 */
    struct written record[RECORDS_MAX];
    struct load load[LOADS_MAX];
    unsigned load_count;
    bool traded; /* mostly trades, of one symbol */
};

struct reader {
    struct journal *journal;
    struct keeper *keeper;
};

static uint32_t below(struct world *world, uint32_t bound)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 33) % bound;
}

static const char *one_of(struct world *world, const char *const *words, uint32_t count)
{
    return words[below(world, count)];
}
#define ONE_OF(world, ...)                                                                         \
    one_of(world, (const char *const[]){__VA_ARGS__},                                              \
           (uint32_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)))

/* ---- histories ---- */

static void put_levels(struct world *world, struct buffer *out, bool asks, bool snapshot)
{
    bool first = true;
    for (uint32_t i = 0; i < 6; i++) {
        if (below(world, 2) == 0)
            continue;
        uint32_t size = below(world, 4);
        if (snapshot)
            size++;
        buffer_append_format(out, "%s[\"%u.50\",\"%u\"]", first ? "" : ",", asks ? 20 + i : 19 - i,
                             size);
        first = false;
    }
}

static void put_book(struct world *world, struct buffer *out)
{
    bool snapshot = below(world, 5) < 2;
    buffer_append_format(out, ",\"action\":\"%s\"", snapshot ? "snapshot" : "update");
    if (snapshot)
        buffer_append_format(out, ",\"proof\":\"%s\",\"depth\":%u", ONE_OF(world, "chain", "whole"),
                             5 + below(world, 9));
    buffer_append_text(out, ",\"bids\":[");
    put_levels(world, out, false, snapshot);
    buffer_append_text(out, "],\"asks\":[");
    put_levels(world, out, true, snapshot);
    buffer_append_text(out, "]}");
}

static void put_trade(struct world *world, struct buffer *out)
{
    if (below(world, 3) > 0)
        buffer_append_format(out, ",\"id\":\"%u\"", below(world, 100000));
    buffer_append_format(out, ",\"price\":\"%s\",\"size\":\"%u\",\"side\":\"%s\"}",
                         ONE_OF(world, "1.50", "1.5", "200", "0.00000001"), 10 * below(world, 3),
                         ONE_OF(world, "buy", "sell"));
}

/* What all messages of a pair begin with; returns whether there is a symbol. */
static void put_head(struct world *world, struct buffer *out, const char *type, int64_t seq,
                     bool symbol)
{
    buffer_append_format(out, "{\"type\":\"%s\",\"seq\":%lld,\"exchange\":\"%s\"", type,
                         (long long)seq, world->traded ? "one" : ONE_OF(world, "one", "two"));
    if (symbol)
        buffer_append_format(out, ",\"symbol\":\"%s-KRW\"",
                             world->traded ? "A" : ONE_OF(world, "A", "AB", "C"));
    if (below(world, 3) > 0)
        buffer_append_format(out, ",\"ts\":%lld", (long long)(world->recv - below(world, 9)));
    buffer_append_format(out, ",\"recv\":%lld", (long long)world->recv);
}

static void put_record(struct world *world, struct buffer *out, int64_t seq)
{
    uint32_t dice = world->traded && below(world, 20) > 0 ? 0 : below(world, 100);
    if (dice < 20) {
        put_head(world, out, "trade", seq, true);
        put_trade(world, out);
    } else if (dice < 60) {
        put_head(world, out, "book", seq, true);
        put_book(world, out);
    } else if (dice < 75) {
        put_head(world, out, ONE_OF(world, "ticker", "quote"), seq, true);
        buffer_append_format(out, ",\"bid\":\"%u\"}", below(world, 1000));
    } else if (dice < 83) {
        put_head(world, out, "gap", seq, true);
        buffer_append_format(out, ",\"channel\":\"%s\",\"filled\":false}",
                             ONE_OF(world, "book", "book", "trade"));
    } else if (dice < 95) {
        put_head(world, out, "status", seq, below(world, 3) > 0);
        buffer_append_format(out, ",\"state\":\"%s\"%s}", ONE_OF(world, "down", "live", "stale"),
                             ONE_OF(world, "", ",\"channel\":\"book\"", ",\"channel\":\"trade\"",
                                    ",\"channel\":\"ticker\"", ",\"channel\":\"quote\""));
    } else if (dice < 97) {
        put_head(world, out, "later", seq, true);
        buffer_append_text(out, "}");
    } else {
        put_head(world, out, "trade", seq, true); /* malformed */
        buffer_append_text(out, ",\"price\":1}");
    }
}

static void move_clock(struct world *world)
{
    uint32_t dice = below(world, world->traded ? 2000 : 100);
    if (dice == 0)
        world->recv += INT64_C(200000000); /* some minutes */
    else if (dice == 1)
        world->recv -= INT64_C(200000000);
    else
        world->recv += below(world, 1000);
}

static void world_make(struct world *world, uint64_t seed, int64_t count, bool traded)
{
    int64_t epoch = 1;
    *world = (struct world){.random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1,
                            .recv = INT64_C(1790000000000000),
                            .count = count,
                            .traded = traded};
    for (int i = 0; i < 20; i++)
        (void)below(world, 2);
    for (int64_t seq = 1; seq <= count; seq++) {
        struct buffer out;
        buffer_init(&out, 4096);
        move_clock(world);
        if (below(world, 60) == 0) {
            epoch += 1 + below(world, 3);
            buffer_append_format(&out,
                                 "{\"type\":\"epoch\",\"seq\":%lld,\"recv\":1,\"epoch\":%lld,"
                                 "\"prev\":{\"epoch\":1,\"seq\":1},\"node\":\"n\"}",
                                 (long long)seq, (long long)epoch);
        } else {
            put_record(world, &out, seq);
        }
        struct written *written = &world->record[seq - 1];
        *written = (struct written){
            .epoch = epoch, .text = memory_alloc(out.size + LIMIT_PADDING + 1), .size = out.size};
        memcpy(written->text, out.data, out.size);
        buffer_release(&out);
    }
}

static void world_free(struct world *world)
{
    for (int64_t i = 0; i < world->count; i++)
        memory_free(world->record[i].text);
    for (unsigned i = 0; i < world->load_count; i++)
        buffer_release(&world->load[i].text);
}

/* ---- readers ---- */

static struct reader reader_make(int64_t begin)
{
    struct reader reader = {.journal = journal_create(STREAM, begin + 1, 0)};
    reader.keeper = keeper_create(reader.journal, DEPTH);
    return reader;
}

static void reader_free(struct reader *reader)
{
    keeper_destroy(reader->keeper);
    journal_destroy(reader->journal);
}

static void reader_read(struct reader *reader, const struct world *world)
{
    char key[LIMIT_KEY];
    const struct written *written = &world->record[journal_next(reader->journal) - 1];
    struct record record = {.stream = STREAM, .epoch = written->epoch};
    record.text = (struct slice){.data = written->text, .size = written->size};
    assert_true(record_read_head(record.text, key, &record));
    journal_barrier(reader->journal, STREAM, written->epoch);
    assert_int_equal(journal_append(reader->journal, &record), JOURNAL_ACCEPTED);
}

/* What these entries tell. */
static void put_entries(struct keeper *keeper, const bool *chosen, size_t count, struct buffer *out)
{
    buffer_append_text(out, "");
    for (size_t i = 0; i < count; i++)
        if (chosen[i] && keeper_tell(keeper, keeper->entries[i]))
            buffer_append_slice(out, buffer_slice(&keeper->message));
}

/* A record changes nothing of what holds it already, because a state was ahead. */
static void reader_read_calmly(struct reader *reader, const struct world *world)
{
    bool ahead[256];
    struct keeper *keeper = reader->keeper;
    size_t count = keeper->entry_count;
    struct buffer before, after;
    assert_true(count <= COUNT_OF(ahead));
    for (size_t i = 0; i < count; i++)
        ahead[i] = keeper->entries[i]->through >= journal_next(reader->journal);
    buffer_init(&before, MEBIBYTE);
    buffer_init(&after, MEBIBYTE);
    put_entries(keeper, ahead, count, &before);
    reader_read(reader, world);
    put_entries(keeper, ahead, count, &after);
    assert_string_equal(before.data, after.data);
    buffer_release(&before);
    buffer_release(&after);
}

static void put_line(void *context, struct slice message)
{
    buffer_append_slice(context, message);
    buffer_append_text(context, "\n");
}

static void put_key(void *context, const struct event *trade)
{
    buffer_append_format(context, "key %lld %lld %.*s %d %lld %d %lld %d\n",
                         (long long)trade->received_us, (long long)trade->exchange_us,
                         (int)trade->trade.id.size, trade->trade.id.data, (int)trade->trade.side,
                         (long long)trade->trade.price.mantissa, trade->trade.price.exponent,
                         (long long)trade->trade.size.mantissa, trade->trade.size.exponent);
}

/* Everything that it tells; keys of the six pairs only when asked for. */
static struct buffer told_by(const struct reader *reader, bool keys)
{
    static const char *const symbols[] = {"A-KRW", "AB-KRW", "C-KRW"};
    struct buffer told;
    buffer_init(&told, 4 * MEBIBYTE);
    buffer_append_text(&told, "");
    keeper_snapshot(reader->keeper, put_line, &told);
    for (unsigned i = 0; i < 6 && keys; i++) {
        struct keeper_pair pair = {.exchange = slice_of(i < 3 ? "one" : "two"),
                                   .symbol = slice_of(symbols[i % 3])};
        buffer_append_format(&told, "%s:%s\n", pair.exchange.data, pair.symbol.data);
        keeper_visit_trade_keys(reader->keeper, &pair, put_key, &told);
    }
    assert_false(told.overflowed);
    return told;
}

static void expect_same(const struct reader *all, const struct reader *part, bool keys,
                        uint64_t seed)
{
    struct buffer left = told_by(all, keys), right = told_by(part, keys);
    if (!slice_equal(buffer_slice(&left), buffer_slice(&right)))
        fail_msg("seed %llu\nall:\n%s\npart:\n%s", (unsigned long long)seed, left.data, right.data);
    buffer_release(&left);
    buffer_release(&right);
}

/* ---- states at random places ---- */

static void pad(struct buffer *text)
{
    static const char padding[LIMIT_PADDING + 1];
    buffer_append(text, padding, sizeof padding);
    text->size -= sizeof padding;
}

static void plan(struct world *world, size_t index, int64_t made, int64_t given)
{
    if (world->load_count == LOADS_MAX)
        return;
    struct load *load = &world->load[world->load_count++];
    *load = (struct load){.index = index, .made = made, .given = given};
    buffer_init(&load->text, LIMIT_STATE + LIMIT_PADDING + 1);
}

static int64_t between(struct world *world, int64_t first, int64_t last)
{
    return first + below(world, (uint32_t)(last - first + 1));
}

/* Of each pair that is there at `begin` one state made and given anywhere behind it; and others,
 * also such as are too old. */
static void plan_states(struct world *world, const struct reader *all, int64_t begin, int64_t end)
{
    struct buffer none;
    buffer_init(&none, 1);
    size_t pairs = keeper_save_state(all->keeper, SIZE_MAX, &none);
    buffer_release(&none);
    for (size_t i = 0; i < pairs; i++)
        plan(world, i, between(world, begin, end), between(world, begin, end));
    for (unsigned i = below(world, 30); i > 0; i--)
        plan(world, below(world, 10), between(world, 1, end), between(world, begin, end));
}

static void save_states(struct world *world, struct reader *all)
{
    for (unsigned i = 0; i < world->load_count; i++) {
        struct load *load = &world->load[i];
        if (load->made != journal_next(all->journal) - 1)
            continue;
        (void)keeper_save_state(all->keeper, load->index, &load->text);
        pad(&load->text);
    }
}

static void load_states(struct world *world, struct reader *part)
{
    for (unsigned i = 0; i < world->load_count; i++) {
        struct load *load = &world->load[i];
        if (load->given != journal_next(part->journal) - 1 || load->text.size == 0)
            continue;
        assert_true(keeper_load_state(part->keeper, buffer_slice(&load->text)));
    }
}

/* It becomes the keeper of a log that has taken the shadow's place. */
static void take_over(struct reader *part)
{
    struct reader other = reader_make(77);
    journal_take(other.journal, part->journal);
    keeper_take(other.keeper, part->keeper);
    *part = other;
}

static void begin_in_the_middle(uint64_t seed, int64_t count, bool traded)
{
    struct world *world = memory_alloc(sizeof *world);
    world_make(world, seed, count, traded);
    int64_t end = count * 9 / 10, begin = below(world, (uint32_t)end);
    struct reader all = reader_make(0), part = reader_make(begin);
    while (journal_next(all.journal) <= begin)
        reader_read(&all, world);
    plan_states(world, &all, begin, end);
    struct reader again = reader_make(0); /* for states that are older than `begin` */
    while (journal_next(again.journal) <= end) {
        reader_read(&again, world);
        save_states(world, &again);
    }
    while (journal_next(part.journal) <= end) {
        load_states(world, &part);
        reader_read_calmly(&part, world);
    }
    load_states(world, &part);
    expect_same(&again, &part, true, seed);
    if (seed % 3 == 0)
        take_over(&part);
    while (journal_next(again.journal) <= count) {
        reader_read(&again, world);
        reader_read(&part, world);
    }
    expect_same(&again, &part, true, seed);
    reader_free(&all);
    reader_free(&part);
    reader_free(&again);
    world_free(world);
    memory_free(world);
}

static void whoever_begins_anywhere_ends_with_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        begin_in_the_middle(seed, 20 + (int64_t)(seed % 150), false);
}

static void so_do_the_keys_of_busy_symbols(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        begin_in_the_middle(seed * 1000003, RECORDS_MAX, true);
}

static void a_snapshot_is_as_good_for_the_values(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS / 3; seed++) {
        struct world *world = memory_alloc(sizeof *world);
        world_make(world, seed, 120, false);
        int64_t begin = below(world, 100), made = between(world, begin, 110);
        int64_t given = between(world, begin, 110);
        struct reader all = reader_make(0), part = reader_make(begin);
        while (journal_next(all.journal) <= made)
            reader_read(&all, world);
        struct buffer told = told_by(&all, false);
        while (journal_next(part.journal) <= given)
            reader_read(&part, world);
        struct slice rest = buffer_slice(&told);
        while (rest.size > 0) {
            struct slice line = slice_split(rest, '\n', &rest);
            char copy[4096] = {0};
            assert_true(slice_copy(line, copy, sizeof copy - LIMIT_PADDING));
            assert_true(keeper_load_message(part.keeper, slice_of(copy)));
        }
        while (journal_next(all.journal) <= 120)
            reader_read(&all, world);
        while (journal_next(part.journal) <= 120)
            reader_read(&part, world);
        expect_same(&all, &part, false, seed);
        buffer_release(&told);
        reader_free(&all);
        reader_free(&part);
        world_free(world);
        memory_free(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_begins_anywhere_ends_with_the_same),
        cmocka_unit_test(so_do_the_keys_of_busy_symbols),
        cmocka_unit_test(a_snapshot_is_as_good_for_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
