/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/held_trades.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define INSTRUMENTS 5

struct taken {
    struct instrument *instrument[64];
    int64_t number[64];
    uint32_t count;
};

static struct instrument instruments[INSTRUMENTS];

static bool put(struct held_trades *held, unsigned instrument, int64_t number)
{
    /* All that is borrowed is gone, or another's, after the call. */
    struct symbol symbol;
    char id[LIMIT_TRADE_ID + 1];
    int size = snprintf(id, sizeof id, "%040lld", (long long)number);
    assert_true(symbol_read(SLICE("BTC-USDT"), &symbol));
    struct event event = {.type = EVENT_TRADE, .symbol = &symbol, .exchange_us = number};
    event.received_us = number + 7;
    event.trade.id = (struct slice){.data = id, .size = (size_t)size};
    event.trade.price = (struct decimal){.mantissa = number, .exponent = -2};
    event.trade.size = (struct decimal){.mantissa = 3, .exponent = 1};
    event.trade.side = SIDE_SELL;
    event.trade.origin = TRADE_SNAPSHOT;
    bool done = held_trades_put(held, &instruments[instrument], &event);
    memset(id, '#', sizeof id);
    memset(&symbol, '#', sizeof symbol);
    return done;
}

static void take(void *context, struct instrument *instrument, const struct event *event)
{
    struct taken *taken = context;
    char id[LIMIT_TRADE_ID + 1];
    (void)snprintf(id, sizeof id, "%040lld", (long long)event->exchange_us);
    assert_int_equal(event->type, EVENT_TRADE);
    assert_true(slice_is(event->trade.id, id));
    assert_true(slice_is(symbol_slice(event->symbol), "BTC-USDT"));
    assert_int_equal(event->received_us, event->exchange_us + 7);
    assert_int_equal(event->trade.price.mantissa, event->exchange_us);
    assert_int_equal(event->trade.price.exponent, -2);
    assert_int_equal(event->trade.size.mantissa, 3);
    assert_int_equal(event->trade.side, SIDE_SELL);
    assert_int_equal(event->trade.origin, TRADE_SNAPSHOT);
    taken->instrument[taken->count] = instrument;
    taken->number[taken->count++] = event->exchange_us;
}

static void it_gives_back_whole_copies_in_their_order(void **state)
{
    (void)state;
    struct held_trades *held = held_trades_create(4);
    for (int64_t i = 0; i < 4; i++)
        assert_true(put(held, (unsigned)i % 2, i));
    assert_false(put(held, 0, 99)); /* full */
    assert_int_equal(held_trades_count(held), 4);
    struct taken taken = {.count = 0};
    held_trades_release(held, &instruments[1], take, &taken);
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.number[0], 1);
    assert_int_equal(taken.number[1], 3);
    assert_ptr_equal(taken.instrument[0], &instruments[1]);
    assert_true(put(held, 1, 4));
    taken.count = 0;
    held_trades_release(held, NULL, take, &taken);
    assert_int_equal(taken.count, 3);
    assert_int_equal(taken.number[0], 0);
    assert_int_equal(taken.number[1], 2);
    assert_int_equal(taken.number[2], 4);
    assert_int_equal(held_trades_count(held), 0);
    held_trades_release(held, NULL, take, &taken);
    assert_int_equal(taken.count, 3);
    held_trades_destroy(held);
    held_trades_destroy(NULL);
}

static void a_trade_without_id_or_symbol_is_held_as_well(void **state)
{
    (void)state;
    struct held_trades *held = held_trades_create(1);
    struct event event = {.type = EVENT_TRADE};
    assert_true(held_trades_put(held, &instruments[0], &event));
    held_trades_destroy(held); /* with something in it */
}

/* Against a plain list, in random order. */
static void it_holds_what_a_list_would(void **state)
{
    (void)state;
    struct {
        unsigned instrument;
        int64_t number;
    } list[32];
    uint32_t count = 0;
    uint64_t random = 7;
    struct held_trades *held = held_trades_create(COUNT_OF(list));
    for (int64_t step = 0; step < 20000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned which = (unsigned)(random >> 33) % INSTRUMENTS;
        if ((random >> 45) % 8 != 0) {
            assert_int_equal(put(held, which, step), count < COUNT_OF(list));
            if (count < COUNT_OF(list)) {
                list[count].instrument = which;
                list[count++].number = step;
            }
            continue;
        }
        bool all = (random >> 50) % 8 == 0;
        struct taken taken = {.count = 0};
        held_trades_release(held, all ? NULL : &instruments[which], take, &taken);
        uint32_t left = 0, given = 0;
        for (uint32_t i = 0; i < count; i++) {
            if (!all && list[i].instrument != which) {
                list[left++] = list[i];
                continue;
            }
            assert_int_equal(taken.number[given], list[i].number);
            assert_ptr_equal(taken.instrument[given++], &instruments[list[i].instrument]);
        }
        assert_int_equal(taken.count, given);
        count = left;
        assert_int_equal(held_trades_count(held), count);
    }
    held_trades_destroy(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_gives_back_whole_copies_in_their_order),
        cmocka_unit_test(a_trade_without_id_or_symbol_is_held_as_well),
        cmocka_unit_test(it_holds_what_a_list_would),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
