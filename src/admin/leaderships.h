/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which epochs a node has seen, and who led in them: the history of /api/v1/cluster. Texts are
 * copied and cut; the last LIMIT_LEADERSHIPS are kept. Thread: its owner's.
 */
#pragma once

#include "admin/admin.h"

#define LEADERSHIP_REASON_MAX LIMIT_REASON

struct leadership {
    int64_t epoch, from_us, to_us; /* to 0: it still does */
    char node[LIMIT_PEER_NAME];
    char reason[LEADERSHIP_REASON_MAX];
};

struct leaderships {
    size_t count; /* ever noted; the next one's place is count % LIMIT_LEADERSHIPS */
    struct leadership ring[LIMIT_LEADERSHIPS];
};

/* Zeroed: empty. Another epoch than the last one ends that, at its own beginning (the epochs of
 * another stream may be smaller); the same again only adds what was not known of it. For epochs
 * that the log has accepted. at_us: wall time. */
void leaderships_note(struct leaderships *leaderships, int64_t epoch, const char *node,
                      const char *reason, int64_t at_us);

/* Nobody leads any more, as far as is known. */
void leaderships_end(struct leaderships *leaderships, int64_t at_us);

/* Newest first; borrows the texts. */
void leaderships_fill(const struct leaderships *leaderships, struct admin_cluster *ret_cluster);
