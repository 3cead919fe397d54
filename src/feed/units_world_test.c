/* SPDX-License-Identifier: Apache-2.0 */
/* Units in a world of random data and random stops. */
#include "feed/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/units_fixture_test.h"

struct source { /* one channel of one symbol, as the exchange makes it */
    int64_t interval_ms, next_ns;
    int64_t id, sent_id;
    int64_t missed_ns; /* when the first one was made that was not sent; 0: none */
    int64_t sent_ns;
    int64_t told_ns; /* was told stale last, by itself or with others */
    bool stopped;
    int64_t answer_ns; /* it was asked about; 0: it was not */
};

struct world {
    struct fixture *fixture;
    uint64_t random;
    struct source source[COUNT][CHANNEL_COUNT];
};

static uint32_t below(struct world *world, uint32_t bound)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 33) % bound;
}

static void source_run(struct world *world, uint32_t i, enum channel channel)
{
    struct fixture *fixture = world->fixture;
    struct source *source = &world->source[i][channel];
    if (fixture->now_ns < source->next_ns)
        return;
    source->next_ns = fixture->now_ns +
                      (source->interval_ms / 2 + below(world, (uint32_t)source->interval_ms)) * MS;
    source->id++;
    if (source->stopped) {
        if (source->missed_ns == 0)
            source->missed_ns = fixture->now_ns;
        return;
    }
    seen(fixture, i, channel, source->id);
    source->missed_ns = 0;
    source->sent_ns = fixture->now_ns;
    assert_false(fixture->all || fixture->channel[channel] || fixture->unit[i][channel]);
}

static void source_answer(struct world *world, uint32_t i, enum channel channel)
{
    struct fixture *fixture = world->fixture;
    struct source *source = &world->source[i][channel];
    struct rest_fact fact = {.trade_id = source->id, .book_id = source->id};
    struct unit *unit = units_at(fixture->units, i, channel);
    if (source->answer_ns == 0 && unit->state == UNIT_SUSPECT) {
        unit->state = UNIT_ASKED;
        source->answer_ns = fixture->now_ns + below(world, 300) * MS;
    } else if (source->answer_ns != 0 && fixture->now_ns >= source->answer_ns) {
        source->answer_ns = 0;
        units_fact(fixture->units, i, CHANNEL_BIT(channel), &fact, fixture->now_ns);
    }
}

static void source_judge(struct world *world, uint32_t i, enum channel channel)
{
    struct fixture *fixture = world->fixture;
    struct source *source = &world->source[i][channel];
    /* When something wider is told as fresh, whoever is silent still is looked at anew. */
    if (fixture->all || fixture->channel[channel] || fixture->unit[i][channel])
        source->told_ns = fixture->now_ns;
    int64_t since_ns = source->missed_ns > source->told_ns ? source->missed_ns : source->told_ns;
    /* A look at least every ALLOWED_MS, an answer within 300 ms, a grace of one second; what speaks
     * often is noticed within what is allowed. */
    int64_t most_ms = source->interval_ms <= ALLOWED_MS / 16 ? ALLOWED_MS : ALLOWED_MS + 1500;
    if (source->missed_ns != 0)
        assert_in_range(fixture->now_ns - since_ns, 0, most_ms * MS);
    if (fixture->unit[i][channel])
        assert_int_not_equal(source->missed_ns, 0);
}

static void world_step(struct world *world)
{
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_BOOK};
    for (uint32_t i = 0; i < COUNT; i++)
        for (size_t c = 0; c < COUNT_OF(channels); c++) {
            source_run(world, i, channels[c]);
            source_answer(world, i, channels[c]);
        }
    pass(world->fixture, 100);
    for (uint32_t i = 0; i < COUNT; i++)
        for (size_t c = 0; c < COUNT_OF(channels); c++)
            source_judge(world, i, channels[c]);
}

/* Some of it stops, or goes on: one, a channel, or all. */
static void world_turn(struct world *world)
{
    bool stopped = below(world, 2) == 0;
    uint32_t width = below(world, 3), one = below(world, COUNT);
    enum channel channel = below(world, 2) == 0 ? CHANNEL_TRADE : CHANNEL_BOOK;
    for (uint32_t i = 0; i < COUNT; i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++)
            if (width == 2 || ((unsigned)channel == c && (width == 1 || i == one)))
                world->source[i][c].stopped = stopped;
}

/* Random data with random stops: what is stopped is told in time, what is quiet is never told. */
static void whatever_stops_is_told_and_nothing_else(void **state)
{
    static const int64_t intervals_ms[] = {100, 300, 500, 2000, 10000, 40000};
    unsigned told[3] = {0};
    for (uint64_t seed = 1; seed <= 100; seed++) {
        setup(state);
        struct fixture *fixture = *state;
        struct world world = {.fixture = fixture, .random = seed * 7919};
        for (uint32_t i = 0; i < COUNT; i++)
            for (unsigned c = 0; c < CHANNEL_COUNT; c++)
                world.source[i][c].interval_ms =
                    intervals_ms[below(&world, COUNT_OF(intervals_ms))];
        for (int step = 0; step < 6000; step++) {
            if (step > 600 && below(&world, 300) == 0)
                world_turn(&world);
            world_step(&world);
        }
        for (size_t i = 0; i < COUNT_OF(told); i++)
            told[i] += fixture->told[i];
        teardown(state);
    }
    for (size_t i = 0; i < COUNT_OF(told); i++)
        assert_true(told[i] > 100); /* each width was tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_stops_is_told_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
