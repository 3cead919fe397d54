/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tick: every 5 ms so many steps of the markets as the rate says, each told to the venues at
 * once; then the grid, on which books are sent; then what connections owe to time.
 */
#include "sim/simulator.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/tls.h"
#include "sim/simulator_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define RATE_DEFAULT 200
#define SEED_DEFAULT 1
#define TICK_STEPS_MAX 5000 /* after a pause the markets do not catch up */
#define CATCH_UP_SLOTS 20
#define PHASES 20
#define MILLION 1000000
#define INFLATE_WAITING (4 * MEBIBYTE)

int64_t exchange_now_us(const struct exchange *exchange)
{
    return clock_wall_us() + exchange->clock_shift_us;
}

struct market *exchange_market(const struct exchange *exchange, struct slice native)
{
    for (size_t i = 0; i < exchange->market_count; i++)
        if (slice_is(native, exchange->markets[i].native))
            return &exchange->markets[i];
    return NULL;
}

/* ---- the markets move ---- */

static bool is_halted(struct simulator *simulator, const struct market *market)
{
    struct fault_scope scope = {
        .exchange = market->exchange, .market = market, .channel = -1, .connection = 0};
    return market->halted || faults_find(simulator->faults, FAULT_HALT, &scope) != NULL;
}

/* The venue whose ids the trades of the exchange have. */
static const struct venue *first_venue(const struct simulator *simulator,
                                       const struct exchange *exchange)
{
    for (size_t i = 0; i < simulator->run_count; i++)
        if (simulator->runs[i].public.exchange == exchange)
            return simulator->runs[i].public.venue;
    return NULL;
}

static void trades_make(const struct simulator *simulator, struct market *market,
                        const struct flow_events *events, struct trade *trades)
{
    const struct venue *venue = first_venue(simulator, market->exchange);
    int64_t now_us = exchange_now_us(market->exchange);
    for (size_t i = 0; i < events->trade_count; i++) {
        const struct flow_trade *fill = &events->trades[i];
        trades[i] = (struct trade){.index = market->truth.count + 1,
                                   .price = fill->price,
                                   .size = fill->size,
                                   .at_us = now_us,
                                   .buyer_takes = fill->buyer_takes};
        trades[i].id =
            venue->trade_id == NULL ? trades[i].index : venue->trade_id(market, &trades[i]);
        truth_add(&market->truth, &trades[i], market_value(market, fill->price, fill->size));
    }
}

static void market_move(struct simulator *simulator, struct market *market)
{
    struct flow_events events;
    struct trade trades[FLOW_TRADES_MAX];
    market_step(market, &events);
    trades_make(simulator, market, &events, trades);
    for (size_t i = 0; i < simulator->run_count; i++) {
        struct venue_run *run = &simulator->runs[i].public;
        if (run->exchange != market->exchange)
            continue;
        simulator->event++;
        if (events.trade_count > 0)
            run->venue->on_trades(run, market, trades, events.trade_count);
        simulator->event++;
        if (run->venue->on_change != NULL)
            run->venue->on_change(run, market);
    }
}

static void markets_move(struct simulator *simulator, int64_t passed_ns)
{
    int64_t passed_us = passed_ns / 1000;
    simulator->owed += passed_us * simulator->rate;
    if (simulator->owed > (int64_t)TICK_STEPS_MAX * MILLION)
        simulator->owed = (int64_t)TICK_STEPS_MAX * MILLION;
    for (; simulator->owed >= MILLION; simulator->owed -= MILLION) {
        int64_t lot = flow_random_below(&simulator->random, (int64_t)simulator->lot_count);
        struct market *market = simulator->lots[lot];
        if (!is_halted(simulator, market))
            market_move(simulator, market);
    }
}

/* ---- the grid ---- */

static void run_grid(struct run *run, uint64_t slot, size_t phase)
{
    struct venue_run *public = &run->public;
    if (phase == 0 && public->venue->on_turn != NULL)
    public->venue->on_turn(public, slot);
    for (size_t i = phase; i < public->exchange->market_count; i += PHASES) {
        run->simulator->event++;
        public->venue->on_grid(public, &public->exchange->markets[i], slot);
    }
}

/* A slot has PHASES parts, of one tick each. */
static void grid(struct simulator *simulator, int64_t now_ns)
{
    uint64_t part = (uint64_t)(now_ns - simulator->started_ns) / NS_PER_MS * PHASES / GRID_MS;
    if (part > simulator->slot + CATCH_UP_SLOTS * PHASES)
        simulator->slot = part - CATCH_UP_SLOTS * PHASES;
    for (; simulator->slot < part; simulator->slot++)
        for (size_t i = 0; i < simulator->run_count; i++)
            run_grid(&simulator->runs[i], simulator->slot / PHASES, simulator->slot % PHASES);
}

static void faults_work(struct simulator *simulator, int64_t now_ns)
{
    for (struct fault *fault = faults_next(simulator->faults, FAULT_GARBAGE, NULL); fault != NULL;
         fault = faults_next(simulator->faults, FAULT_GARBAGE, fault))
        connections_garbage(simulator, fault);
    for (size_t i = 0; i < simulator->run_count; i++) {
        struct run *run = &simulator->runs[i];
        if (run->state->leave_ns == 0 || now_ns < run->state->leave_ns)
            continue;
        for (struct venue_connection *next = venue_connection_next(&run->public, NULL);
             next != NULL; next = venue_connection_next(&run->public, next))
            if (connection_number(next) <= run->state->leave_last)
                connection_cut(next);
    }
    for (size_t i = 0; i < simulator->exchange_count; i++)
        if (now_ns >= simulator->exchanges[i].leave_ns)
            simulator->exchanges[i].leave_ns = 0;
}

static void on_tick(void *context)
{
    struct simulator *simulator = context;
    int64_t now_ns = clock_monotonic_ns();
    uint64_t slot = simulator->slot / PHASES;
    markets_move(simulator, now_ns - simulator->ticked_ns);
    simulator->ticked_ns = now_ns;
    grid(simulator, now_ns);
    faults_work(simulator, now_ns);
    for (size_t i = 0; i < simulator->run_count; i++)
        connections_tick(&simulator->runs[i], now_ns, simulator->slot / PHASES != slot);
}

/* ---- beginning and end ---- */

static void markets_create(struct exchange_state *state, const struct venue *venue,
                           const struct simulator_options *options)
{
    struct exchange *exchange = &state->exchange;
    size_t most = options->symbols == 0 ? market_default_count() : options->symbols;
    exchange->markets = memory_array(most, sizeof exchange->markets[0]);
    for (size_t coin = 0; exchange->market_count < most; coin++) {
        struct market *market = &exchange->markets[exchange->market_count];
        struct flow_options flow = {0};
        int64_t usd_e8 = 0;
        *market = (struct market){.exchange = exchange, .index = exchange->market_count};
        market_name(market, coin, &usd_e8);
        venue->describe(market, usd_e8, &flow);
        if (options->symbols == 0 && coin >= market_default_count())
            break;
        if (strcmp(market->base, market->quote) == 0)
            continue;
        uint64_t name = slice_hash(slice_of(market->native)) ^ slice_hash(slice_of(exchange->name));
        flow.seed = options->seed ^ name;
        market_init(market, &flow);
        exchange->market_count++;
    }
    buffer_init(&state->stats.headers, HEADERS_TEXT_MAX);
    state->visitors = memory_array(ADDRESSES_MAX, sizeof state->visitors[0]);
}

static struct exchange_state *exchange_find(struct simulator *simulator, const char *name)
{
    for (size_t i = 0; i < simulator->exchange_count; i++)
        if (strcmp(simulator->exchanges[i].exchange.name, name) == 0)
            return &simulator->exchanges[i];
    return NULL;
}

static void run_create(struct simulator *simulator, const struct venue *venue,
                       const struct simulator_options *options)
{
    assert(simulator->run_count < RUNS_MAX);
    struct run *run = &simulator->runs[simulator->run_count++];
    run->simulator = simulator;
    run->state = exchange_find(simulator, venue->exchange);
    run->public = (struct venue_run){.venue = venue, .limits = venue->limits, .generation = 1};
    if (run->state == NULL) {
        assert(simulator->exchange_count < EXCHANGES_MAX && venue->describe != NULL);
        run->state = &simulator->exchanges[simulator->exchange_count];
        run->state->exchange.index = simulator->exchange_count++;
        run->state->exchange.name = venue->exchange;
        run->public.generation = 0;
        markets_create(run->state, venue, options);
    }
    run->public.exchange = &run->state->exchange;
    run->public.simulator = simulator;
    run->public.random = options->seed + simulator->run_count;
    memcpy(run->public.groups, venue->groups, sizeof venue->groups);
    buffer_init(&run->public.scratch, LIMIT_EXCHANGE_MESSAGE);
    if (venue->run_size > 0)
        run->public.own = memory_alloc(venue->run_size);
    for (size_t i = 0; venue->market_size > 0 && i < run->public.exchange->market_count; i++)
        run->public.exchange->markets[i].own[run->public.generation] =
            memory_alloc(venue->market_size);
    if (venue->on_start != NULL)
        venue->on_start(&run->public);
}

static void lots_create(struct simulator *simulator)
{
    size_t count = 0;
    for (size_t i = 0; i < simulator->exchange_count; i++)
        for (size_t k = 0; k < simulator->exchanges[i].exchange.market_count; k++)
            count += simulator->exchanges[i].exchange.markets[k].weight;
    simulator->lots = memory_array(count, sizeof(void *));
    for (size_t i = 0; i < simulator->exchange_count; i++)
        for (size_t k = 0; k < simulator->exchanges[i].exchange.market_count; k++)
            for (uint32_t w = 0; w < simulator->exchanges[i].exchange.markets[k].weight; w++)
                simulator->lots[simulator->lot_count++] =
                    &simulator->exchanges[i].exchange.markets[k];
}

static int servers_open(struct simulator *simulator, const struct simulator_options *options,
                        struct err *err)
{
    struct tls_context *tls = NULL;
    int result = 0;
    if (options->tls_certificate != NULL)
        result = tls_context_create(options->tls_certificate, options->tls_key, NULL, &tls, err);
    for (size_t i = 0; result == 0 && i < options->listen_count; i++) {
        result = server_open(simulator->loop, options->listen[i], tls, &simulator->servers[i], err);
        if (result < 0)
            break;
        server_set_handler(simulator->servers[i], routes_handle, simulator);
        simulator->server_count++;
    }
    tls_context_destroy(tls);
    return result;
}

int simulator_open(struct loop *loop, const struct simulator_options *options,
                   struct simulator **ret_simulator, struct err *err)
{
    assert(options->listen_count > 0 && options->listen_count <= SIMULATOR_LISTENS_MAX);
    assert(options->rate <= SIMULATOR_RATE_MAX && options->symbols <= SIMULATOR_SYMBOLS_MAX);
    struct simulator *simulator = memory_alloc(sizeof *simulator);
    simulator->loop = loop;
    simulator->rate = options->rate == 0 ? RATE_DEFAULT : options->rate;
    simulator->random = options->seed;
    simulator->faults = faults_create();
    simulator->deflater = ws_deflater_create(1);
    simulator->inflater = ws_inflater_create(LIMIT_REQUEST, INFLATE_WAITING);
    simulator->timer = timer_create_on(loop, on_tick, simulator);
    buffer_init(&simulator->scratch, SERVER_ANSWER_MAX);
    for (size_t i = 0; venue_table[i] != NULL; i++)
        run_create(simulator, venue_table[i], options);
    lots_create(simulator);
    int result = 0;
    for (size_t i = 0; result == 0 && i < options->limit_count; i++)
        result = limits_set(simulator, options->limits[i], err);
    if (result == 0)
        result = servers_open(simulator, options, err);
    if (result < 0) {
        simulator_close(simulator);
        return result;
    }
    simulator->started_ns = simulator->ticked_ns = clock_monotonic_ns();
    timer_start(simulator->timer, TICK_MS, TICK_MS);
    *ret_simulator = simulator;
    return 0;
}

uint16_t simulator_port(const struct simulator *simulator)
{
    return simulator_port_of(simulator, 0);
}

uint16_t simulator_port_of(const struct simulator *simulator, size_t listen)
{
    assert(listen < simulator->server_count);
    return server_port(simulator->servers[listen]);
}

static void exchange_release(struct exchange_state *state)
{
    for (size_t i = 0; i < state->exchange.market_count; i++)
        market_release(&state->exchange.markets[i]);
    memory_free(state->exchange.markets);
    visitors_release(state);
    buffer_release(&state->stats.headers);
}

void simulator_close(struct simulator *simulator)
{
    if (simulator == NULL)
        return;
    for (size_t i = 0; i < simulator->server_count; i++)
        server_close(simulator->servers[i]);
    for (size_t i = 0; i < simulator->run_count; i++) {
        struct venue_run *run = &simulator->runs[i].public;
        connections_release(&simulator->runs[i]);
        if (run->venue->on_end != NULL)
            run->venue->on_end(run);
        buffer_release(&run->scratch);
        memory_free(run->own);
    }
    for (size_t i = 0; i < simulator->exchange_count; i++)
        exchange_release(&simulator->exchanges[i]);
    timer_destroy(simulator->timer);
    faults_destroy(simulator->faults);
    ws_deflater_destroy(simulator->deflater);
    ws_inflater_destroy(simulator->inflater);
    memory_free(simulator->lots);
    buffer_release(&simulator->scratch);
    memory_free(simulator);
}
