/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/trade_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define START_US INT64_C(1790000000000000)

static struct trade_key key_of(int id, int64_t received_us)
{
    struct trade_key key = {.received_us = received_us};
    key.id_size = (uint8_t)snprintf(key.id, sizeof key.id, "%d", id);
    return key;
}

static void expect_ids(const struct trade_keys *keys, int first, int last)
{
    assert_int_equal(trade_keys_count(keys), last - first + 1);
    for (int id = first; id <= last; id++) {
        struct trade_key key = key_of(id, 0);
        const struct trade_key *kept = trade_keys_at(keys, (uint32_t)(id - first));
        assert_int_equal(kept->id_size, key.id_size);
        assert_memory_equal(kept->id, key.id, key.id_size);
    }
}

static void the_last_thousand_are_kept(void **state)
{
    (void)state;
    struct trade_keys *keys = trade_keys_create();
    for (int id = 1; id <= 2500; id++) {
        struct trade_key key = key_of(id, START_US + id);
        trade_keys_add(keys, &key);
        expect_ids(keys, id > TRADE_KEYS_MAX ? id - TRADE_KEYS_MAX + 1 : 1, id);
    }
    trade_keys_destroy(keys);
    trade_keys_destroy(NULL);
    assert_int_equal(trade_keys_count(NULL), 0);
}

static void none_is_kept_that_came_five_minutes_before(void **state)
{
    (void)state;
    struct trade_keys *keys = trade_keys_create();
    const int64_t after_s[] = {0, 100, 299, 300, 301, 400, 5000};
    const int first[] = {1, 1, 1, 1, 2, 2, 7};
    for (int i = 0; i < 7; i++) {
        struct trade_key key = key_of(i + 1, START_US + after_s[i] * 1000000);
        trade_keys_add(keys, &key);
        expect_ids(keys, first[i], i + 1);
    }
    trade_keys_destroy(keys);
}

static void as_json_and_back(void **state)
{
    static const char *const texts[] = {
        "[\"17\",0,0]",
        "[\"0123456789012345678901234567890123456789\",9007199254740991,9007199254740991]",
        "[1,2,\"sell\",\"0\",\"0\"]",
        "[1,2,\"buy\",\"100000000000000000000000000000000000000000\",\"0.00000001\"]",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char padded[TRADE_KEY_TEXT_MAX + LIMIT_PADDING] = {0}, again[TRADE_KEY_TEXT_MAX];
        snprintf(padded, TRADE_KEY_TEXT_MAX, "%s", texts[i]);
        struct scan scan = scan_begin(slice_of(padded));
        struct trade_key key = trade_key_scan(&scan);
        assert_true(scan_finish(&scan));
        char *end = trade_key_write(again, &key);
        assert_int_equal(end - again, strlen(texts[i]));
        assert_memory_equal(again, texts[i], strlen(texts[i]));
        struct event event = trade_key_event(&key);
        struct trade_key made;
        assert_true(trade_key_make(&event, &made));
        assert_memory_equal(&made, &key, sizeof key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_thousand_are_kept),
        cmocka_unit_test(none_is_kept_that_came_five_minutes_before),
        cmocka_unit_test(as_json_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
