/* SPDX-License-Identifier: Apache-2.0 */
/* Upbit's quotation interface: https://docs.upbit.com/kr/reference/websocket-guide */
#include "base/clock.h"
#include "sim/quotation_rest.h"

#define US_PER_SECOND 1000000
#define ORIGIN_US (10 * US_PER_SECOND)
#define CONNECTS 5
#define ORDER_USD 150
#define ID_UNIT 1000 /* 16 digits */

static const char *const hosts[] = {"api.upbit.com", NULL};

static const struct quotation_style style = {
    .only_snapshot = {"is_only_snapshot", "isOnlySnapshot"},
    .only_realtime = {"is_only_realtime", "isOnlyRealtime"},
    .units_max = 30,
    .unit_counts = {1, 5, 15, 30},
    .book_decimals = 8,
    .id_unit = ID_UNIT,
    .level_default = 0,
    .spellings = true,
    .best = true,
    .lists = true,
    .candles = true,
    .format_strict = true,
    .no_delisting = "null",
    .no_type = QUOTATION_NO_TYPE,
    .no_codes = QUOTATION_NO_CODES,
};

static void describe(struct market *market, int64_t usd_e8, struct flow_options *ret_flow)
{
    quotation_describe(market, usd_e8, true, ORDER_USD, ret_flow);
}

static void on_start(struct venue_run *run)
{
    quotation_start(run, &style);
}

static uint64_t trade_id(struct market *market, const struct trade *trade)
{
    return quotation_trade_id(market->own[0], ID_UNIT, trade->at_us);
}

/* A request with an Origin: one in ten seconds from an address. */
static bool origin_refused(struct venue_run *run, const struct rest_request *request)
{
    if (http_header_find(request->head, "Origin").data == NULL)
        return false;
    struct quotation_caller *caller = quotation_caller(run, &request->address);
    int64_t now_us = clock_wall_us();
    if (caller->origin_us != 0 && now_us - caller->origin_us < ORIGIN_US) {
        venue_broken(run, BROKEN_ORIGIN);
        return true;
    }
    caller->origin_us = now_us;
    return false;
}

static void refuse(unsigned status, struct rest_answer *answer)
{
    answer->status = status;
    buffer_clear(answer->body);
    buffer_append_text(answer->body, "{\"error\":{\"name\":\"too_many_requests\",\"message\":"
                                     "\"Too many API requests.\"}}");
}

static bool admit(struct venue_run *run, const struct rest_request *request, enum broken broken,
                  struct rest_answer *answer)
{
    struct quotation_caller *caller = quotation_caller(run, &request->address);
    unsigned left = quotation_connects_left(caller, CONNECTS);
    buffer_append_format(answer->headers,
                         "Remaining-Req: group=websocket; min=300; sec=%u\r\nLimit-By-Ip: Yes\r\n",
                         left);
    if (broken == BROKEN_COUNT && !origin_refused(run, request))
        return true;
    refuse(429, answer);
    return false;
}

static void refusal(struct venue_run *run, unsigned status, struct buffer *body)
{
    (void)run;
    if (status == 418)
        buffer_append_text(body, "{\"error\":{\"name\":\"ip_blocked\",\"message\":\"This IP has "
                                 "been blocked for exceeding the request limit.\"}}");
    else if (status == 429)
        buffer_append_text(body, "{\"error\":{\"name\":\"too_many_requests\",\"message\":"
                                 "\"Too many API requests.\"}}");
    else
        buffer_append_text(body, "{\"error\":{\"name\":\"server_maintenance\",\"message\":"
                                 "\"The server is under maintenance.\"}}");
}

static void blocked(uint32_t retry_s, struct rest_answer *answer)
{
    answer->status = 418;
    buffer_append_format(answer->body,
                         "{\"error\":{\"name\":\"ip_blocked\",\"message\":\"This IP has been "
                         "blocked for %u seconds.\"}}",
                         retry_s);
}

static bool rest(struct venue_run *run, const struct rest_request *request,
                 struct rest_answer *answer)
{
    enum quotation_group group = quotation_rest_group(&style, request->path);
    uint32_t used = 0, retry_s = 0;
    if (group == QUOTATION_GROUPS)
        return false;
    if (origin_refused(run, request)) {
        refuse(429, answer);
        return true;
    }
    enum taken taken = venue_take(run, &request->address, group, 1, &used, &retry_s);
    uint32_t limit = run->groups[group].limit;
    buffer_append_format(answer->headers, "Remaining-Req: group=%s; min=600; sec=%u\r\n",
                         run->groups[group].name, used < limit ? limit - used : 0);
    switch (taken) {
    case TAKEN:
        quotation_rest_answer(run, request, answer);
        break;
    case TAKEN_LIMITED:
        refuse(429, answer);
        break;
    case TAKEN_BANNED:
        blocked(retry_s, answer);
        break;
    }
    return true;
}

const struct venue venue_upbit = {
    .exchange = "upbit",
    .name = "upbit",
    .hosts = hosts,
    .limits = {.connects = CONNECTS,
               .connects_ms = 1000,
               .messages = 5,
               .messages_ms = 1000,
               .messages_minute = 100,
               .request_size = 64 * KIBIBYTE,
               .idle_ms = 60500},
    .groups = {{"market", 10, 1000},
               {"orderbook", 10, 1000},
               {"ticker", 10, 1000},
               {"trades", 10, 1000}},
    .binary = true,
    .deflate = true,
    .run_size = sizeof(struct quotation_run),
    .market_size = sizeof(struct quotation_market),
    .connection_size = sizeof(struct quotation_state),
    .describe = describe,
    .on_start = on_start,
    .trade_id = trade_id,
    .is_stream = quotation_is_stream,
    .admit = admit,
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
