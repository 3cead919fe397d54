/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log that is filled silently, from a place in the middle of a path, while the present one is
 * still served: it takes the log's place when it has come to the end. And the log's other new
 * beginning: under a new name.
 */
#include "cluster/replica_priv.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>

void shadow_drop(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    if (replica->shadow == NULL)
        return;
    homecoming_stop(replica);
    ports->shadow(ports->context, NULL);
    journal_destroy(replica->shadow);
    replica->shadow = NULL;
    replica->shadow_path = NULL;
    replica->home_ns = 0;
}

void shadow_open(struct replica *replica, struct path *path, const char *stream, int64_t first)
{
    const struct replica_ports *ports = &replica->options.ports;
    shadow_drop(replica);
    replica->shadow = journal_create(stream, first, replica->options.retain);
    journal_behind(replica->shadow, path->reading.record_epoch);
    replica->shadow_path = path;
    replica->shadow_whole = false;
    replica->shadow_resumes = false;
    replica->shadow_states = replica->shadow_sum = 0;
    replica->shadow_ns = 0;
    replica->opened_ns = replica->now_ns;
    journal_barrier(replica->shadow, stream, path->reading.epoch);
    ledger_forget_seen(replica->ledger);
    ports->shadow(ports->context, replica->shadow);
}

/* Its path has accepted it, so it is the shadow's next one. */
void shadow_record(struct replica *replica, const struct record *record)
{
    enum journal_verdict verdict = journal_append(replica->shadow, record);
    assert(verdict == JOURNAL_ACCEPTED);
    (void)verdict;
    if (replica->mode == REPLICA_ALONE)
        homecoming_record(replica, record);
}

void shadow_state(struct replica *replica, const struct state_note *state)
{
    const struct replica_ports *ports = &replica->options.ports;
    ports->load_state(ports->context, replica->shadow, state);
    replica->shadow_sum = state_sum_add(replica->shadow_sum, state_sum(state));
    if (replica->shadow_states != 0 && replica->shadow_sum == replica->shadow_states)
        replica->shadow_whole = true;
}

/* One of the two is a prefix of the other, by the name of its last record. */
static bool shadow_is_log(const struct replica *replica)
{
    const struct journal *log = replica->log, *shadow = replica->shadow;
    if (!replica->served || strcmp(journal_stream(log), journal_stream(shadow)) != 0)
        return false;
    int64_t last = journal_next(log) - 1, other = journal_next(shadow) - 1;
    int64_t both = last < other ? last : other;
    if (last > other && journal_epoch_at(log, other + 1) < replica->shadow_path->reading.epoch)
        return false; /* what the log has beyond came too late to count */
    if (other > last && journal_epoch_at(shadow, last + 1) < journal_barrier_epoch(log))
        return false; /* what it lacks is fenced by now: it can only have it by starting over */
    int64_t epoch = journal_epoch_at(log, both);
    return epoch != 0 && epoch == journal_epoch_at(shadow, both);
}

bool shadow_goes_on(struct replica *replica)
{
    struct cursor cursor = {0};
    struct record record;
    struct path *path = replica->shadow_path;
    if (replica->mode == REPLICA_ALONE || !shadow_is_log(replica))
        return false;
    if (cursor_attach(&cursor, replica->shadow, journal_next(replica->log))) {
        while (journal_read(replica->shadow, &cursor, &replica->scratch, replica->key, &record)) {
            journal_barrier(replica->log, record.stream, record.epoch);
            if (!log_accept(replica, &record))
                break; /* fenced by what another path knows */
        }
        cursor_detach(&cursor);
    }
    shadow_drop(replica);
    path_join(replica, path);
    path->unfit = false;
    return true;
}

/* All trades of the log from here on are the shadow's. */
void shadow_take(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    struct path *path = replica->shadow_path;
    log_info("cluster", log_text("msg", "the log starts over"),
             log_text("stream", journal_stream(replica->shadow)),
             log_int("epoch", journal_epoch(replica->shadow)),
             log_int("first", journal_first(replica->shadow)),
             log_int("next", journal_next(replica->shadow)));
    if (slot_of(replica, path) != NULL)
        memset(replica->fences, 0, sizeof replica->fences); /* it may have lost some of them */
    writer_forget_places(replica);
    journal_take(replica->log, replica->shadow);
    replica->shadow = NULL;
    replica->shadow_path = NULL;
    replica->home_ns = 0;
    replica->served = true;
    replica->whole = replica->shadow_whole;
    replica->sample_count = 0; /* numbers may be lower now */
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].path.joined = false;
    replica->peer.joined = false;
    path->joined = true;
    path->unfit = false;
    ports->taken(ports->context);
}

void log_rename(struct replica *replica, int64_t epoch)
{
    const struct replica_ports *ports = &replica->options.ports;
    uint64_t id = ports->random(ports->context);
    char stream[LIMIT_STREAM_ID];
    snprintf(stream, sizeof stream, "tw-%016llx", (unsigned long long)id);
    shadow_drop(replica);
    writer_forget_places(replica);
    /* A stream may begin anywhere; numbers that somebody has driven up begin anew. */
    int64_t next = journal_next(replica->log);
    journal_restart(replica->log, stream, next > LIMIT_NUMBER / 2 ? 1 : next);
    journal_barrier(replica->log, stream, epoch);
    replica->served = true;
    replica->whole = true; /* whatever is known goes on being known */
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].path.joined = false;
    replica->peer.joined = false;
    log_info("cluster", log_text("msg", "a new stream begins"), log_text("stream", stream),
             log_int("epoch", epoch), log_int("seq", journal_next(replica->log)));
}
