/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/flow.h"

#include "sim/market.h"
#include "sim/write.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define STEPS 20000
#define LEVELS 200

static const struct flow_options usual = {
    .seed = 42, .price = 1000000, .size = 5000, .levels = LEVELS};

static void assert_good_book(const struct flow *flow)
{
    for (int side = 0; side < 2; side++) {
        const struct flow_levels *levels = &flow->sides[side];
        assert_true(levels->count >= LEVELS / 2);
        for (size_t i = 0; i < levels->count; i++) {
            assert_true(levels->items[i].size > 0);
            assert_true(levels->items[i].orders > 0);
            assert_true(levels->items[i].price > 0);
            if (i > 0 && side == FLOW_BID)
                assert_true(levels->items[i].price < levels->items[i - 1].price);
            if (i > 0 && side == FLOW_ASK)
                assert_true(levels->items[i].price > levels->items[i - 1].price);
        }
    }
    assert_true(flow->sides[FLOW_BID].items[0].price < flow->sides[FLOW_ASK].items[0].price);
}

static void the_book_is_never_crossed_nor_empty(void **state)
{
    (void)state;
    struct flow flow;
    struct flow_events events;
    flow_init(&flow, &usual);
    assert_good_book(&flow);
    for (int i = 0; i < STEPS; i++) {
        flow_step(&flow, &events);
        assert_good_book(&flow);
    }
    flow_release(&flow);
}

/* Who has the first book and applies every change has every later book. */
static void the_changes_tell_the_whole_book(void **state)
{
    (void)state;
    struct flow flow;
    struct flow_events events;
    flow_init(&flow, &usual);
    int64_t id = flow.update_id;
    int64_t sizes[2][4096] = {{0}};
    int64_t base = usual.price - 2048;
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < flow.sides[side].count; i++)
            sizes[side][flow.sides[side].items[i].price - base] = flow.sides[side].items[i].size;
    for (int i = 0; i < STEPS / 4; i++) {
        flow_step(&flow, &events);
        for (size_t k = 0; k < events.change_count; k++) {
            const struct flow_change *change = &events.changes[k];
            assert_in_range(change->price - base, 0, 4095);
            assert_int_not_equal(sizes[change->side][change->price - base], change->size);
            sizes[change->side][change->price - base] = change->size;
        }
        id += (int64_t)events.change_count;
        assert_int_equal(flow.update_id, id);
    }
    for (int64_t price = base; price < base + 4096; price++)
        for (int side = 0; side < 2; side++)
            assert_int_equal(flow_size_at(&flow, (enum flow_side)side, price, NULL),
                             sizes[side][price - base]);
    flow_release(&flow);
}

/* What trades is what the book loses. */
static void trades_take_from_the_book(void **state)
{
    (void)state;
    struct flow flow;
    struct flow_events events;
    size_t trades = 0, several = 0, bought = 0;
    flow_init(&flow, &usual);
    for (int i = 0; i < STEPS; i++) {
        int64_t bid = flow.sides[FLOW_BID].items[0].price;
        int64_t ask = flow.sides[FLOW_ASK].items[0].price;
        flow_step(&flow, &events);
        trades += events.trade_count;
        several += events.trade_count > 1;
        for (size_t k = 0; k < events.trade_count; k++) {
            const struct flow_trade *trade = &events.trades[k];
            bought += trade->buyer_takes;
            assert_true(trade->size > 0);
            assert_true(trade->buyer_takes ? trade->price >= ask : trade->price <= bid);
            assert_int_equal(events.changes[k].price, trade->price);
            assert_int_equal(events.changes[k].side, trade->buyer_takes ? FLOW_ASK : FLOW_BID);
        }
    }
    assert_true(trades > STEPS / 10);
    assert_true(several > 0);
    assert_in_range(bought, trades / 5, trades / 5 * 4);
    flow_release(&flow);
}

static uint32_t fingerprint(uint64_t seed)
{
    struct flow_options options = usual;
    struct flow flow;
    struct flow_events events;
    uint32_t crc = 0;
    options.seed = seed;
    flow_init(&flow, &options);
    for (int i = 0; i < STEPS / 4; i++) {
        flow_step(&flow, &events);
        for (size_t k = 0; k < events.trade_count; k++)
            crc = write_crc32(crc, (struct slice){(const char *)&events.trades[k].price, 16});
        for (size_t k = 0; k < events.change_count; k++)
            crc = write_crc32(crc, (struct slice){(const char *)&events.changes[k].price, 16});
    }
    flow_release(&flow);
    return crc;
}

static void the_seed_decides(void **state)
{
    (void)state;
    assert_int_equal(fingerprint(7), fingerprint(7));
    assert_int_not_equal(fingerprint(7), fingerprint(8));
}

static void the_price_walks_and_comes_home(void **state)
{
    (void)state;
    struct flow flow;
    struct flow_events events;
    flow_init(&flow, &usual);
    int64_t low = INT64_MAX, high = 0;
    for (int i = 0; i < 20 * STEPS; i++) {
        flow_step(&flow, &events);
        int64_t bid = flow.sides[FLOW_BID].items[0].price;
        low = bid < low ? bid : low;
        high = bid > high ? bid : high;
    }
    assert_true(high - low > 100);
    assert_true(low > usual.price / 2 && high < usual.price * 2);
    flow_release(&flow);
}

/* A price of few ticks must not fall through the floor. */
static void a_coarse_market_lives(void **state)
{
    (void)state;
    const struct flow_options coarse = {.seed = 3, .price = 40, .size = 10, .levels = 10};
    struct flow flow;
    struct flow_events events;
    flow_init(&flow, &coarse);
    for (int i = 0; i < 10 * STEPS; i++) {
        flow_step(&flow, &events);
        assert_true(flow.sides[FLOW_BID].count > 0 && flow.sides[FLOW_ASK].count > 0);
        assert_true(flow.sides[FLOW_BID].items[flow.sides[FLOW_BID].count - 1].price > 0);
    }
    flow_release(&flow);
}

static void the_truth_keeps_the_last_trades(void **state)
{
    (void)state;
    struct truth truth;
    uint64_t count = TRUTH_TRADES_MAX + 1000;
    int64_t volume = 0, value = 0;
    truth_init(&truth, 50);
    assert_int_equal(truth_first(&truth), 1);
    assert_null(truth_trade(&truth, 1));
    for (uint64_t i = 1; i <= count; i++) {
        struct trade trade = {.index = i,
                              .id = 1000 + i,
                              .price = 40 + (int64_t)(i % 20),
                              .size = (int64_t)(i % 7) + 1,
                              .buyer_takes = i % 3 == 0};
        volume += trade.size;
        value += trade.price * trade.size;
        truth_add(&truth, &trade, trade.price * trade.size);
        assert_int_equal(truth_trade(&truth, i)->id, 1000 + i);
        if (i == 100)
            assert_int_equal(truth_trade(&truth, 1)->id, 1001);
    }
    assert_int_equal(truth.count, count);
    assert_int_equal(truth.bought + truth.sold, volume);
    assert_int_equal(truth.value, value);
    assert_int_equal(truth.low, 40);
    assert_int_equal(truth.high, 59);
    assert_int_equal(truth.open, 50);
    assert_int_equal(truth.first_id, 1001);
    assert_int_equal(truth_first(&truth), 1001);
    assert_null(truth_trade(&truth, 1000));
    assert_null(truth_trade(&truth, count + 1));
    assert_int_equal(truth_trade(&truth, 1001)->id, 2001);
    truth_release(&truth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_book_is_never_crossed_nor_empty),
        cmocka_unit_test(the_changes_tell_the_whole_book),
        cmocka_unit_test(trades_take_from_the_book),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(the_price_walks_and_comes_home),
        cmocka_unit_test(a_coarse_market_lives),
        cmocka_unit_test(the_truth_keeps_the_last_trades),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
