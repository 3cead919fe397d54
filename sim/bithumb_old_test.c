/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/bithumb_old.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AT_US INT64_C(1622591014555058) /* 2021-06-01 23:43:34.555058 UTC */

static struct trade trades[] = {
    {.index = 1, .price = 75249, .size = 769995690, .at_us = AT_US},
    {.index = 2, .price = 75250, .size = 5560000, .at_us = AT_US, .buyer_takes = true},
};

static int set_up(void **state)
{
    static struct market market;
    market = (struct market){.base = "GOM",
                             .quote = "KRW",
                             .price_scale = 4,
                             .tick = 1,
                             .size_scale = 4,
                             .value_scale = 3};
    market.flow.options.levels = 4;
    truth_init(&market.truth, 75250);
    *state = &market;
    return 0;
}

static int tear_down(void **state)
{
    struct market *market = *state;
    truth_release(&market->truth);
    return 0;
}

/* Times are Korea's; the amount is cut behind three decimals; 2 is who bought. */
static void fills_come_in_one_message(void **state)
{
    const struct market *market = *state;
    struct buffer out;
    buffer_init(&out, 4096);
    old_write_trades(market, trades, 2, &out);
    assert_string_equal(
        out.data,
        "{\"type\":\"transaction\",\"content\":{\"list\":["
        "{\"buySellGb\":\"1\",\"contPrice\":\"7.5249\",\"contQty\":\"76999.569\","
        "\"contAmt\":\"579414.056\",\"contDtm\":\"2021-06-02 08:43:34.555058\",\"updn\":\"up\","
        "\"symbol\":\"GOM_KRW\"},"
        "{\"symbol\":\"GOM_KRW\",\"buySellGb\":\"2\",\"contPrice\":\"7.525\",\"contQty\":\"556\","
        "\"contAmt\":\"4183.9\",\"contDtm\":\"2021-06-02 08:43:34.555058\",\"updn\":\"up\"}]}}");
    buffer_release(&out);
}

/* Each level once, with its size of now, and 0 when it is gone. */
static void changes_are_told_once(void **state)
{
    (void)state;
    struct market market = {.base = "GOM",
                            .quote = "KRW",
                            .native = "KRW-GOM",
                            .size_scale = 4,
                            .tick = 1,
                            .value_scale = 3};
    const struct flow_options options = {.seed = 3, .price = 10000, .size = 100000, .levels = 20};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    market_init(&market, &options);
    int64_t from = market.flow.update_id;
    for (int i = 0; i < 40; i++) {
        struct flow_events events;
        market_step(&market, &events);
    }
    assert_true(market.flow.update_id > from);
    while (from < market.flow.update_id)
        assert_true(old_write_depth(&market, AT_US, &from, &out));
    assert_non_null(strstr(out.data, "\"datetime\":\"1622591014500000\"}}"));
    for (int64_t price = 9000; price < 11000; price++) {
        for (int side = 0; side < 2; side++) {
            char text[80];
            snprintf(text, sizeof text, "\"orderType\":\"%s\",\"price\":\"%lld\",\"quantity\":\"",
                     side == FLOW_BID ? "bid" : "ask", (long long)price);
            const char *found = strstr(out.data, text);
            if (found == NULL)
                continue;
            assert_null(strstr(found + 1, text));
            bool gone = flow_size_at(&market.flow, (enum flow_side)side, price, NULL) == 0;
            assert_int_equal(gone, strncmp(found + strlen(text), "0\",", 3) == 0);
        }
    }
    buffer_clear(&out);
    assert_false(old_write_depth(&market, AT_US, &from, &out));
    market_release(&market);
    buffer_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fills_come_in_one_message, set_up, tear_down),
        cmocka_unit_test(changes_are_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
