/* SPDX-License-Identifier: Apache-2.0 */
/* Making a replica, its time, and what others see of it. */
#include "cluster/replica_priv.h"

#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define SAMPLE_MS 40
#define TICK_MOST_MS 500 /* more time than that at once was not lived: the process was stopped */

const char *const replica_mode_names[REPLICA_MODE_COUNT] = {
    [REPLICA_STARTING] = "starting",           [REPLICA_LEADER_CARRIER] = "leader-carrier",
    [REPLICA_LEADER_DIRECT] = "leader-direct", [REPLICA_FOLLOWER_CARRIER] = "follower-carrier",
    [REPLICA_FOLLOWER_PEER] = "follower-peer", [REPLICA_ALONE] = "alone",
};

/* ---- life ---- */

struct replica *replica_create(const struct replica_options *options)
{
    struct replica *replica = memory_alloc(sizeof *replica);
    replica->options = *options;
    replica->inlet = (struct inlet){.carrier.kind = &replica_inlet_kind, .replica = replica};
    replica->log = journal_create("", 1, options->retain);
    journal_measure(replica->log);
    replica->pending = journal_create("", 1, LIMIT_PENDING);
    replica->sequencer = sequencer_create("none", 1, 0, 0, &replica->inlet.carrier);
    replica->ledger = ledger_create();
    replica->clock_ns = options->ports.now_ns(options->ports.context);
    replica->now_ns = replica->clock_ns;
    replica->since_us = options->ports.wall_us(options->ports.context);
    replica->lonely_ns = replica->now_ns;
    replica->take_ns = replica->now_ns;
    replica->reason = "";
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].replica = replica;
    buffer_init(&replica->scratch, LIMIT_RECORD + LIMIT_PADDING + 1);
    buffer_init(&replica->left_states, LEFT_STATES_MAX);
    replica->fenced_records = metric_series(METRIC_FENCED, "");
    replica->repeated_records = metric_series(METRIC_REPEATED, "");
    replica->early_records = metric_series(METRIC_EARLY, "");
    return replica;
}

void replica_destroy(struct replica *replica)
{
    if (replica == NULL)
        return;
    writer_forget_places(replica);
    journal_destroy(replica->shadow);
    journal_destroy(replica->pending);
    journal_destroy(replica->log);
    sequencer_destroy(replica->sequencer);
    ledger_destroy(replica->ledger);
    buffer_release(&replica->scratch);
    buffer_release(&replica->left_states);
    memory_free(replica);
}

struct journal *replica_journal(struct replica *replica)
{
    return replica->log;
}

struct sequencer *replica_sequencer(struct replica *replica)
{
    return replica->sequencer;
}

/* ---- its part ---- */

void replica_lead(struct replica *replica, int64_t epoch_floor)
{
    replica->epoch_floor = epoch_floor;
    if (replica->leading == LEADING && replica->epoch <= epoch_floor)
        leader_stop(replica); /* others have led meanwhile: what is pending counts no more */
    if (replica->leading != NOT_LEADING)
        return;
    replica->fenced = false;
    replica->owned = false;
    replica->home = NULL;
    replica->leading = TAKE_READING;
    replica->take_ns = replica->now_ns;
}

void replica_follow(struct replica *replica)
{
    leader_stop(replica);
}

void replica_leave(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    replica->collect = false;
    if (replica->collecting)
        ports->collect(ports->context, false);
    replica->collecting = false;
    replica->leaving = true;
}

bool replica_is_flushed(const struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        const struct slot *slot = &replica->slots[i];
        if (slot_is_up(slot) && slot->writer.active &&
            slot->path.reading.seq < replica_written(replica))
            return false;
    }
    return true;
}

/* ---- carriers ---- */

/* A follower's source changes with it at once, its mode when something else feeds the log. */
static void tell_source(struct replica *replica, const struct slot *slot, const char *reason)
{
    if (replica->mode == REPLICA_FOLLOWER_CARRIER && replica->home == slot)
        replica->reason = reason;
    replica->changed = true;
}

void replica_attach(struct replica *replica, size_t index, struct carrier *carrier)
{
    struct slot *slot = &replica->slots[index];
    assert(slot->carrier == NULL);
    slot->carrier = carrier;
    slot->state = CARRIER_CONNECTING;
    slot->breaks = 0;
    slot->restart = false;
    slot->restart_ns = 0;
    slot->healthy_ns = 0;
    slot->writer = (struct writer){0};
    slot->path = (struct path){.barrier_position = -1};
    tell_source(replica, slot, "the carrier is used again");
}

void replica_detach(struct replica *replica, size_t index)
{
    struct slot *slot = &replica->slots[index];
    if (slot->carrier == NULL)
        return;
    writer_stop(slot);
    if (replica->shadow_path == &slot->path)
        shadow_drop(replica);
    slot->carrier = NULL;
    slot->path = (struct path){.barrier_position = -1};
    tell_source(replica, slot, "the carrier is not used any more");
}

struct slot *replica_slot(struct replica *replica, bool alive)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        struct slot *slot = &replica->slots[i];
        if (slot_is_up(slot) && slot->path.caught_up &&
            (!alive || path_is_alive(replica, &slot->path)))
            return slot;
    }
    return NULL;
}

bool any_attached(const struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        if (replica->slots[i].carrier != NULL)
            return true;
    return false;
}

bool any_reading(const struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        const struct slot *slot = &replica->slots[i];
        if (slot_is_up(slot) && !slot->path.caught_up && path_is_alive(replica, &slot->path))
            return true;
    }
    return false;
}

void slot_begin_anew(struct slot *slot)
{
    struct replica *replica = slot->replica;
    int64_t again_ns = replica->options.times.silence * NS_PER_MS;
    if (slot->restart || (slot->restart_ns != 0 && replica->now_ns - slot->restart_ns < again_ns))
        return; /* it is under way, or was a moment ago */
    slot->restart = true;
    slot->restart_ns = replica->now_ns;
    slot->path.caught_up = false;
    slot->carrier->kind->restart(slot->carrier);
}

static void slot_look(struct slot *slot)
{
    struct replica *replica = slot->replica;
    struct carrier_info info;
    if (slot->carrier == NULL)
        return;
    slot->carrier->kind->describe(slot->carrier, &info);
    if (info.state != slot->state || info.breaks != slot->breaks)
        replica->changed = true;
    if (info.breaks != slot->breaks)
        replica->untried = false;
    if (info.breaks != slot->breaks && slot->writer.refill_seq == 0) {
        int64_t from_ns = replica->now_ns - replica->options.times.refill * NS_PER_MS;
        slot->writer.refill_seq = sample_seq_at(replica, from_ns) + 1;
    }
    slot->state = info.state;
    slot->breaks = info.breaks;
}

/* ---- the peer link ---- */

void replica_want_peer(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    int64_t last = journal_next(replica->log) - 1, epoch = journal_epoch_at(replica->log, last);
    char since[LIMIT_STREAM_ID + 48] = "";
    if (replica->peer_wanted)
        return;
    if (replica->peer_anew)
        replica->peer_anew = false; /* once, with a snapshot */
    else if (replica->mode == REPLICA_ALONE)
        left_token(replica, since, sizeof since);
    else if (replica->served && epoch > 0)
        snprintf(since, sizeof since, "%s.%lld.%lld", journal_stream(replica->log),
                 (long long)epoch, (long long)last);
    replica->peer_wanted = true;
    ports->peer_open(ports->context, since);
}

void replica_forget_peer(struct replica *replica)
{
    replica->peer_linked = false;
    replica->peer_there = false;
    replica->peer.joined = false;
    replica->refused_ns = 0;
    if (replica->shadow_path == &replica->peer)
        shadow_drop(replica);
}

void replica_drop_peer(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    if (!replica->peer_wanted)
        return;
    replica_forget_peer(replica);
    replica->peer_wanted = false;
    ports->peer_close(ports->context);
}

/* ---- modes and time ---- */

void replica_set_mode(struct replica *replica, enum replica_mode mode, const char *reason)
{
    const struct replica_ports *ports = &replica->options.ports;
    if (replica->mode == mode)
        return;
    log_info("cluster", log_text("msg", "mode"), log_text("mode", replica_mode_names[mode]),
             log_text("before", replica_mode_names[replica->mode]), log_text("reason", reason),
             log_text("stream", journal_stream(replica->log)),
             log_int("epoch", journal_barrier_epoch(replica->log)),
             log_int("seq", journal_next(replica->log) - 1));
    replica->mode = mode;
    replica->since_us = ports->wall_us(ports->context);
    replica->reason = reason;
    replica->changes++;
    replica->changed = true;
    replica->lonely_ns = 0;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].healthy_ns = 0;
}

static void replica_live(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    int64_t clock_ns = ports->now_ns(ports->context), lived_ns = clock_ns - replica->clock_ns;
    if (lived_ns > TICK_MOST_MS * NS_PER_MS) {
        replica->stopped_ns = lived_ns;
        lived_ns = TICK_MOST_MS * NS_PER_MS;
        replica->woken_ns = replica->now_ns + lived_ns; /* who writes now is to be read first */
    }
    replica->clock_ns = clock_ns;
    replica->now_ns += lived_ns;
    if (replica->sample_count > 0 && replica->now_ns - replica->sampled_ns < SAMPLE_MS * NS_PER_MS)
        return;
    replica->sampled_ns = replica->now_ns;
    replica->samples[replica->sample_count++ % SAMPLES] =
        (struct sample){.seq = replica_written(replica), .ns = replica->now_ns};
}

/* Outside all callbacks of carriers, and last: what is collected is published at once. */
static void replica_apply(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    if (replica->changed) {
        replica->changed = false;
        ports->changed(ports->context);
    }
    if (replica->leaving || replica->collect == replica->collecting)
        return;
    replica->collecting = replica->collect;
    ports->collect(ports->context, replica->collect);
}

void replica_tick(struct replica *replica)
{
    replica_live(replica);
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        slot_look(&replica->slots[i]);
    if (replica->leading != LEADING)
        follower_tick(replica);
    if (replica->leading != NOT_LEADING)
        leader_tick(replica);
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        writer_tick(&replica->slots[i]);
        notes_tick(&replica->slots[i]);
    }
    replica_apply(replica);
}

/* ---- what it is ---- */

static const char *source_of(const struct replica *replica)
{
    switch (replica->mode) {
    case REPLICA_LEADER_CARRIER:
    case REPLICA_FOLLOWER_CARRIER:
        for (size_t i = 0; i < REPLICA_CARRIERS; i++)
            if (replica->home == &replica->slots[i] && replica->slots[i].carrier != NULL)
                return replica->slots[i].carrier->kind->name;
        /* Nothing feeds a follower whose carrier is not used any more, until a peer does. */
        return replica->mode == REPLICA_FOLLOWER_CARRIER ? "peer" : "direct";
    case REPLICA_FOLLOWER_PEER:
        return "peer";
    case REPLICA_STARTING:
    case REPLICA_LEADER_DIRECT:
    case REPLICA_ALONE:
    case REPLICA_MODE_COUNT:
        return "direct";
    }
    return "direct";
}

static int64_t lag_of(const struct replica *replica)
{
    if (replica->leading == LEADING) {
        int64_t age_ns = replica->home == NULL ? 0 : unread_age_ns(replica, replica->home);
        return age_ns == INT64_MAX ? -1 : age_ns / NS_PER_MS;
    }
    const struct path *path = replica->mode == REPLICA_FOLLOWER_PEER ? &replica->peer
                              : replica->home != NULL                ? &replica->home->path
                                                                     : NULL;
    return path == NULL || !path->heard ? -1 : (replica->now_ns - path->heard_ns) / NS_PER_MS;
}

void replica_describe(const struct replica *replica, struct replica_info *ret_info)
{
    const struct path *path = replica->mode == REPLICA_FOLLOWER_PEER ? &replica->peer
                              : replica->home != NULL                ? &replica->home->path
                                                                     : &replica->peer;
    *ret_info = (struct replica_info){
        .mode = replica->mode,
        .leader = replica->leading == LEADING,
        .fenced = replica->fenced,
        .fenced_by = replica->fenced_by,
        .fenced_epoch = replica->fenced_epoch,
        .fallen_out = replica->fallen_out && replica->leading == LEADING,
        .source = source_of(replica),
        .reason = replica->reason,
        .leader_node = replica->leading == LEADING ? replica->options.node : path->leader,
        .since_us = replica->since_us,
        .lag_ms = lag_of(replica),
        .changes = replica->changes,
        .rewrites = replica->rewrites,
    };
}
