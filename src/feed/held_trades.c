/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies in places that are taken from and given back to a list of free ones; the order of arrival
 * is a list through the same links. A link is small and stands apart from its copy, so that looking
 * for one instrument's does not read the copies of the others.
 */
#include "feed/held_trades.h"

#include "base/memory.h"

#include <assert.h>

#define NOWHERE UINT32_MAX

struct link {
    struct instrument *instrument; /* borrowed until it is released */
    uint32_t next;                 /* in the order of arrival, or of the free ones */
};

struct copy {
    int64_t exchange_us, received_us;
    struct trade trade; /* but its id's bytes */
    bool has_symbol;
    struct symbol symbol;
    char id[LIMIT_TRADE_ID];
};

struct held_trades {
    struct link *links;  /* owned; capacity of them */
    struct copy *copies; /* owned; the same places */
    uint32_t count;
    uint32_t free;        /* first free place, or NOWHERE */
    uint32_t first, last; /* in the order of arrival, or NOWHERE */
    bool releasing;
};

struct held_trades *held_trades_create(uint32_t capacity)
{
    assert(capacity > 0 && capacity < NOWHERE);
    struct held_trades *held = memory_alloc(sizeof *held);
    held->links = memory_array(capacity, sizeof *held->links);
    held->copies = memory_array(capacity, sizeof *held->copies);
    for (uint32_t i = 0; i < capacity; i++)
        held->links[i].next = i + 1 < capacity ? i + 1 : NOWHERE;
    held->first = held->last = NOWHERE;
    return held;
}

void held_trades_destroy(struct held_trades *held)
{
    if (held == NULL)
        return;
    assert(!held->releasing);
    memory_free(held->links);
    memory_free(held->copies);
    memory_free(held);
}

uint32_t held_trades_count(const struct held_trades *held)
{
    return held->count;
}

static void copy_make(struct copy *copy, const struct event *event)
{
    copy->exchange_us = event->exchange_us;
    copy->received_us = event->received_us;
    copy->trade = event->trade;
    copy->has_symbol = event->symbol != NULL;
    if (copy->has_symbol)
        copy->symbol = *event->symbol;
    if (event->trade.id.size > 0)
        memcpy(copy->id, event->trade.id.data, event->trade.id.size);
    copy->trade.id.data = copy->id;
}

bool held_trades_put(struct held_trades *held, struct instrument *instrument,
                     const struct event *event)
{
    assert(!held->releasing && instrument != NULL);
    assert(event->type == EVENT_TRADE && event->trade.id.size <= LIMIT_TRADE_ID);
    uint32_t place = held->free;
    if (place == NOWHERE)
        return false;
    held->free = held->links[place].next;
    held->links[place] = (struct link){.instrument = instrument, .next = NOWHERE};
    copy_make(&held->copies[place], event);
    if (held->last == NOWHERE)
        held->first = place;
    else
        held->links[held->last].next = place;
    held->last = place;
    held->count++;
    return true;
}

/* before: the place in front of it, or NOWHERE. Its copy stays until the next put. */
static void held_unlink(struct held_trades *held, uint32_t before, uint32_t place)
{
    assert(held->count > 0);
    struct link *link = &held->links[place];
    if (before == NOWHERE)
        held->first = link->next;
    else
        held->links[before].next = link->next;
    if (held->last == place)
        held->last = before;
    link->next = held->free;
    held->free = place;
    held->count--;
}

static void held_give(const struct held_trades *held, uint32_t place, held_trades_fn *take,
                      void *context)
{
    const struct copy *copy = &held->copies[place];
    struct event event = {
        .type = EVENT_TRADE,
        .symbol = copy->has_symbol ? &copy->symbol : NULL,
        .exchange_us = copy->exchange_us,
        .received_us = copy->received_us,
        .trade = copy->trade,
    };
    take(context, held->links[place].instrument, &event);
}

void held_trades_release(struct held_trades *held, const struct instrument *instrument,
                         held_trades_fn *take, void *context)
{
    assert(!held->releasing);
    held->releasing = true;
    uint32_t before = NOWHERE, next;
    for (uint32_t place = held->first; place != NOWHERE; place = next) {
        next = held->links[place].next;
        if (instrument != NULL && held->links[place].instrument != instrument) {
            before = place;
            continue;
        }
        held_unlink(held, before, place);
        held_give(held, place, take, context);
    }
    held->releasing = false;
}
