/* SPDX-License-Identifier: Apache-2.0 */
/* A sorted array of what waits: holes are small and rare. */
#include "feed/trade_order.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/slice.h"

#include <assert.h>
#include <string.h>

#define NS_PER_MS 1000000

struct waiting_trade {
    uint64_t number;
    int64_t arrived_ns;
    struct event event; /* its id points at what follows */
    char id[LIMIT_TRADE_ID];
};

struct waiting_trades {
    uint32_t count;
    struct waiting_trade trade[TRADE_ORDER_WAITING]; /* by number */
};

static void take(struct trade_order *order, const struct trade_order_taker *taker,
                 const struct event *event, uint64_t number)
{
    if (number > order->last) {
        order->last = number;
        order->last_us = event->exchange_us;
    }
    taker->callbacks->take(taker->context, event);
}

/* Gives the first `count` that wait. */
static void take_waiting(struct trade_order *order, const struct trade_order_taker *taker,
                         uint32_t count)
{
    struct waiting_trades *waiting = order->waiting;
    for (uint32_t i = 0; i < count; i++) {
        struct waiting_trade *trade = &waiting->trade[i];
        trade->event.trade.id.data = trade->id; /* the array may have moved since */
        take(order, taker, &trade->event, trade->number);
    }
    waiting->count -= count;
    memmove(waiting->trade, waiting->trade + count, waiting->count * sizeof *waiting->trade);
    if (waiting->count > 0) { /* the next hole is as old as what shows it */
        order->since_ns = waiting->trade[0].arrived_ns;
        return;
    }
    memory_free(waiting);
    order->waiting = NULL;
}

/* What now follows without a hole. */
static void take_following(struct trade_order *order, const struct trade_order_taker *taker)
{
    uint32_t count = 0;
    if (order->waiting == NULL)
        return;
    while (count < order->waiting->count &&
           order->waiting->trade[count].number <= order->last + 1 + count)
        count++;
    if (count == 0)
        return;
    take_waiting(order, taker, count);
}

static void declare(struct trade_order *order, const struct trade_order_taker *taker)
{
    const struct waiting_trade *first = &order->waiting->trade[0];
    struct trade_hole hole = {
        .after = order->last,
        .before = first->number,
        .from_us = order->last_us,
        .to_us = first->event.exchange_us,
    };
    taker->callbacks->missing(taker->context, &hole);
    take_waiting(order, taker, 1);
    take_following(order, taker);
}

static void wait(struct trade_order *order, const struct trade_order_taker *taker,
                 const struct event *event, uint64_t number)
{
    if (order->waiting == NULL) {
        order->waiting = memory_alloc(sizeof *order->waiting);
        order->since_ns = taker->now_ns;
    }
    struct waiting_trades *waiting = order->waiting;
    uint32_t at = waiting->count;
    while (at > 0 && waiting->trade[at - 1].number > number)
        at--;
    memmove(waiting->trade + at + 1, waiting->trade + at,
            (waiting->count - at) * sizeof *waiting->trade);
    struct waiting_trade *trade = &waiting->trade[at];
    trade->number = number;
    trade->arrived_ns = taker->now_ns;
    trade->event = *event;
    memcpy(trade->id, event->trade.id.data, event->trade.id.size);
    waiting->count++;
}

static bool is_far(uint64_t left, uint64_t right)
{
    return (left > right ? left - right : right - left) > TRADE_ORDER_FAR;
}

/* The exchange went on somewhere else, if it says so twice. */
static void take_far(struct trade_order *order, const struct trade_order_taker *taker,
                     const struct event *event, uint64_t number)
{
    if (order->far == 0 || is_far(order->far, number)) {
        order->far = number;
        taker->callbacks->take(taker->context, event);
        return;
    }
    trade_order_check(order, taker, true);
    struct trade_hole hole = {
        .after = order->last,
        .before = order->far < number ? order->far : number,
        .from_us = order->last_us,
        .to_us = event->exchange_us,
    };
    if (hole.before > hole.after)
        taker->callbacks->missing(taker->context, &hole);
    order->last = order->far = 0;
    take(order, taker, event, number);
}

void trade_order_put(struct trade_order *order, const struct trade_order_taker *taker,
                     const struct event *event)
{
    uint64_t number = 0;
    assert(event->trade.id.size <= LIMIT_TRADE_ID);
    bool numbered = slice_to_uint64(event->trade.id, UINT64_MAX - TRADE_ORDER_WAITING, &number);
    if (numbered && order->last != 0 && is_far(number, order->last)) {
        take_far(order, taker, event, number);
        return;
    }
    if (!numbered || order->last == 0 || number <= order->last + 1) {
        take(order, taker, event, number);
        take_following(order, taker);
        return;
    }
    if (order->waiting != NULL && order->waiting->count == TRADE_ORDER_WAITING)
        trade_order_check(order, taker, true);
    if (number <= order->last + 1)
        take(order, taker, event, number);
    else
        wait(order, taker, event, number);
}

void trade_order_check(struct trade_order *order, const struct trade_order_taker *taker, bool end)
{
    while (order->waiting != NULL &&
           (end || taker->now_ns - order->since_ns >= (int64_t)TRADE_ORDER_WAIT_MS * NS_PER_MS))
        declare(order, taker);
}

void trade_order_release(struct trade_order *order)
{
    memory_free(order->waiting);
    *order = (struct trade_order){0};
}
