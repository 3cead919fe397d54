/* SPDX-License-Identifier: Apache-2.0 */
/* What is counted, over all schedules, and told in the summary. */
#pragma once

#include "cluster/replica.h"

#define COUNT_TABLE(X)                                                                             \
    X(crashes);                                                                                    \
    X(leaves);                                                                                     \
    X(pauses);                                                                                     \
    X(carrier_cuts);                                                                               \
    X(broker_restarts);                                                                            \
    X(lost_tails);                                                                                 \
    X(lost_logs);                                                                                  \
    X(expired_heads);                                                                              \
    X(freezes);                                                                                    \
    X(late_writes);                                                                                \
    X(double_writes);                                                                              \
    X(lost_writes);                                                                                \
    X(node_partitions);                                                                            \
    X(feed_outages);                                                                               \
    X(second_leaders);                                                                             \
    X(role_changes);                                                                               \
    X(detaches);                                                                                   \
    X(full);                                                                                       \
    X(begun_in_middle);                                                                            \
    X(begun_at_start);                                                                             \
    X(takeovers);                                                                                  \
    X(new_streams);                                                                                \
    X(forks);                                                                                      \
    X(fenced);                                                                                     \
    X(fenced_records);                                                                             \
    X(repeated_records);                                                                           \
    X(early_records);                                                                              \
    X(rewrites);                                                                                   \
    X(joins);                                                                                      \
    X(resumes);                                                                                    \
    X(refused_tokens);                                                                             \
    X(start_overs);                                                                                \
    X(records);                                                                                    \
    X(delivered);                                                                                  \
    X(trades);                                                                                     \
    X(gaps);                                                                                       \
    X(doubts);                                                                                     \
    X(peer_links);                                                                                 \
    X(peer_snapshots);                                                                             \
    X(trades_again_over_hello);                                                                    \
    X(trades_missing_over_hello);                                                                  \
    X(came_home);                                                                                  \
    X(waited_for_states);

struct counts {
#define X(name) uint64_t name
    COUNT_TABLE(X)
#undef X
    uint64_t mode[REPLICA_MODE_COUNT]; /* steps of nodes in it */
    uint64_t change[REPLICA_MODE_COUNT][REPLICA_MODE_COUNT];
};
