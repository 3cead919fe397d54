/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of two messages that each carry a whole state (a book, a ticker), which is the newer one? By the
 * exchange's own running number, then by its time: the first of equal ones wins, whichever
 * connection brings it. An exchange that goes on with older ones has set its clock or its numbers
 * back: after RECENCY_PATIENCE of them from the connection that brought the newest, it is believed.
 * A value.
 */
#pragma once

#include "base/attr.h"

#define RECENCY_PATIENCE 8
#define RECENCY_ANY UINT32_MAX /* the connection that brought the newest is gone */

struct recency {
    int64_t id, us; /* of the newest; 0: none yet, or not given */
    uint32_t source;
    uint32_t older; /* from that source, in a row */
};

static inline int recency_compare(const struct recency *recency, int64_t id, int64_t us)
{
    if (id != recency->id)
        return id < recency->id ? -1 : 1;
    return us < recency->us ? -1 : us > recency->us;
}

/* Whether to take this one. id and us 0: the exchange gives neither, everything is taken. */
static inline bool recency_pass(struct recency *recency, uint32_t source, int64_t id, int64_t us)
{
    bool none = recency->id == 0 && recency->us == 0;
    bool same = none || recency->source == source || recency->source == RECENCY_ANY;
    int order = recency_compare(recency, id, us);
    if (id == 0 && us == 0)
        return true;
    if (order < 0 || (order == 0 && !same)) {
        if (!same || ++recency->older < RECENCY_PATIENCE)
            return false;
    }
    *recency = (struct recency){.id = id, .us = us, .source = source};
    return true;
}

/* No more comes from this connection. */
static inline void recency_end(struct recency *recency, uint32_t source)
{
    if (recency->source == source)
        recency->source = RECENCY_ANY;
}
