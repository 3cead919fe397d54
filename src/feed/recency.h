/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of two messages that each carry a whole state (a book, a ticker), which is the newer one? By the
 * exchange's own running number or time: the first of equal ones wins, whichever connection brings
 * it. An exchange that goes on with older ones has set its clock or its numbers back: after
 * RECENCY_PATIENCE of them from the connection that brought the newest, it is believed. A value.
 */
#pragma once

#include "base/attr.h"

#define RECENCY_PATIENCE 8
#define RECENCY_ANY UINT32_MAX /* the connection that brought the newest is gone */

struct recency {
    int64_t newest; /* 0: none yet */
    uint32_t source;
    uint32_t older; /* from that source, in a row */
};

/* Whether to take this one. order: 0: the exchange gives none, everything is taken. */
static inline bool recency_pass(struct recency *recency, uint32_t source, int64_t order)
{
    bool same = recency->newest == 0 || recency->source == source || recency->source == RECENCY_ANY;
    if (order == 0)
        return true;
    if (order < recency->newest || (order == recency->newest && !same)) {
        if (!same || ++recency->older < RECENCY_PATIENCE)
            return false;
    }
    recency->newest = order;
    recency->source = source;
    recency->older = 0;
    return true;
}

/* No more comes from this connection. */
static inline void recency_end(struct recency *recency, uint32_t source)
{
    if (recency->source == source)
        recency->source = RECENCY_ANY;
}
