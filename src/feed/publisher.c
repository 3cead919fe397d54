/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange's events become records here; a book becomes the difference from what clients have.
 */
#include "feed/publisher.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "market/book.h"
#include "market/encode.h"

#include <assert.h>
#include <stdio.h>

#define RECENT_IDS 64 /* trades that an exchange may repeat when a subscription starts */

/* What the publisher knows of one instrument: its record key, and the book as clients have it. */
struct track {
    char key[LIMIT_KEY];
    size_t key_size;
    bool book_sent; /* clients have a snapshot in this epoch */
    bool gap_said;  /* on this connection: a book without a snapshot cannot be vouched for */
    uint32_t bid_count, ask_count;
    struct level *bids, *asks; /* owned; book_depth each, best first */
    uint32_t recent_next;
    uint64_t recent[RECENT_IDS]; /* ids of the last trades; 0: none */
};

struct publisher {
    const struct exchange *exchange;
    struct sequencer *sequencer;
    uint32_t book_depth;
    struct level *difference; /* owned; room for two sides of 2 * book_depth */
    struct metric *events[EVENT_TYPE_COUNT];
    struct metric *published[EVENT_TYPE_COUNT];
    struct metric *repeated;
    struct metric *latency; /* exchange time to receipt */
};

struct publisher *publisher_create(const struct exchange *exchange, struct sequencer *sequencer,
                                   uint32_t book_depth)
{
    assert(book_depth >= 1 && book_depth <= LIMIT_BOOK_DEPTH);
    struct publisher *publisher = memory_alloc(sizeof *publisher);
    publisher->exchange = exchange;
    publisher->sequencer = sequencer;
    publisher->book_depth = book_depth;
    publisher->difference = memory_array(4 * (size_t)book_depth, sizeof(struct level));
    char labels[LIMIT_METRIC_LABELS];
    for (int i = 0; i < EVENT_TYPE_COUNT; i++) {
        snprintf(labels, sizeof labels, "exchange=\"%s\",type=\"%s\"", exchange->name,
                 event_type_names[i]);
        publisher->events[i] = metric_series(METRIC_EVENTS, labels);
        snprintf(labels, sizeof labels, "type=\"%s\"", event_type_names[i]);
        publisher->published[i] = metric_series(METRIC_PUBLISHED, labels);
    }
    snprintf(labels, sizeof labels, "exchange=\"%s\"", exchange->name);
    publisher->repeated = metric_series(METRIC_DUPLICATES, labels);
    publisher->latency = metric_series(METRIC_EXCHANGE_LATENCY, labels);
    return publisher;
}

void publisher_destroy(struct publisher *publisher)
{
    if (publisher == NULL)
        return;
    memory_free(publisher->difference);
    memory_free(publisher);
}

/* True when the carrier took it: then, and only then, clients have it or will. */
static bool publish(struct publisher *publisher, struct slice key, const struct event *event)
{
    struct slice exchange = slice_of(publisher->exchange->name);
    const char *type = event_type_names[event->type];
    char *body = sequencer_reserve(publisher->sequencer, type, event_encode_max(event, exchange));
    if (body == NULL) {
        log_error("feed", log_text("msg", "message too large, dropped"),
                  log_slice("exchange", exchange), log_text("type", type));
        return false;
    }
    char *end = event_encode(body, event, exchange);
    if (sequencer_commit(publisher->sequencer, key, (size_t)(end - body)) != CARRIER_TAKEN)
        return false;
    metric_add(publisher->published[event->type], 1);
    return true;
}

static struct track *publisher_track(struct publisher *publisher, struct instrument *instrument)
{
    if (instrument->context != NULL)
        return instrument->context;
    struct track *track = memory_alloc(sizeof *track);
    int size = snprintf(track->key, sizeof track->key, "%s:%s", publisher->exchange->name,
                        instrument->symbol.text);
    assert(size > 0 && (size_t)size < sizeof track->key);
    track->key_size = (size_t)size;
    track->bids = memory_array(publisher->book_depth, sizeof(struct level));
    track->asks = memory_array(publisher->book_depth, sizeof(struct level));
    instrument->context = track;
    return track;
}

void publisher_forget(struct publisher *publisher, struct instrument *instrument)
{
    (void)publisher;
    struct track *track = instrument->context;
    if (track == NULL)
        return;
    memory_free(track->bids);
    memory_free(track->asks);
    memory_free(track);
    instrument->context = NULL;
}

static struct slice track_key(const struct track *track)
{
    return (struct slice){.data = track->key, .size = track->key_size};
}

/* ---- trades ---- */

/*
 * Some exchanges repeat their last trades when a subscription starts (origin snapshot): those that
 * went out already are dropped. Only ids that are numbers are compared; the others pass.
 */
static bool trade_repeated(struct track *track, const struct trade *trade)
{
    uint64_t id = 0;
    if (!slice_to_uint64(trade->id, UINT64_MAX, &id) || id == 0)
        return false;
    if (trade->origin == TRADE_SNAPSHOT)
        for (size_t i = 0; i < RECENT_IDS; i++)
            if (track->recent[i] == id)
                return true;
    track->recent[track->recent_next] = id;
    track->recent_next = (track->recent_next + 1) % RECENT_IDS;
    return false;
}

/* ---- books ---- */

/* The book cannot be vouched for, and so is not sent: once a connection that is said. */
static void book_not_vouched(struct publisher *publisher, struct track *track,
                             const struct symbol *symbol, struct slice reason, int64_t received_us)
{
    if (track->gap_said)
        return;
    struct event gap = {
        .type = EVENT_GAP,
        .symbol = symbol,
        .received_us = received_us,
        .gap = {.channel = SLICE("book"), .missing = -1, .reason = reason},
    };
    track->gap_said = publish(publisher, track_key(track), &gap);
    track->book_sent = false;
}

void publisher_book_missing(struct publisher *publisher, struct instrument *instrument,
                            int64_t received_us)
{
    struct track *track = publisher_track(publisher, instrument);
    if (!track->book_sent)
        book_not_vouched(publisher, track, &instrument->symbol, SLICE("no snapshot came"),
                         received_us);
}

void publisher_lost(struct publisher *publisher, struct instruments *instruments,
                    int64_t received_us)
{
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct instrument *instrument = instruments_at(instruments, i);
        struct track *track = instrument->context;
        if (track != NULL && track->book_sent)
            book_not_vouched(publisher, track, &instrument->symbol, SLICE("connection lost"),
                             received_us);
    }
}

void publisher_restart(struct publisher *publisher, struct instruments *instruments)
{
    (void)publisher;
    for (uint32_t i = 0; i < instruments_count(instruments); i++) {
        struct track *track = instruments_at(instruments, i)->context;
        if (track != NULL)
            track->gap_said = false;
    }
}

static struct levels levels_cut(struct levels levels, uint32_t max)
{
    return (struct levels){.level = levels.level, .count = levels.count < max ? levels.count : max};
}

static uint32_t side_keep(struct level *kept, struct levels side)
{
    if (side.count > 0) /* an empty side may have no array at all */
        memcpy(kept, side.level, side.count * sizeof(struct level));
    return side.count;
}

static void track_keep_view(struct track *track, struct levels bids, struct levels asks)
{
    track->bid_count = side_keep(track->bids, bids);
    track->ask_count = side_keep(track->asks, asks);
}

/* The change from the view that clients have to the one that they should have; false when there is
 * none. */
static bool book_update(struct publisher *publisher, const struct track *track,
                        struct book_change *change)
{
    struct level *bids = publisher->difference;
    struct level *asks = publisher->difference + 2 * (size_t)publisher->book_depth;
    struct levels old_bids = {.level = track->bids, .count = track->bid_count};
    struct levels old_asks = {.level = track->asks, .count = track->ask_count};
    uint32_t bid_count = book_difference(old_bids, change->bids, true, bids);
    uint32_t ask_count = book_difference(old_asks, change->asks, false, asks);
    *change = (struct book_change){
        .action = BOOK_UPDATE,
        .bids = {.level = bids, .count = bid_count},
        .asks = {.level = asks, .count = ask_count},
    };
    return bid_count + ask_count > 0;
}

static void publish_book(struct publisher *publisher, struct track *track,
                         const struct event *event)
{
    if (event->book.action != BOOK_SNAPSHOT || event->book.proof == BOOK_PROOF_NONE) {
        book_not_vouched(publisher, track, event->symbol, SLICE("differences without a snapshot"),
                         event->received_us);
        return;
    }
    struct event view = *event;
    struct levels bids = levels_cut(event->book.bids, publisher->book_depth);
    struct levels asks = levels_cut(event->book.asks, publisher->book_depth);
    view.book.bids = bids;
    view.book.asks = asks;
    if (view.book.depth > publisher->book_depth)
        view.book.depth = publisher->book_depth;
    bool changed = !track->book_sent || book_update(publisher, track, &view.book);
    if (!changed || !publish(publisher, track_key(track), &view))
        return;
    track->book_sent = true;
    track->gap_said = false;
    track_keep_view(track, bids, asks);
}

/* Trades that the exchange says again, or that were fetched, were made long before they came. */
static void observe_latency(struct publisher *publisher, const struct event *event)
{
    bool live = event->type != EVENT_TRADE || event->trade.origin == TRADE_LIVE;
    if (event->exchange_us != 0 && live)
        metric_observe(publisher->latency, event->received_us - event->exchange_us);
}

void publisher_event(struct publisher *publisher, struct instrument *instrument,
                     const struct event *event)
{
    struct track *track = publisher_track(publisher, instrument);
    metric_add(publisher->events[event->type], 1);
    observe_latency(publisher, event);
    switch (event->type) {
    case EVENT_TRADE:
        if (trade_repeated(track, &event->trade))
            metric_add(publisher->repeated, 1);
        else
            publish(publisher, track_key(track), event);
        return;
    case EVENT_TICKER:
    case EVENT_QUOTE:
        publish(publisher, track_key(track), event);
        return;
    case EVENT_BOOK:
        publish_book(publisher, track, event);
        return;
    case EVENT_STATUS:
    case EVENT_GAP:
    case EVENT_EPOCH:
    case EVENT_CANDLE: /* the stream has no type for it yet */
    case EVENT_TYPE_COUNT:
        return;
    }
}

void publisher_status(struct publisher *publisher, enum status_state state, struct slice reason,
                      int64_t received_us)
{
    struct event event = {
        .type = EVENT_STATUS,
        .received_us = received_us,
        .status = {.state = state, .reason = reason},
    };
    publish(publisher, slice_of(publisher->exchange->name), &event);
}
