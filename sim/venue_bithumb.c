/* SPDX-License-Identifier: Apache-2.0 */
/* Bithumb's interface of the second generation: https://apidocs.bithumb.com (2.x) */
#include "sim/quotation_rest.h"

#define HOUR_US INT64_C(3600000000)
#define ORDER_USD 30   /* small enough for sizes that round to 0 */
#define ID_UNIT 600000 /* 19 digits */
#define BURST 150

static const char *const hosts[] = {"ws-api.bithumb.com", "api.bithumb.com", NULL};

static const struct quotation_style style = {
    .only_snapshot = {"isOnlySnapshot"},
    .only_realtime = {"isOnlyRealtime"},
    .units_max = 15,
    .book_decimals = 4,
    .zone_us = 9 * HOUR_US,
    .rest_ahead_us = 9 * HOUR_US,
    .id_unit = ID_UNIT,
    .level_default = 1,
    .book_time_us = true,
    .level_strict = true,
    .realtime_first = true,
    .repeats = true,
    .strays = true,
    .rest_errors_200 = true,
    .rest_by_time = true,
    .no_delisting = "\"\"",
    .no_type = QUOTATION_WRONG_FORMAT,
    .no_codes = QUOTATION_INVALID_PARAM,
};

static void describe(struct market *market, int64_t usd_e8, struct flow_options *ret_flow)
{
    quotation_describe(market, usd_e8, false, ORDER_USD, ret_flow);
}

static void on_start(struct venue_run *run)
{
    quotation_start(run, &style);
}

static uint64_t trade_id(struct market *market, const struct trade *trade)
{
    return quotation_trade_id(market->own[0], ID_UNIT, trade->at_us);
}

static void refusal(struct venue_run *run, unsigned status, struct buffer *body)
{
    (void)run;
    buffer_append_format(body, "{\"error\":{\"name\":%u,\"message\":\"%s\"}}", status,
                         status == 503 ? "Service Unavailable" : "Too many requests");
}

static bool rest(struct venue_run *run, const struct rest_request *request,
                 struct rest_answer *answer)
{
    enum quotation_group group = quotation_rest_group(&style, request->path);
    uint32_t used = 0;
    if (group == QUOTATION_GROUPS)
        return false;
    enum taken taken = venue_take(run, &request->address, group, 1, &used, NULL);
    uint32_t limit = run->groups[group].limit;
    buffer_append_format(answer->headers,
                         "x-ratelimit-remaining: %u\r\nx-ratelimit-burst-capacity: %u\r\n"
                         "x-ratelimit-replenish-rate: %u\r\n",
                         used < limit ? limit - used : 0, limit, limit);
    if (taken == TAKEN) {
        quotation_rest_answer(run, request, answer);
        return true;
    }
    answer->status = 429;
    refusal(run, answer->status, answer->body);
    return true;
}

const struct venue venue_bithumb = {
    .exchange = "bithumb",
    .name = "bithumb",
    .hosts = hosts,
    .limits = {.connects = 10,
               .connects_ms = 1000,
               .request_size = 64 * KIBIBYTE,
               .idle_ms = 60000},
    .groups = {{"market", BURST, 1000},
               {"orderbook", BURST, 1000},
               {"ticker", BURST, 1000},
               {"trades", BURST, 1000}},
    .binary = true,
    .deflate = true,
    .run_size = sizeof(struct quotation_run),
    .market_size = sizeof(struct quotation_market),
    .connection_size = sizeof(struct quotation_state),
    .describe = describe,
    .on_start = on_start,
    .trade_id = trade_id,
    .is_stream = quotation_is_stream,
    .on_open = quotation_on_open,
    .on_message = quotation_on_message,
    .on_closed = quotation_on_closed,
    .on_trades = quotation_on_trades,
    .on_change = quotation_on_change,
    .on_grid = quotation_on_grid,
    .on_turn = quotation_on_turn,
    .rest = rest,
    .refusal = refusal,
    .garbage_kinds = QUOTATION_GARBAGE_KINDS,
    .garbage = quotation_garbage,
};
