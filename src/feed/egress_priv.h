/* SPDX-License-Identifier: Apache-2.0 */
/* What egress.c and egress_state.c share. */
#pragma once

#include "feed/egress.h"

#define EGRESS_LEDGERS_MAX (REST_TICKERS + 2) /* connections, and REST by kind at most */
#define EGRESS_STRIKES_MAX 16
#define EGRESS_HOUR_NS (INT64_C(3600) * 1000000000)

/* What was spent here, and what is known of the processes before: both count. */
struct ledger {
    struct budget own, inherited;
};

struct egress_pause_state {
    bool is_set;
    int64_t until_ns;
    unsigned status;
    unsigned strikes; /* pauses before, each within an hour of the one before */
};

struct egress {
    const struct exchange *exchange;           /* borrowed for ever: adapters are constants */
    struct buffer address;                     /* as it stands in JSON, without quotes */
    struct ledger ledgers[EGRESS_LEDGERS_MAX]; /* of connections; then of REST */
    size_t ledger_count;                       /* 2, or one for each kind */
    struct egress_pause_state pause;
};
