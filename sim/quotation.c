/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the quotation venues: what they asked for, and when they get it. */
#include "sim/quotation.h"
#include "base/clock.h"
#include "base/memory.h"
#include "sim/quotation_message.h"
#include "sim/quotation_request.h"
#include "sim/write.h"

#define US_PER_SECOND 1000000
#define US_PER_MS 1000
#define ERROR_CLOSE_MS 150
#define UP_SLOTS 100    /* 10 s */
#define SECOND_SLOTS 10 /* candles */
#define SLOW_SLOTS 3    /* books of markets in other quotes than KRW come so much less often */
#define STRAYS_MAX 2    /* frames of the old subscription */
#define TURN_ONE_IN 16  /* messages that begin with another field than usual */
#define FIRST_ONE_IN 4  /* snapshots with a REALTIME before them */
#define REPEAT_PERCENT 40
#define ID_FRAME_MS 64            /* ids are mixed within */
#define ID_MIXER INT64_C(9999991) /* a prime that no id_unit * ID_FRAME_MS is a multiple of */

static int64_t random_below_of(struct venue_run *run, int64_t bound)
{
    return flow_random_below(&run->random, bound);
}

/* ---- messages ---- */

static struct quotation_view view_of(struct venue_run *run, const struct market *market)
{
    const struct quotation_market *own = market_own(run, market);
    bool turned = random_below_of(run, TURN_ONE_IN) == 0;
    return (struct quotation_view){
        .style = quotation_style_of(run),
        .market = market,
        .spelling = (unsigned)random_below_of(run, 8),
        .turn = turned ? (unsigned)random_below_of(run, 12) : 0,
        .units = quotation_style_of(run)->units_max,
        .level = 1,
        .now_us = exchange_now_us(run->exchange),
        .book_us = own->book_us,
    };
}

typedef void write_fn(const struct quotation_view *view, struct buffer *out);

/* Writes the message into the scratch, unless it is there already (`last` is what is there). */
static struct slice message_of(struct venue_run *run, const struct quotation_view *view,
                               struct quotation_view *last, write_fn *write)
{
    bool same = last->style != NULL && last->format == view->format && last->units == view->units &&
                last->level == view->level;
    if (!same) {
        buffer_clear(&run->scratch);
        write(view, &run->scratch);
        *last = *view;
    }
    return buffer_slice(&run->scratch);
}

/* To all connections that want this stream of the market, in the form that each wants. */
static void broadcast(struct venue_run *run, struct quotation_view *view, unsigned stream,
                      enum channel channel, write_fn *write)
{
    struct quotation_view last = {0};
    const struct market *market = view->market;
    for (struct venue_connection *connection = venue_connection_next(run, NULL); connection != NULL;
         connection = venue_connection_next(run, connection)) {
        const struct quotation_state *state = venue_connection_own(connection);
        if (state->now.wishes == NULL || (state->now.wishes[market->index].live & stream) == 0)
            continue;
        view->format = state->now.format;
        if (stream == QUOTATION_BOOK) {
            view->units = state->now.wishes[market->index].units;
            view->level = state->now.wishes[market->index].level;
        }
        venue_connection_send(connection, market, channel, message_of(run, view, &last, write));
    }
}

/* ---- snapshots ---- */

static void send_one(struct venue_connection *connection, const struct quotation_view *view,
                     enum channel channel, write_fn *write)
{
    struct venue_run *run = venue_connection_run(connection);
    buffer_clear(&run->scratch);
    write(view, &run->scratch);
    venue_connection_send(connection, view->market, channel, buffer_slice(&run->scratch));
}

static void book_snapshot_send(struct venue_connection *connection, struct quotation_view *view,
                               const struct quotation_wish *wish)
{
    struct venue_run *run = venue_connection_run(connection);
    view->units = wish->units;
    view->level = wish->level;
    bool live = (wish->live & QUOTATION_BOOK) != 0;
    if (live && view->style->realtime_first && random_below_of(run, FIRST_ONE_IN) == 0) {
        view->snapshot = false;
        send_one(connection, view, CHANNEL_BOOK, quotation_write_book);
        view->snapshot = true;
    }
    send_one(connection, view, CHANNEL_BOOK, quotation_write_book);
}

static void candle_snapshots_send(struct venue_connection *connection, struct quotation_view *view,
                                  const struct quotation_wish *wish)
{
    const struct quotation_market *own = market_own(venue_connection_run(connection), view->market);
    for (unsigned i = 0; i < QUOTATION_CANDLES; i++) {
        if ((wish->once & (unsigned)QUOTATION_CANDLE << i) == 0 || own->candles[i].start_us == 0)
            continue;
        view->candle = &own->candles[i];
        view->candle_index = i;
        send_one(connection, view, CHANNEL_OTHER, quotation_write_candle);
    }
    view->candle = NULL;
}

static void market_snapshot_send(struct venue_connection *connection, const struct market *market,
                                 const struct quotation_subscription *subscription)
{
    const struct quotation_wish *wish = &subscription->wishes[market->index];
    struct quotation_view view = view_of(venue_connection_run(connection), market);
    view.snapshot = true;
    view.format = subscription->format;
    if ((wish->once & QUOTATION_TICKER) != 0)
        send_one(connection, &view, CHANNEL_TICKER, quotation_write_ticker);
    if ((wish->once & QUOTATION_BOOK) != 0)
        book_snapshot_send(connection, &view, wish);
    candle_snapshots_send(connection, &view, wish);
    view.trade = truth_trade(&market->truth, market->truth.count);
    if ((wish->once & QUOTATION_TRADE) != 0 && view.trade != NULL)
        send_one(connection, &view, CHANNEL_TRADE, quotation_write_trade);
}

static void strays_send(struct venue_connection *connection,
                        const struct quotation_subscription *old,
                        const struct quotation_subscription *now)
{
    struct venue_run *run = venue_connection_run(connection);
    size_t left = (size_t)random_below_of(run, STRAYS_MAX + 1);
    for (size_t i = 0; old->wishes != NULL && left > 0 && i < run->exchange->market_count; i++) {
        if ((old->wishes[i].live & QUOTATION_BOOK) == 0 ||
            (now->wishes[i].live & QUOTATION_BOOK) != 0)
            continue;
        struct quotation_view view = view_of(run, &run->exchange->markets[i]);
        view.format = old->format;
        view.units = old->wishes[i].units;
        view.level = old->wishes[i].level;
        send_one(connection, &view, CHANNEL_BOOK, quotation_write_book);
        left--;
    }
}

/* ---- requests ---- */

static void error_send(struct venue_connection *connection, enum quotation_error error)
{
    struct venue_run *run = venue_connection_run(connection);
    buffer_clear(&run->scratch);
    quotation_error_write(error, random_below_of(run, 2) == 0, &run->scratch);
    venue_bad_request(run);
    venue_connection_answer(connection, buffer_slice(&run->scratch), true, 0);
    venue_connection_close(connection, 1000, NULL, ERROR_CLOSE_MS);
}

static void list_send(struct venue_connection *connection, struct quotation_request *request)
{
    struct venue_run *run = venue_connection_run(connection);
    struct quotation_state *state = venue_connection_own(connection);
    if (request->has_format)
        state->now.format = request->subscription.format;
    buffer_clear(&run->scratch);
    quotation_list_write(&state->now, request->ticket, &run->scratch);
    venue_connection_answer(connection, buffer_slice(&run->scratch), true, 0);
    quotation_subscription_release(&request->subscription);
}

static void subscription_replace(struct venue_connection *connection,
                                 struct quotation_subscription *subscription)
{
    struct venue_run *run = venue_connection_run(connection);
    struct quotation_state *state = venue_connection_own(connection);
    struct quotation_subscription old = state->now;
    state->now = *subscription;
    venue_connection_streams(connection, subscription->streams);
    if (quotation_style_of(run)->strays)
        strays_send(connection, &old, subscription);
    quotation_subscription_release(&old);
    for (size_t i = 0; i < run->exchange->market_count; i++)
        if (state->now.wishes[i].once != 0)
            market_snapshot_send(connection, &run->exchange->markets[i], &state->now);
}

void quotation_on_message(struct venue_connection *connection, struct slice text)
{
    struct venue_run *run = venue_connection_run(connection);
    struct quotation_state *state = venue_connection_own(connection);
    struct quotation_request request;
    if (slice_is(text, "PING")) {
        state->pinged = true;
        state->ping_slot = ((const struct quotation_run *)run->own)->slot;
        return;
    }
    enum quotation_error error =
        quotation_request_read(quotation_style_of(run), run->exchange, text, &request);
    if (error != QUOTATION_GOOD)
        error_send(connection, error);
    else if (request.list)
        list_send(connection, &request);
    else
        subscription_replace(connection, &request.subscription);
}

void quotation_on_open(struct venue_connection *connection, struct slice path, struct slice query)
{
    (void)connection;
    (void)path;
    (void)query;
}

void quotation_on_closed(struct venue_connection *connection)
{
    struct quotation_state *state = venue_connection_own(connection);
    quotation_subscription_release(&state->now);
}

bool quotation_is_stream(struct slice path)
{
    return slice_is(path, "/websocket/v1");
}

/* ---- what happens on the markets ---- */

void quotation_start(struct venue_run *run, const struct quotation_style *style)
{
    struct quotation_run *own = run->own;
    own->style = style;
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        struct quotation_market *market = market_own(run, &run->exchange->markets[i]);
        market->book_us = exchange_now_us(run->exchange);
        market->seen_id = run->exchange->markets[i].flow.update_id;
        market->sent_id = market->seen_id;
    }
}

static void candle_add(struct quotation_candle *candle, int64_t seconds, const struct trade *trade,
                       int64_t value)
{
    int64_t start_us = trade->at_us - trade->at_us % (seconds * US_PER_SECOND);
    if (start_us != candle->start_us)
        *candle = (struct quotation_candle){
            .start_us = start_us, .open = trade->price, .high = trade->price, .low = trade->price};
    candle->high = trade->price > candle->high ? trade->price : candle->high;
    candle->low = trade->price < candle->low ? trade->price : candle->low;
    candle->close = trade->price;
    candle->volume += trade->size;
    candle->value += value;
    candle->at_us = trade->at_us;
    candle->changed = true;
}

void quotation_on_trades(struct venue_run *run, struct market *market, const struct trade *trades,
                         size_t count)
{
    struct quotation_market *own = market_own(run, market);
    struct quotation_view view = view_of(run, market);
    for (size_t i = 0; i < count; i++) {
        int64_t value = market_value(market, trades[i].price, trades[i].size);
        for (unsigned k = 0; k < QUOTATION_CANDLES; k++)
            candle_add(&own->candles[k], quotation_candle_seconds(k), &trades[i], value);
        view.trade = &trades[i];
        view.spelling++;
        broadcast(run, &view, QUOTATION_TRADE, CHANNEL_TRADE, quotation_write_trade);
    }
    view.trade = NULL;
    broadcast(run, &view, QUOTATION_TICKER, CHANNEL_TICKER, quotation_write_ticker);
}

void quotation_on_change(struct venue_run *run, struct market *market)
{
    struct quotation_market *own = market_own(run, market);
    if (own->seen_id == market->flow.update_id)
        return;
    own->seen_id = market->flow.update_id;
    own->book_us = exchange_now_us(run->exchange);
}

static void candles_send(struct venue_run *run, struct market *market)
{
    struct quotation_market *own = market_own(run, market);
    struct quotation_view view = view_of(run, market);
    for (unsigned i = 0; i < QUOTATION_CANDLES; i++) {
        if (!own->candles[i].changed)
            continue;
        own->candles[i].changed = false;
        view.candle = &own->candles[i];
        view.candle_index = i;
        broadcast(run, &view, (unsigned)QUOTATION_CANDLE << i, CHANNEL_OTHER,
                  quotation_write_candle);
    }
}

void quotation_on_grid(struct venue_run *run, struct market *market, uint64_t slot)
{
    struct quotation_market *own = market_own(run, market);
    if (quotation_style_of(run)->candles && slot % SECOND_SLOTS == 0)
        candles_send(run, market);
    bool slow = !slice_is(slice_of(market->quote), "KRW");
    if (own->sent_id == own->seen_id || (slow && slot % SLOW_SLOTS != 0))
        return;
    own->sent_id = own->seen_id;
    struct quotation_view view = view_of(run, market);
    broadcast(run, &view, QUOTATION_BOOK, CHANNEL_BOOK, quotation_write_book);
    if (quotation_style_of(run)->repeats && random_below_of(run, 100) < REPEAT_PERCENT)
        broadcast(run, &view, QUOTATION_BOOK, CHANNEL_BOOK, quotation_write_book);
}

void quotation_on_turn(struct venue_run *run, uint64_t slot)
{
    struct quotation_run *own = run->own;
    own->slot = slot;
    for (struct venue_connection *connection = venue_connection_next(run, NULL); connection != NULL;
         connection = venue_connection_next(run, connection)) {
        const struct quotation_state *state = venue_connection_own(connection);
        if (state->pinged && slot > state->ping_slot && (slot - state->ping_slot) % UP_SLOTS == 0)
            venue_connection_answer(connection, SLICE("{\"status\":\"UP\"}"), true, 0);
    }
}

/* ---- ids and callers ---- */

uint64_t quotation_trade_id(struct quotation_market *own, int64_t unit, int64_t at_us)
{
    int64_t frame = at_us / (US_PER_MS * ID_FRAME_MS);
    int64_t size = unit * ID_FRAME_MS;
    if (frame > own->id_frame) {
        own->id_frame = frame;
        own->id_count = 0;
    } else if (own->id_count == size) { /* a clock that was set back for long */
        own->id_frame++;
        own->id_count = 0;
    }
    int64_t place = (own->id_count++ * ID_MIXER + own->id_frame % size) % size;
    return (uint64_t)(own->id_frame * size + place);
}

struct quotation_caller *quotation_caller(struct venue_run *run, const struct address *address)
{
    struct quotation_run *own = run->own;
    struct quotation_caller *oldest = &own->callers[0];
    for (size_t i = 0; i < QUOTATION_ADDRESSES; i++) {
        struct quotation_caller *caller = &own->callers[i];
        if (caller->last_used_us != 0 && address_equal(&caller->address, address)) {
            caller->last_used_us = clock_wall_us();
            return caller;
        }
        if (caller->last_used_us < oldest->last_used_us)
            oldest = caller;
    }
    *oldest = (struct quotation_caller){.address = *address, .last_used_us = clock_wall_us()};
    return oldest;
}

unsigned quotation_connects_left(struct quotation_caller *caller, unsigned limit)
{
    int64_t second = clock_monotonic_ns() / INT64_C(1000000000);
    if (caller->second != second)
        caller->connects = 0;
    caller->second = second;
    caller->connects++;
    return caller->connects < limit ? limit - caller->connects : 0;
}
