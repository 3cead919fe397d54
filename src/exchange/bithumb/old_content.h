/* SPDX-License-Identifier: Apache-2.0 */
/* The `content` of Bithumb's first generation, one reader for each type. For this folder only. */
#pragma once

#include "exchange/decoding.h"

struct old_decoding {
    const struct decode_input *input;
    struct event_batch *batch;
    uint32_t bid_count, ask_count; /* levels put into the batch so far */
    bool unknown_symbol;           /* some of it was for a symbol that nobody asked for */
};

/* Each takes `content` at the scan. DECODE_EVENTS: the batch holds what there was, perhaps
 * nothing. */
enum decode_verdict old_transactions_read(struct old_decoding *decoding, struct scan *scan);
enum decode_verdict old_depth_read(struct old_decoding *decoding, struct scan *scan);
enum decode_verdict old_snapshot_read(struct old_decoding *decoding, struct scan *scan);
enum decode_verdict old_ticker_read(struct old_decoding *decoding, struct scan *scan);
