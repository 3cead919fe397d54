/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of a message of /ws/exchange, `{"type":"T","seq":N,`, as our own encoder writes it: all
 * that the link has to know of most of them; and that it is one line. Pure; any thread.
 */
#pragma once

#include "base/slice.h"

enum peer_message_kind {
    PEER_MESSAGE_MALFORMED, /* its head is none of ours, or it is no single line */
    PEER_MESSAGE_HELLO,
    PEER_MESSAGE_SNAPSHOT_END,
    PEER_MESSAGE_DRAINING,
    PEER_MESSAGE_EPOCH,  /* sequenced */
    PEER_MESSAGE_RECORD, /* it has a seq, and is none of the above */
    PEER_MESSAGE_NOTE    /* heartbeat, source, skipped, or unknown and without a seq */
};

struct peer_message {
    enum peer_message_kind kind;
    int64_t seq; /* of an epoch or a record, below INT64_MAX; else 0 */
};

struct peer_message peer_message_read(struct slice text);
