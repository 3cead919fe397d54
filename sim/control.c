/* SPDX-License-Identifier: Apache-2.0 */
/* /sim/: what was true, what was counted, and what shall go wrong. */
#include "sim/simulator_priv.h"

#include "base/clock.h"
#include "sim/write.h"

#include <errno.h>
#include <stdio.h>

#define JSON "application/json"
#define NAME_MAX_SIZE 64
#define LEVELS_ALL 0
#define US_PER_MS 1000

static const char *const broken_names[BROKEN_COUNT] = {
    [BROKEN_CONNECTS] = "connects", [BROKEN_MESSAGES] = "messages", [BROKEN_PONG] = "pong",
    [BROKEN_IDLE] = "idle",         [BROKEN_STREAMS] = "streams",   [BROKEN_WEIGHT] = "weight",
    [BROKEN_ORIGIN] = "origin",     [BROKEN_BANNED] = "banned",
};

static void answer_problem(struct server_connection *connection, unsigned status, const char *text)
{
    struct buffer body;
    buffer_init(&body, LIMIT_LOG_LINE);
    buffer_append_format(&body,
                         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"detail\":",
                         http_status_text(status), status);
    write_text(&body, slice_of(text));
    buffer_append_text(&body, "}");
    server_answer(connection, status, "application/problem+json", (struct slice){0},
                  buffer_slice(&body));
    buffer_release(&body);
}

static struct exchange *find_exchange(void *context, struct slice name)
{
    struct simulator *simulator = context;
    for (size_t i = 0; i < simulator->exchange_count; i++)
        if (slice_is(name, simulator->exchanges[i].exchange.name))
            return &simulator->exchanges[i].exchange;
    return NULL;
}

/* ---- truth ---- */

static void trade_write(const struct market *market, const struct trade *trade, struct buffer *out)
{
    buffer_append_format(out, "[\"%llu\",\"", (unsigned long long)trade->id);
    write_plain(out, market_price(market, trade->price), market->price_scale);
    buffer_append_text(out, "\",\"");
    write_plain(out, trade->size, market->size_scale);
    buffer_append_format(out, "\",\"%s\",%lld]", trade->buyer_takes ? "buy" : "sell",
                         (long long)trade->at_us);
}

static void side_write(const struct market *market, enum flow_side side, struct buffer *out)
{
    const struct flow_levels *levels = &market->flow.sides[side];
    buffer_append_text(out, "[");
    for (size_t i = 0; i < levels->count; i++) {
        buffer_append_text(out, i == 0 ? "[\"" : ",[\"");
        write_plain(out, market_price(market, levels->items[i].price), market->price_scale);
        buffer_append_text(out, "\",\"");
        write_plain(out, levels->items[i].size, market->size_scale);
        buffer_append_text(out, "\"]");
    }
    buffer_append_text(out, "]");
}

static uint32_t side_checksum(const struct market *market, enum flow_side side, uint32_t crc)
{
    const struct flow_levels *levels = &market->flow.sides[side];
    struct buffer text;
    buffer_init(&text, LIMIT_RECORD);
    for (size_t i = 0; i < levels->count; i++) {
        buffer_append_text(&text, i == 0 ? "" : "|");
        write_plain(&text, market_price(market, levels->items[i].price), market->price_scale);
        buffer_append_text(&text, ":");
        write_plain(&text, levels->items[i].size, market->size_scale);
    }
    crc = write_crc32(crc, buffer_slice(&text));
    buffer_release(&text);
    return crc;
}

static uint32_t checksum(const struct market *market)
{
    uint32_t crc = side_checksum(market, FLOW_BID, 0);
    crc = write_crc32(crc, SLICE("#"));
    return side_checksum(market, FLOW_ASK, crc);
}

static void truth_write(struct simulator *simulator, const struct market *market, uint64_t after,
                        struct buffer *out)
{
    const struct truth *truth = &market->truth;
    uint64_t index = truth_first(truth);
    if (after >= index)
        index = after + 1;
    struct fault_scope scope = {.exchange = market->exchange, .market = market, .channel = -1};
    bool halted = market->halted || faults_find(simulator->faults, FAULT_HALT, &scope) != NULL;
    buffer_append_text(out, "{\"trades\":[");
    for (bool first = true; index <= truth->count; index++, first = false) {
        buffer_append_text(out, first ? "" : ",");
        trade_write(market, truth_trade(truth, index), out);
    }
    buffer_append_format(out,
                         "],\"count\":%llu,\"first\":%llu,\"halted\":%s,\"update_id\":%lld,"
                         "\"book\":{\"bids\":",
                         (unsigned long long)truth->count, (unsigned long long)truth_first(truth),
                         halted ? "true" : "false", (long long)market->flow.update_id);
    side_write(market, FLOW_BID, out);
    buffer_append_text(out, ",\"asks\":");
    side_write(market, FLOW_ASK, out);
    buffer_append_format(out, ",\"checksum\":%u}}", checksum(market));
}

static void answer_truth(struct simulator *simulator, struct server_connection *connection,
                         struct slice query)
{
    char name[NAME_MAX_SIZE] = "", symbol[NAME_MAX_SIZE] = "", after[NAME_MAX_SIZE] = "";
    bool there;
    uint64_t index = 0;
    struct market *market = NULL;
    bool good = http_query_find(query, "exchange", name, sizeof name, &there);
    good = http_query_find(query, "symbol", symbol, sizeof symbol, &there) && good;
    struct exchange *exchange = find_exchange(simulator, slice_of(name));
    for (size_t i = 0; good && exchange != NULL && i < exchange->market_count; i++)
        if (strcmp(exchange->markets[i].symbol, symbol) == 0)
            market = &exchange->markets[i];
    if (market == NULL) {
        answer_problem(connection, 400, "`exchange` and `symbol` name no market; see /sim/markets");
        return;
    }
    if (http_query_find(query, "after", after, sizeof after, &there) &&
        !slice_to_uint64(slice_of(after), UINT64_MAX / 2, &index)) {
        answer_problem(connection, 400, "`after` is the count of trades that you have already");
        return;
    }
    truth_write(simulator, market, index, &simulator->scratch);
    server_answer(connection, 200, JSON, (struct slice){0}, buffer_slice(&simulator->scratch));
}

/* ---- stats and markets ---- */

static void addresses_write(const struct exchange_state *state, struct buffer *out)
{
    char address[ADDRESS_TEXT];
    buffer_append_text(out, "{");
    for (size_t i = 0; i < state->visitor_count; i++) {
        address_write(&state->visitors[i].address, address);
        buffer_append_format(out, "%s\"%s\":%llu", i == 0 ? "" : ",", address,
                             (unsigned long long)state->visitors[i].connects);
    }
    buffer_append_text(out, "}");
}

static void exchange_write(const struct simulator *simulator, const struct exchange_state *state,
                           struct buffer *out)
{
    const struct exchange_stats *stats = &state->stats;
    size_t connections = 0;
    for (size_t i = 0; i < simulator->run_count; i++)
        if (simulator->runs[i].state == state)
            for (struct venue_connection *next =
                     venue_connection_next(&simulator->runs[i].public, NULL);
                 next != NULL; next = venue_connection_next(&simulator->runs[i].public, next))
                connections++;
    buffer_append_format(out, "\"%s\":{\"connections\":%zu,\"connects\":%llu,",
                         state->exchange.name, connections, (unsigned long long)stats->connects);
    uint64_t requests = stats->messages_in + stats->rest_requests;
    buffer_append_text(out, "\"connects_total_by_address\":");
    addresses_write(state, out);
    buffer_append_format(
        out,
        ",\"requests\":%llu,\"messages_in\":%llu,\"messages_out\":%llu,\"rest_requests\":%llu,"
        "\"requests_bad\":%llu,\"lifetime_cuts\":%llu,\"cut_for_not_reading\":%llu,"
        "\"limits_broken\":{",
        (unsigned long long)requests, (unsigned long long)stats->messages_in,
        (unsigned long long)stats->messages_out, (unsigned long long)stats->rest_requests,
        (unsigned long long)stats->requests_bad, (unsigned long long)stats->lifetime_cuts,
        (unsigned long long)stats->dropped_slow);
    for (size_t i = 0; i < BROKEN_COUNT; i++)
        buffer_append_format(out, "%s\"%s\":%llu", i == 0 ? "" : ",", broken_names[i],
                             (unsigned long long)stats->broken[i]);
    buffer_append_text(out, "},\"headers_last_handshake\":");
    buffer_append_text(out, stats->headers.size == 0 ? "{}" : stats->headers.data);
    buffer_append_text(out, "}");
}

static void stats_write(const struct simulator *simulator, struct buffer *out)
{
    buffer_append_text(out, "{\"venues\":{");
    for (size_t i = 0; i < simulator->exchange_count; i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        exchange_write(simulator, &simulator->exchanges[i], out);
    }
    int64_t up_ms = (clock_monotonic_ns() - simulator->started_ns) / NS_PER_MS;
    buffer_append_format(out, "},\"limits_broken_total\":%llu,\"uptime_ms\":%lld}",
                         (unsigned long long)simulator_limits_broken(simulator), (long long)up_ms);
}

static void markets_write(const struct simulator *simulator, struct buffer *out)
{
    buffer_append_text(out, "{");
    for (size_t i = 0; i < simulator->exchange_count; i++) {
        const struct exchange *exchange = &simulator->exchanges[i].exchange;
        buffer_append_format(out, "%s\"%s\":[", i == 0 ? "" : ",", exchange->name);
        for (size_t k = 0; k < exchange->market_count; k++)
            buffer_append_format(out, "%s{\"symbol\":\"%s\",\"native\":\"%s\",\"trading\":%s}",
                                 k == 0 ? "" : ",", exchange->markets[k].symbol,
                                 exchange->markets[k].native,
                                 exchange->markets[k].halted ? "false" : "true");
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "}");
}

/* ---- faults ---- */

static void end_all(struct run *run, uint16_t code)
{
    for (struct venue_connection *next = venue_connection_next(&run->public, NULL); next != NULL;
         next = venue_connection_next(&run->public, next)) {
        if (code == 0)
            connection_cut(next);
        else
            venue_connection_close(next, code, NULL, 0);
    }
}

static void run_begin(struct run *run, const struct fault *fault)
{
    if (fault->kind == FAULT_DISCONNECT || fault->kind == FAULT_BAN)
        end_all(run, fault->kind == FAULT_BAN ? 0 : fault->code);
    if (fault->kind == FAULT_MAINTENANCE)
        end_all(run, 1001);
    if (fault->kind == FAULT_LEAVING) {
        if (run->public.venue->leaving != NULL)
            run->public.venue->leaving(&run->public);
        run->state->leave_ns = clock_monotonic_ns() + (int64_t)fault->ms * NS_PER_MS;
        run->state->leave_last = run->simulator->connection_last;
    }
}

/* What a fault does at once. */
static void fault_begin(struct simulator *simulator, struct fault *fault)
{
    if (fault->connections == FAULT_OLD)
        fault->connection = simulator->connection_last;
    if (fault->kind == FAULT_CLOCK) {
        for (struct fault *old = faults_next(simulator->faults, FAULT_CLOCK, NULL); old != NULL;
             old = faults_next(simulator->faults, FAULT_CLOCK, old))
            if (old != fault && old->exchange == fault->exchange)
                fault_end(old);
        fault->exchange->clock_shift_us = fault->shift_us;
    }
    for (size_t i = 0; i < simulator->run_count; i++)
        if (simulator->runs[i].public.exchange == fault->exchange)
            run_begin(&simulator->runs[i], fault);
}

static void answer_fault(struct simulator *simulator, struct server_connection *connection,
                         const struct server_request *request)
{
    struct fault wanted;
    struct err err;
    if (fault_read(request->body, find_exchange, simulator, &wanted, &err) < 0) {
        answer_problem(connection, 400, err.text);
        return;
    }
    struct fault *fault = faults_add(simulator->faults, &wanted);
    if (fault == NULL) {
        answer_problem(connection, 503, "too many faults are going on");
        return;
    }
    fault_begin(simulator, fault);
    buffer_clear(&simulator->scratch);
    fault_write(fault, &simulator->scratch);
    server_answer(connection, 200, JSON, (struct slice){0}, buffer_slice(&simulator->scratch));
}

void control_handle(struct simulator *simulator, struct server_connection *connection,
                    const struct server_request *request, struct slice path)
{
    struct buffer *out = &simulator->scratch;
    bool get = slice_is(request->head->method, "GET") || slice_is(request->head->method, "HEAD");
    buffer_clear(out);
    if (!get && http_header_find(request->head, "Origin").data != NULL) {
        answer_problem(connection, 403, "pages of browsers make no faults here");
        return;
    }
    if (slice_is(path, "/sim/fault") && slice_is(request->head->method, "POST")) {
        answer_fault(simulator, connection, request);
        return;
    }
    if (get && slice_is(path, "/sim/truth")) {
        answer_truth(simulator, connection, request->head->query);
        return;
    }
    if (get && slice_is(path, "/sim/fault"))
        faults_write(simulator->faults, out);
    else if (get && slice_is(path, "/sim/stats"))
        stats_write(simulator, out);
    else if (get && slice_is(path, "/sim/markets"))
        markets_write(simulator, out);
    else {
        answer_problem(connection, 404,
                       "there are GET /sim/truth, /sim/stats, /sim/markets, /sim/fault and "
                       "POST /sim/fault; docs/simulator.md");
        return;
    }
    server_answer(connection, 200, JSON, (struct slice){0}, buffer_slice(out));
}
