/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking over (stream.md): read to the end, write copies of what the log holds beyond, write the
 * barrier, read up to it, open the epoch. Then delivering what is read back, or direct. And being
 * deposed.
 */
#include "cluster/replica_priv.h"

#include "base/log.h"

#include <assert.h>
#include <stdio.h>

#define FALLEN_OUT "the carrier lacks what the log no longer has: stream.retain is too small"
#define NOT_WHOLE "the stream's last values and trades are not known"
#define FRESH_MS 500  /* what is read back within that is read back at once */
#define WAKING_MOST 4 /* times as long as usual nothing is delivered straight after a stop */

/* ---- opening an epoch ---- */

static void make_writer_id(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    snprintf(replica->writer_id, sizeof replica->writer_id, "%016llx",
             (unsigned long long)ports->random(ports->context));
}

void open_epoch(struct replica *replica, int64_t previous_epoch)
{
    const struct replica_ports *ports = &replica->options.ports;
    int64_t last = journal_next(replica->log) - 1;
    replica->epoch_first = last + 1;
    replica->writing = true;
    sequencer_begin(replica->sequencer, journal_stream(replica->log), replica->epoch,
                    previous_epoch, last);
    enum carrier_result result = sequencer_open_epoch(replica->sequencer, replica->options.node,
                                                      ports->wall_us(ports->context));
    assert(result == CARRIER_TAKEN);
    (void)result;
    log_info("cluster", log_text("msg", "epoch opened"),
             log_text("stream", journal_stream(replica->log)), log_int("epoch", replica->epoch),
             log_int("seq", last + 1));
}

static void raise_epoch(struct replica *replica, int64_t epoch)
{
    if (replica->mode == REPLICA_LEADER_CARRIER)
        pending_deliver(replica);
    replica_set_mode(replica, REPLICA_LEADER_DIRECT, "a carrier with another stream is taken");
    replica->epoch = epoch;
    journal_barrier(replica->log, journal_stream(replica->log), epoch);
    open_epoch(replica, journal_epoch(replica->log));
}

/* Nothing can be gone on with: a new stream, delivered direct. */
static void lead_fresh(struct replica *replica, const char *reason)
{
    int64_t newest = journal_barrier_epoch(replica->log);
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        if (replica->slots[i].path.newest > newest)
            newest = replica->slots[i].path.newest;
    if (replica->epoch > newest)
        newest = replica->epoch;
    if (replica->epoch_floor > newest)
        newest = replica->epoch_floor;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].writer.active = false;
    int64_t again = INT64_MAX; /* from here on what is pending is given other numbers */
    if (replica->served)       /* clients start over */
        log_warn("cluster", log_text("msg", "this stream can't be gone on with"),
                 log_text("why", reason), log_text("stream", journal_stream(replica->log)));
    if (replica->mode == REPLICA_LEADER_CARRIER && replica->usurped)
        again = journal_next(replica->log);
    else if (replica->mode == REPLICA_LEADER_CARRIER)
        pending_deliver(replica);
    make_writer_id(replica);
    replica->untried = replica->mode == REPLICA_STARTING && replica_slot(replica, false) != NULL;
    replica->epoch = newest + 1;
    replica->leading = LEADING;
    replica->owned = false;
    replica->usurped = false;
    replica->home = NULL;
    replica_drop_peer(replica);
    log_rename(replica, replica->epoch);
    replica_set_mode(replica, REPLICA_LEADER_DIRECT, reason);
    open_epoch(replica, 0);
    pending_sequence_again(replica, again);
    replica->options.ports.renamed(replica->options.ports.context);
    replica->collect = true;
}

/* ---- taking over ---- */

static bool any_connected(const struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        if (slot_is_up(&replica->slots[i]))
            return true;
    return false;
}

static bool take_over_failed(const struct replica *replica)
{
    const struct replica_times *times = &replica->options.times;
    int64_t waited_ns = replica->now_ns - replica->take_ns;
    return !any_attached(replica) || waited_ns >= times->take_over * NS_PER_MS ||
           (!any_connected(replica) && waited_ns >= times->start * NS_PER_MS);
}

static void write_own_barrier(struct replica *replica)
{
    struct slot *slot = replica->home;
    struct barrier barrier = {.stream = journal_stream(replica->log),
                              .epoch = replica->epoch,
                              .start = -1,
                              .writer = replica->writer_id,
                              .node = replica->options.node,
                              .position = -1};
    replica->barrier_ns = replica->now_ns;
    (void)slot->carrier->kind->write_barrier(slot->carrier, &barrier); /* else again, later */
}

static void take_barrier(struct replica *replica)
{
    struct slot *slot = replica->home;
    int64_t newest = slot->path.reading.epoch;
    if (journal_barrier_epoch(replica->log) > newest)
        newest = journal_barrier_epoch(replica->log);
    if (replica->epoch_floor > newest)
        newest = replica->epoch_floor;
    writer_stop(slot);
    make_writer_id(replica);
    replica->epoch = newest + 1;
    replica->barrier_read = false;
    replica->leading = TAKE_BARRIER;
    write_own_barrier(replica);
}

/* The log is the carrier's, or goes on where it ends. */
static void take_copying(struct replica *replica)
{
    struct slot *slot = replica->home;
    int64_t behind = journal_epoch_at(replica->log, slot->path.reading.seq + 1);
    if (behind != 0 && behind < slot->path.reading.epoch)
        slot->path.joined = false; /* what the log holds beyond came too late to count */
    if (take_over_failed(replica))
        lead_fresh(replica, "the carrier does not take what the log holds beyond");
    else if (!slot->path.joined || slot->carrier == NULL || slot->state != CARRIER_UP)
        replica->leading = TAKE_READING;
    else if (slot->path.reading.seq + 1 >= journal_next(replica->log))
        take_barrier(replica);
}

/* Elected while it stood alone, and there is nothing to come home to. */
static void lead_from_alone(struct replica *replica)
{
    shadow_drop(replica);
    left_forget(replica);
    replica->leading = LEADING;
    replica->owned = false;
    make_writer_id(replica);
    replica_drop_peer(replica);
    replica->collect = true;
    replica_set_mode(replica, REPLICA_LEADER_DIRECT, "there is nothing to come home to");
    if (replica->epoch_floor >= replica->epoch)
        raise_epoch(replica, replica->epoch_floor + 1);
}

static void take_reading(struct replica *replica)
{
    struct slot *slot = replica_slot(replica, false);
    if (replica->mode == REPLICA_ALONE) {
        bool nothing =
            slot == NULL ? take_over_failed(replica) : slot->path.reading.stream[0] == '\0';
        if (nothing)
            lead_from_alone(replica);
        return; /* it comes home first */
    }
    if (replica->collecting)
        return; /* that ends first: what was pending is to be collected again */
    if (any_reading(replica))
        replica->take_ns = replica->now_ns; /* it ends, however long the topic is */
    if (slot == NULL) {
        if (take_over_failed(replica))
            lead_fresh(replica, any_attached(replica) ? "no carrier answers" : "no carrier");
        return;
    }
    if (slot->path.reading.stream[0] == '\0') {
        lead_fresh(replica, "the carrier holds no stream");
    } else if (slot->path.reading.seq > LIMIT_NUMBER / 2) {
        lead_fresh(replica, "the carrier's numbers have been driven up");
    } else if (!slot->path.joined) {
        slot_begin_anew(slot);
    } else if (!writer_can_fill(slot)) {
        lead_fresh(replica, FALLEN_OUT);
    } else if (!replica->whole) {
        lead_fresh(replica, NOT_WHOLE);
    } else {
        replica->home = slot;
        replica->leading = TAKE_COPYING;
        writer_start(slot, slot->path.reading.seq + 1);
        take_copying(replica);
    }
}

static void take_opened(struct replica *replica)
{
    struct slot *slot = replica->home;
    int64_t last_epoch = journal_epoch(replica->log);
    if (last_epoch == 0) /* the log begins behind the carrier's last record */
        last_epoch = slot->path.reading.record_epoch;
    replica->leading = LEADING;
    replica->owned = true;
    replica_drop_peer(replica);
    replica_set_mode(replica, REPLICA_LEADER_CARRIER, "");
    pending_begin(replica);
    writer_start(slot, journal_next(replica->log));
    open_epoch(replica, last_epoch);
    replica->collect = true;
}

static void depose(struct replica *replica, const char *node, int64_t epoch)
{
    log_warn("cluster", log_text("msg", "deposed: another node writes now"), log_text("node", node),
             log_int("epoch", epoch), log_int("own_epoch", replica->epoch));
    replica->fenced = true;
    replica->fenced_epoch = epoch;
    keep_text(replica->fenced_by, sizeof replica->fenced_by, node);
    leader_stop(replica);
    journal_barrier(replica->log, journal_stream(replica->log), epoch);
}

static void take_waiting(struct replica *replica)
{
    struct slot *slot = replica->home;
    int64_t stall_ns = replica->options.times.stall * NS_PER_MS;
    int64_t newest = journal_barrier_epoch(replica->log), read = slot->path.reading.epoch;
    bool taken = replica->barrier_read && slot->path.joined && read == replica->epoch;
    if (newest > replica->epoch || journal_epoch(replica->log) == replica->epoch)
        depose(replica, replica->peer.leader, newest); /* the log has gone on, by the peer */
    else if (taken && !replica->whole)
        lead_fresh(replica, NOT_WHOLE); /* the carrier lost its end meanwhile, and was read anew */
    else if (taken)
        take_opened(replica);
    else if (slot->carrier == NULL || take_over_failed(replica))
        lead_fresh(replica, "the carrier does not give the barrier back");
    else if (replica->barrier_read || slot->path.unfit || read >= replica->epoch)
        replica->leading = TAKE_READING; /* others wrote before it: once more */
    else if (replica->now_ns - replica->barrier_ns >= stall_ns)
        write_own_barrier(replica);
}

/* ---- leading ---- */

/* What the carrier holds can't be made a prefix of what was delivered, or is about to be. */
static bool has_other_history(const struct replica *replica, const struct path *path)
{
    const struct reading *reading = &path->reading;
    bool pending =
        replica->mode == REPLICA_LEADER_CARRIER && reading->seq >= journal_next(replica->log);
    int64_t epoch = journal_epoch_at(pending ? replica->pending : replica->log, reading->seq);
    return reading->seq > replica_written(replica) || reading->lost ||
           (epoch != 0 && reading->record_epoch != 0 && epoch != reading->record_epoch);
}

/* A carrier has been read to its end, and this leadership does not write there yet. */
static void lead_attach(struct replica *replica, struct slot *slot)
{
    struct path *path = &slot->path;
    bool same = strcmp(path->reading.stream, journal_stream(replica->log)) == 0;
    if (path->reading.epoch > replica->epoch && (same || replica->owned)) {
        depose(replica, path->leader, path->reading.epoch);
        return;
    }
    if (!same && path->newest >= replica->epoch && replica->owned) {
        /* This stream has been in a carrier: others may have gone on with it, in any epoch. */
        lead_fresh(replica, "what the carrier holds can't be read");
        return;
    }
    if (!same && path->newest >= replica->epoch)
        raise_epoch(replica, path->newest + 1);
    if (same && has_other_history(replica, path)) {
        lead_fresh(replica, "the carrier holds another history of this stream");
        return;
    }
    if (!writer_can_fill(slot)) {
        lead_fresh(replica, FALLEN_OUT);
        return;
    }
    path->joined = same;
    path->unfit = false;
    if (same)
        writer_start(slot, path->reading.seq + 1);
    else
        writer_start(slot, journal_first(replica->log) > replica->epoch_first
                               ? journal_first(replica->log)
                               : replica->epoch_first);
}

/* Our barrier would not be obeyed there, or our records would not be accepted. */
static bool belongs_to_others(const struct replica *replica, const struct path *path)
{
    if (strcmp(path->reading.stream, journal_stream(replica->log)) != 0)
        return path->reading.epoch >= replica->epoch;
    return path->reading.epoch > replica->epoch || has_other_history(replica, path);
}

/* A carrier that began anew may have brought what was pending before it could be known as ours.
 * What it holds is a prefix of what has been delivered by now, so it goes on from here. */
static void lead_rejoin(struct replica *replica, struct path *path)
{
    if (replica->mode != REPLICA_LEADER_DIRECT || !path->unfit ||
        path->reading.epoch != replica->epoch)
        return;
    path->unfit = false;
    path_caught_up(replica, path);
}

static void lead_write(struct replica *replica)
{
    if (replica->usurped) {
        log_error("cluster", log_text("msg", "somebody else writes in this epoch"),
                  log_int("epoch", replica->epoch));
        lead_fresh(replica, "somebody else writes in this epoch");
    }
    for (size_t i = 0; i < REPLICA_CARRIERS && replica->leading == LEADING; i++) {
        struct slot *slot = &replica->slots[i];
        if (!slot_is_up(slot) || !slot->path.caught_up)
            continue;
        if (!slot->writer.active || !writer_can_fill(slot) ||
            belongs_to_others(replica, &slot->path)) {
            lead_attach(replica, slot);
        } else {
            slot->writer.judged = true;
            lead_rejoin(replica, &slot->path);
        }
    }
}

/* Told while the carrier is away: when it is back it is too late for a larger log. */
static void lead_look(struct replica *replica)
{
    bool before = replica->fallen_out;
    replica->fallen_out = false;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        const struct slot *slot = &replica->slots[i];
        if (slot->carrier != NULL && slot->writer.active && !writer_can_fill(slot))
            replica->fallen_out = true;
    }
    if (replica->fallen_out && !before)
        log_warn("cluster", log_text("msg", "a new stream will begin when the carrier is back"),
                 log_text("why", FALLEN_OUT),
                 log_int("retain_bytes", (int64_t)replica->options.retain),
                 log_int("first", journal_first(replica->log)));
}

static bool slot_is_fit(const struct replica *replica, const struct slot *slot, int64_t most_ms)
{
    return slot->carrier != NULL && slot->writer.active && slot->path.caught_up &&
           slot->path.joined && slot->path.reading.epoch == replica->epoch &&
           path_is_alive(replica, &slot->path) &&
           unread_age_ns(replica, slot) < most_ms * NS_PER_MS;
}

/* Who was stopped may have been followed by another, and hears of it by the carrier. When that is
 * down as well it has as long to come back as the process was away, within bounds. */
static bool has_just_woken(const struct replica *replica)
{
    int64_t grace_ns = replica->options.times.direct * NS_PER_MS;
    if (replica->home->state != CARRIER_UP && replica->stopped_ns > grace_ns)
        grace_ns = replica->stopped_ns < WAKING_MOST * grace_ns ? replica->stopped_ns
                                                                : WAKING_MOST * grace_ns;
    return replica->woken_ns != 0 && replica->now_ns - replica->woken_ns < grace_ns;
}

static void lead_down(struct replica *replica)
{
    if (replica->mode != REPLICA_LEADER_CARRIER || has_just_woken(replica) ||
        slot_is_fit(replica, replica->home, replica->options.times.direct))
        return;
    pending_deliver(replica);
    replica_set_mode(replica, REPLICA_LEADER_DIRECT,
                     replica->home->carrier == NULL ? "the carrier is not used any more"
                                                    : "what was written does not come back");
    replica->home = NULL;
}

/* A better carrier than the present one has been fit for long enough. One in which this stream has
 * begun, with the process, has failed nobody yet: its barrier coming back is enough. */
static void lead_up(struct replica *replica)
{
    int64_t healthy_ns = replica->untried ? 0 : replica->options.times.healthy * NS_PER_MS;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        struct slot *slot = &replica->slots[i];
        if (replica->mode == REPLICA_LEADER_CARRIER && slot == replica->home)
            return;
        if (!slot_is_fit(replica, slot, FRESH_MS)) {
            slot->healthy_ns = 0;
            continue;
        }
        if (slot->healthy_ns == 0)
            slot->healthy_ns = replica->now_ns;
        if (replica->now_ns - slot->healthy_ns < healthy_ns)
            continue;
        if (replica->mode != REPLICA_LEADER_CARRIER)
            pending_begin(replica);
        replica->untried = false;
        replica->home = slot;
        replica_set_mode(replica, REPLICA_LEADER_CARRIER, "what is written comes back");
        return;
    }
}

void leader_tick(struct replica *replica)
{
    switch (replica->leading) {
    case NOT_LEADING:
        return;
    case TAKE_READING:
        take_reading(replica);
        return;
    case TAKE_COPYING:
        take_copying(replica);
        return;
    case TAKE_BARRIER:
        take_waiting(replica);
        return;
    case LEADING:
        lead_write(replica);
        lead_look(replica);
        if (replica->leading == LEADING)
            lead_down(replica);
        if (replica->leading == LEADING)
            lead_up(replica);
        return;
    }
}

/* ---- others ---- */

/* A newer barrier than all before it was read in a carrier. */
void leader_barrier(struct replica *replica, struct slot *slot, const struct barrier *barrier)
{
    bool ours = strcmp(barrier->writer, replica->writer_id) == 0;
    if (replica->leading == NOT_LEADING || replica->leading == TAKE_READING ||
        replica->leading == TAKE_COPYING)
        return;
    if (ours && barrier->epoch == replica->epoch) {
        replica->barrier_read = true;
        replica->owned = true;
        slot->writer.judged = false; /* others may have written before it */
        slot->path.joined = slot->path.joined || replica->leading == LEADING;
        slot->path.unfit = slot->path.unfit && replica->leading != LEADING;
        return;
    }
    if (barrier->epoch < replica->epoch)
        return;
    if (replica->leading == TAKE_BARRIER || replica->owned || slot->writer.active)
        depose(replica, barrier->node, barrier->epoch);
}

/* What is pending was delivered to nobody, and never will be by us. */
void leader_stop(struct replica *replica)
{
    enum leading before = replica->leading;
    replica->leading = NOT_LEADING;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        writer_stop(&replica->slots[i]);
    if (before != LEADING)
        return;
    replica->writing = false;
    replica->collect = false;
    replica_set_mode(replica, replica->served ? REPLICA_FOLLOWER_CARRIER : REPLICA_STARTING,
                     replica->fenced ? "deposed" : "it follows now");
}
