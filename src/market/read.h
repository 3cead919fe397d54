/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of our own JSON, whole messages with their head: what a follower, the keeper and
 * `tickwire tail` use. It takes keys in any order, ignores keys that it does not know, and never
 * trusts: a record may come from a broker that anybody can write to. Malformed is: not JSON, a key
 * of the type missing, twice or of another kind, a number that is negative or out of bounds, a
 * snapshot of a book that is not in order. It takes a little more than the schemas do (a number
 * that is not canonical, a missing recv): what it takes it understands, and readers pass on bytes,
 * not what they understood.
 */
#pragma once

#include "market/event.h"

enum read_verdict {
    READ_EVENT, /* ret is filled */
    READ_OTHER, /* valid JSON of a type that is not an event (hello, heartbeat, an unknown one) */
    READ_MALFORMED,
};

/* Room for the levels of one message and its symbol; the caller's, reused. */
struct read_scratch {
    struct symbol symbol;
    struct level bids[LIMIT_MESSAGE_LEVELS];
    struct level asks[LIMIT_MESSAGE_LEVELS];
};

struct read_message {
    struct slice type;     /* as it stands */
    struct slice exchange; /* empty: none; as it stands (no escapes: exchange names need none) */
    int64_t seq;           /* 0: none */
    struct event event; /* slices in it borrow from the text, still escaped; levels and symbol from
                           the scratch */
    bool snapshot;      /* "snapshot":true */
};

/* text must be followed by a NUL and LIMIT_PADDING readable bytes. */
enum read_verdict message_read(struct slice text, struct read_scratch *scratch,
                               struct read_message *ret_message);
