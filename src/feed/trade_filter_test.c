/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/trade_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND_US INT64_C(1000000)
#define START_US INT64_C(1700000000000000)
#define NAIVE_MAX 4096

static uint64_t random_state;

static uint32_t next_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

static struct event trade_with_id(const char *id, int64_t received_us)
{
    struct event event = {.type = EVENT_TRADE, .exchange_us = 1, .received_us = received_us};
    event.trade.id = slice_of(id);
    event.trade.price = (struct decimal){.mantissa = 15, .exponent = -1};
    event.trade.size = (struct decimal){.mantissa = 1, .exponent = 0};
    return event;
}

static struct event trade_without_id(int64_t exchange_us, int64_t price, int8_t exponent,
                                     int64_t received_us)
{
    struct event event = {
        .type = EVENT_TRADE, .exchange_us = exchange_us, .received_us = received_us};
    event.trade.price = (struct decimal){.mantissa = price, .exponent = exponent};
    event.trade.size = (struct decimal){.mantissa = 25, .exponent = -2};
    return event;
}

static void an_id_passes_once_from_whomever(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    /* Neither ordered nor consecutive; above 2^53; no numbers; as long as they may be. */
    const char *const ids[] = {
        "7",
        "5",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551616",
        "00007",
        "a-7",
        "0123456789012345678901234567890123456789",
        "0123456789012345678901234567890123456788",
    };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct event event = trade_with_id(ids[i], START_US);
        assert_false(trade_filter_knows(filter, &event));
        assert_true(trade_filter_pass(filter, (unsigned)i % TRADE_FILTER_SOURCES, &event));
        assert_true(trade_filter_knows(filter, &event));
    }
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        for (unsigned source = 0; source < TRADE_FILTER_SOURCES; source++) {
            struct event event = trade_with_id(ids[i], START_US + 1);
            event.exchange_us = 99; /* the id alone counts */
            trade_filter_restart(filter, source);
            assert_false(trade_filter_pass(filter, source, &event));
        }
    struct event aggregate = trade_with_id("7", START_US);
    aggregate.trade.aggregate = true;
    assert_true(trade_filter_pass(filter, 0, &aggregate));
    trade_filter_destroy(filter);
    trade_filter_destroy(NULL);
}

static void every_part_of_a_key_tells_trades_apart(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    struct event first = trade_without_id(1000, 150, -2, START_US);
    struct event other[6] = {first, first, first, first, first, first};
    other[0].exchange_us = 1001;
    other[1].trade.side = SIDE_SELL;
    other[2].trade.price.mantissa = 151;
    other[3].trade.price.exponent = -1;
    other[4].trade.size.mantissa = 26;
    other[5].trade.size.exponent = -3;
    assert_true(trade_filter_pass(filter, 0, &first));
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        assert_false(trade_filter_knows(filter, &other[i]));
        assert_true(trade_filter_pass(filter, 1, &other[i]));
    }
    trade_filter_destroy(filter);
}

static void equal_values_of_another_scale_are_equal(void **state)
{
    (void)state;
    static const struct decimal same[][2] = {
        {{15, -1}, {150, -2}},
        {{0, 3}, {0, -8}},
        {{1, 17}, {INT64_C(100000000000000000), 0}},
        {{1, DECIMAL_EXPONENT_MAX}, {10, DECIMAL_EXPONENT_MAX - 1}},
        {{INT64_C(100000000000000000), DECIMAL_EXPONENT_MAX},
         {INT64_C(100000000000000000), DECIMAL_EXPONENT_MAX}},
    };
    struct trade_filter *filter = trade_filter_create();
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        struct event event = trade_without_id((int64_t)i, 1, 0, START_US);
        event.trade.price = same[i][0];
        assert_true(trade_filter_pass(filter, 0, &event));
        event.trade.price = same[i][1];
        assert_false(trade_filter_pass(filter, 1, &event));
        event.trade.price = (struct decimal){1, 0};
        event.trade.size = same[i][0];
        assert_true(trade_filter_pass(filter, 0, &event));
        event.trade.size = same[i][1];
        assert_false(trade_filter_pass(filter, 1, &event));
    }
    trade_filter_destroy(filter);
}

static void equal_trades_are_counted_for_each_connection(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    struct event event = trade_without_id(1000, 150, -2, START_US);
    assert_true(trade_filter_pass(filter, 0, &event));
    assert_true(
        trade_filter_pass(filter, 0, &event)); /* two equal ones on one connection are two */
    assert_false(trade_filter_pass(filter, 1, &event));
    assert_false(trade_filter_pass(filter, 1, &event));
    assert_true(trade_filter_pass(filter, 1, &event)); /* its third, before the other's */
    assert_false(trade_filter_pass(filter, 0, &event));

    trade_filter_restart(filter, 0);
    for (int i = 0; i < 3; i++)
        assert_false(trade_filter_pass(filter, 0, &event));
    assert_true(trade_filter_pass(filter, 0, &event));
    assert_false(trade_filter_pass(filter, 1, &event));
    trade_filter_destroy(filter);
}

static void the_oldest_goes_by_count(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    char id[24];
    for (int i = 0; i <= TRADE_FILTER_KEYS; i++) {
        (void)snprintf(id, sizeof id, "%d", i);
        struct event event = trade_with_id(id, START_US);
        assert_true(trade_filter_pass(filter, 0, &event));
    }
    struct event gone = trade_with_id("0", START_US);
    struct event kept = trade_with_id("1", START_US);
    assert_false(trade_filter_knows(filter, &gone));
    assert_true(trade_filter_knows(filter, &kept));
    trade_filter_destroy(filter);
}

static void the_oldest_goes_by_age(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    struct event event = trade_with_id("1", START_US);
    assert_true(trade_filter_pass(filter, 0, &event));
    event.received_us = START_US + TRADE_FILTER_AGE_US;
    assert_true(trade_filter_knows(filter, &event));
    assert_false(trade_filter_pass(filter, 0, &event));
    event.received_us++;
    assert_false(trade_filter_knows(filter, &event));
    assert_true(trade_filter_pass(filter, 0, &event));

    /* A clock that was ahead for a while: what came after it was set right grows old as well. */
    struct event ahead = trade_with_id("2", START_US + 2 * TRADE_FILTER_AGE_US);
    struct event after = trade_with_id("3", START_US);
    assert_true(trade_filter_pass(filter, 0, &ahead));
    assert_true(trade_filter_pass(filter, 0, &after));
    assert_false(trade_filter_pass(filter, 0, &after));
    after.received_us += TRADE_FILTER_AGE_US + 1;
    assert_false(trade_filter_knows(filter, &after));
    assert_true(trade_filter_pass(filter, 0, &after));
    trade_filter_destroy(filter);
}

/* ---- against a naive one ---- */

struct naive_kept {
    struct event event;
    char id[LIMIT_TRADE_ID];
    uint32_t published, brought[TRADE_FILTER_SOURCES];
};

struct naive {
    struct naive_kept kept[NAIVE_MAX];
    size_t first, count; /* kept[first .. count) */
};

static bool naive_same(const struct naive_kept *kept, const struct event *event)
{
    const struct trade *left = &kept->event.trade, *right = &event->trade;
    if (left->id.size > 0 || right->id.size > 0)
        return left->id.size == right->id.size && left->aggregate == right->aggregate &&
               memcmp(kept->id, right->id.data, right->id.size) == 0;
    return kept->event.exchange_us == event->exchange_us && left->side == right->side &&
           decimal_compare(left->price, right->price) == 0 &&
           decimal_compare(left->size, right->size) == 0;
}

static struct naive_kept *naive_find(struct naive *naive, const struct event *event)
{
    while (naive->first < naive->count &&
           event->received_us - naive->kept[naive->first].event.received_us > TRADE_FILTER_AGE_US)
        naive->first++;
    for (size_t i = naive->first; i < naive->count; i++)
        if (naive_same(&naive->kept[i], event))
            return &naive->kept[i];
    return NULL;
}

static bool naive_pass(struct naive *naive, unsigned source, const struct event *event)
{
    struct naive_kept *kept = naive_find(naive, event);
    if (kept == NULL) {
        assert_true(naive->count < NAIVE_MAX);
        if (naive->count - naive->first == TRADE_FILTER_KEYS)
            naive->first++;
        kept = &naive->kept[naive->count++];
        *kept = (struct naive_kept){.event = *event};
        if (event->trade.id.size > 0)
            memcpy(kept->id, event->trade.id.data, event->trade.id.size);
    } else if (event->trade.id.size > 0) {
        return false;
    }
    if (++kept->brought[source] <= kept->published)
        return false;
    kept->published = kept->brought[source];
    return true;
}

static struct event random_trade(char id[LIMIT_TRADE_ID], int64_t received_us, uint32_t range)
{
    int8_t scale = (int8_t)next_below(3);
    struct event event = trade_without_id(next_below(range), 1 + next_below(4), 0, received_us);
    for (int8_t i = 0; i < scale; i++)
        event.trade.price.mantissa *= 10;
    event.trade.price.exponent = (int8_t)-scale;
    event.trade.side = next_below(2) == 0 ? SIDE_BUY : SIDE_SELL;
    if (next_below(2) == 0)
        return event;
    int size = snprintf(id, LIMIT_TRADE_ID, "%lld",
                        (long long)(INT64_C(9007199254740000) + next_below(4 * range)));
    event.trade.id = (struct slice){.data = id, .size = (size_t)size};
    event.trade.aggregate = next_below(8) == 0;
    return event;
}

static void it_decides_as_a_naive_one_does(void **state)
{
    (void)state;
    static struct naive naive;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_state = seed;
        naive.first = naive.count = 0;
        memset(naive.kept, 0, sizeof naive.kept);
        struct trade_filter *filter = trade_filter_create();
        int64_t now_us = START_US;
        uint32_t range = 20 + next_below(2000);
        uint32_t pace = 1 + next_below(600); /* some runs live by age, some by count */
        size_t passed = 0;
        for (int i = 0; i < 3000; i++) {
            char id[LIMIT_TRADE_ID];
            now_us += next_below(pace) * SECOND_US / 100;
            struct event event = random_trade(id, now_us, range);
            unsigned source = next_below(2);
            if (next_below(100) == 0) {
                trade_filter_restart(filter, source);
                for (size_t k = 0; k < naive.count; k++)
                    naive.kept[k].brought[source] = 0;
            }
            bool known = naive_find(&naive, &event) != NULL;
            assert_int_equal(trade_filter_knows(filter, &event), known);
            bool pass = naive_pass(&naive, source, &event);
            assert_int_equal(trade_filter_pass(filter, source, &event), pass);
            passed += pass;
        }
        assert_true(passed > 0 && passed < 3000);
        trade_filter_destroy(filter);
    }
}

/* ---- two connections that carry the same trades ---- */

#define TRUTH 1500

struct carried {
    struct event event;
    char id[16];
};

/* Both bring all of the truth, now one ahead and now the other, and now and then one of them is
 * made again and repeats something of what it had; what passes is the truth, in its order. */
static void two_connections_give_each_trade_once(void **state)
{
    (void)state;
    static struct carried truth[TRUTH];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_state = seed;
        bool with_ids = seed % 2 == 0;
        for (int i = 0; i < TRUTH; i++) {
            truth[i].event = trade_without_id(i / 4, 1 + next_below(2), 0, START_US + i);
            (void)snprintf(truth[i].id, sizeof truth[i].id, "%d", (i * 7919) % 65536);
            if (with_ids)
                truth[i].event.trade.id = slice_of(truth[i].id);
        }
        struct trade_filter *filter = trade_filter_create();
        int at[2] = {0, 0};
        int published = 0;
        while (at[0] < TRUTH) {
            unsigned source = next_below(2);
            /* Neither is ever over 200 ahead: what is repeated is still known. */
            if (at[source] == TRUTH || at[source] - at[1 - source] > 200)
                source = 1 - source;
            /* A new connection is at the beginning of a moment: each counts by itself. */
            if (next_below(50) == 0) {
                trade_filter_restart(filter, source);
                at[source] -= at[source] % 4;
                at[source] -= at[source] > 40 ? 40 : 0;
            }
            struct event *event = &truth[at[source]].event;
            bool repeated = at[source] < published;
            assert_int_equal(trade_filter_pass(filter, source, event), !repeated);
            published += !repeated;
            at[source]++;
        }
        assert_int_equal(published, TRUTH);
        trade_filter_destroy(filter);
    }
}

static void what_was_learnt_is_published(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    struct event named = trade_with_id("7", START_US);
    struct event unnamed = trade_without_id(1000, 150, -2, START_US);
    struct event same = trade_without_id(1000, 15, -1, START_US + 1);
    trade_filter_learn(filter, &named);
    trade_filter_learn(filter, &named);
    trade_filter_learn(filter, &unnamed);
    trade_filter_learn(filter, &same);
    assert_true(trade_filter_knows(filter, &named) && trade_filter_knows(filter, &same));
    for (unsigned source = 0; source < 2; source++) {
        assert_false(trade_filter_pass(filter, source, &named));
        assert_false(trade_filter_pass(filter, source, &unnamed));
        assert_false(trade_filter_pass(filter, source, &unnamed));
    }
    assert_true(trade_filter_pass(filter, 0, &unnamed)); /* the third one, of either */
    assert_false(trade_filter_pass(filter, 1, &unnamed));
    named.received_us += TRADE_FILTER_AGE_US + 1; /* it is as old as it is */
    assert_true(trade_filter_pass(filter, 0, &named));
    trade_filter_destroy(filter);
}

/* More than are kept: the last ones count. */
static void the_last_that_were_learnt_are_kept(void **state)
{
    (void)state;
    struct trade_filter *filter = trade_filter_create();
    for (int id = 0; id < 2 * TRADE_FILTER_KEYS; id++) {
        char text[16];
        snprintf(text, sizeof text, "%d", id);
        struct event event = trade_with_id(text, START_US + id);
        trade_filter_learn(filter, &event);
    }
    struct event oldest = trade_with_id("1024", START_US + 5000);
    struct event gone = trade_with_id("1023", START_US + 5000);
    assert_true(trade_filter_knows(filter, &oldest));
    assert_false(trade_filter_knows(filter, &gone));
    trade_filter_destroy(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_passes_once_from_whomever),
        cmocka_unit_test(every_part_of_a_key_tells_trades_apart),
        cmocka_unit_test(equal_values_of_another_scale_are_equal),
        cmocka_unit_test(equal_trades_are_counted_for_each_connection),
        cmocka_unit_test(the_oldest_goes_by_count),
        cmocka_unit_test(the_oldest_goes_by_age),
        cmocka_unit_test(it_decides_as_a_naive_one_does),
        cmocka_unit_test(two_connections_give_each_trade_once),
        cmocka_unit_test(what_was_learnt_is_published),
        cmocka_unit_test(the_last_that_were_learnt_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
