/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: a carrier that is a list in memory, shared by the nodes of one process. It can be
 * silent, lose what it is given, and lose its end. Whoever reads it begins at its very beginning.
 * Thread: the test's.
 */
#pragma once

#include "stream/carrier.h"

#define FAKE_ITEMS 4096

struct fake_item {
    enum { ITEM_RECORD, ITEM_BARRIER, ITEM_BEACON } kind;
    char stream[LIMIT_STREAM_ID], writer[64], text[200];
    int64_t epoch, seq, start;
    struct checkpoint now, begin; /* of a beacon */
};

struct fake_topic {
    struct fake_item items[FAKE_ITEMS];
    size_t count;
    bool silent; /* nobody gets anything from it */
    bool losing; /* what it takes is lost */
    bool failed; /* and says so */
    size_t most; /* what a poll gives at most; 0: everything */
};

extern struct fake_topic fake_topic; /* the only one; whoever begins a test clears it */

/* A node's end of it. */
struct fake_carrier {
    struct carrier carrier; /* .kind is fake_carrier_kind; there is no open and no close */
    struct carrier_reader reader;
    size_t at, end; /* the next to be given; how much there was when it began */
    size_t late;    /* so many of the newest do not come yet */
    bool begun;     /* false: it begins anew at the next poll */
    bool caught_up;
    int restarts; /* how often it was asked to begin anew */
};

extern const struct carrier_kind fake_carrier_kind;

/* As if somebody else had written it. */
enum carrier_result fake_put(const struct fake_item *item);
