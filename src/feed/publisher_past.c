/* SPDX-License-Identifier: Apache-2.0 */
/* A publisher that goes on behind a log: what it would know if it had written that itself. */
#include "feed/publisher_priv.h"

struct learner {
    struct publisher *publisher;
    struct track *track;
};

static void nothing_taken(void *context, const struct event *event)
{
    (void)context;
    (void)event;
}

static void nothing_missing(void *context, const struct trade_hole *hole)
{
    (void)context;
    (void)hole;
}

/* What was missing then was said then. */
static const struct trade_order_taker learning = {
    .callbacks =
        &(const struct trade_order_callbacks){.take = nothing_taken, .missing = nothing_missing}};

static void learn_trade(void *context, const struct event *trade)
{
    const struct learner *learner = context;
    struct track *track = learner->track;
    trade_filter_learn(track->filter, trade);
    track->traded_us = trade_made_us(trade);
    if (learner->publisher->exchange->trade_ids_consecutive)
        trade_order_put(&track->order, &learning, trade);
}

void publisher_learn(struct publisher *publisher, struct track *track, struct slice symbol)
{
    const struct publisher_past *past = &publisher->past;
    struct learner learner = {.publisher = publisher, .track = track};
    struct slice exchange = slice_of(publisher->exchange->name);
    if (past->not_live != NULL)
        track->returning |= past->not_live(past->context, exchange, symbol);
    if (past->visit_trades == NULL)
        return;
    past->visit_trades(past->context, exchange, symbol, learn_trade, &learner);
    trade_order_check(&track->order, &learning, true);
    track->unheard_us = track->traded_us;
    if (past->down != NULL &&
        (past->down(past->context, exchange, symbol) & CHANNEL_BIT(CHANNEL_TRADE)) != 0) {
        trade_order_release(&track->order);
        track->unheard_us = 0;
    }
}

void publisher_go_on(struct publisher *publisher, const struct publisher_past *past)
{
    struct slice exchange = slice_of(publisher->exchange->name);
    publisher->past = *past;
    if (past->not_live != NULL)
        publisher->not_live = past->not_live(past->context, exchange, (struct slice){0});
}
