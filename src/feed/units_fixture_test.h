/* SPDX-License-Identifier: Apache-2.0 */
/* For the test files of units, behind <cmocka.h>: units of a few symbols, with made-up time, and
 * what was told of them. */
#pragma once

#include "base/slice.h"
#include "feed/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define START (1000 * SECOND)
#define ALLOWED_MS 8000
#define COUNT 3

struct fixture {
    struct instruments *catalogue;
    struct units *units;
    int64_t now_ns;
    unsigned told[3]; /* as stale: of one channel of a symbol, of a channel, of everything */
    char said[1024];  /* "all+ ticker+ S0.book- ": + stale, - fresh */
    bool all, channel[CHANNEL_COUNT], unit[COUNT][CHANNEL_COUNT];
};

/* No scope is told twice in a row. */
static inline void on_notice(void *context, const struct unit_scope *scope, bool stale)
{
    struct fixture *fixture = context;
    char name[64] = "all";
    bool *told = &fixture->all;
    if (scope->instrument != NULL) {
        size_t index = (size_t)(scope->instrument - instruments_at(fixture->catalogue, 0));
        snprintf(name, sizeof name, "S%zu.%s", index, channel_names[scope->channel]);
        told = &fixture->unit[index][scope->channel];
    } else if (scope->channel != CHANNEL_COUNT) {
        snprintf(name, sizeof name, "%s", channel_names[scope->channel]);
        told = &fixture->channel[scope->channel];
    }
    assert_int_not_equal(*told, stale);
    *told = stale;
    fixture->told[scope->instrument != NULL ? 0 : scope->channel != CHANNEL_COUNT ? 1 : 2] += stale;
    size_t size = strlen(fixture->said);
    snprintf(fixture->said + size, sizeof fixture->said - size, "%s%c ", name, stale ? '+' : '-');
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->catalogue = instruments_create(COUNT, false);
    for (unsigned i = 0; i < COUNT; i++) {
        char text[16];
        struct symbol symbol;
        snprintf(text, sizeof text, "S%u-KRW", i);
        assert_true(symbol_read(slice_of(text), &symbol));
        struct instrument *instrument =
            instruments_add(fixture->catalogue, &symbol, slice_of(text));
        instrument->wanted = CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_BOOK);
    }
    fixture->units = units_create(fixture->catalogue, ALLOWED_MS, on_notice, fixture);
    fixture->now_ns = START;
    units_follow(fixture->units, fixture->now_ns);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    units_destroy(fixture->units);
    instruments_destroy(fixture->catalogue);
    free(fixture);
    return 0;
}

static inline void seen(struct fixture *fixture, uint32_t index, enum channel channel, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    struct event event = {.type = channel == CHANNEL_TRADE ? EVENT_TRADE : EVENT_BOOK};
    if (channel == CHANNEL_TRADE)
        event.trade.id = slice_of(text);
    else
        event.order_id = id;
    units_seen(fixture->units, index, channel, &event, fixture->now_ns);
}

static inline uint32_t pass(struct fixture *fixture, int64_t ms)
{
    uint32_t unknown;
    fixture->now_ns += ms * MS;
    return units_check(fixture->units, fixture->now_ns, &unknown);
}
