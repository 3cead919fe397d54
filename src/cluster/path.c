/* SPDX-License-Identifier: Apache-2.0 */
/* What a carrier or the peer brings: first its own reading rule, then against the log. */
#include "cluster/replica_priv.h"

#include "base/log.h"

#define FENCED_MOST_MS 2000
#define LOST_STALLS 2 /* a writer that finds a hole has filled it by then */

void path_begin(struct replica *replica, struct path *path, const struct checkpoint *from)
{
    struct slot *slot = slot_of(replica, path);
    reading_begin(&path->reading, from);
    path->caught_up = false;
    path->joined = false;
    path->unfit = false;
    path->lost = false;
    path->early_ns = 0;
    path->barrier_position = -1;
    path->believed = from->position;
    if (slot != NULL)
        slot->writer.judged = false;
    if (replica->shadow_path == path)
        shadow_drop(replica);
}

/* From here on its states tell of the log; those before may have been of another one. */
void path_join(struct replica *replica, struct path *path)
{
    const struct slot *slot = slot_of(replica, path);
    if (path->joined)
        return;
    path->joined = true;
    if (slot != NULL)
        path->believed = slot->carrier->kind->position(slot->carrier);
}

bool path_is_alive(const struct replica *replica, const struct path *path)
{
    int64_t silence_ns = replica->options.times.silence * NS_PER_MS;
    return path->heard && replica->now_ns - path->heard_ns < silence_ns;
}

static void path_hear(struct replica *replica, struct path *path)
{
    path->heard = true;
    path->heard_ns = replica->now_ns;
    path->fenced_ns = 0;
    path->alarmed = false;
}

/* ---- the log ---- */

bool log_accept(struct replica *replica, const struct record *record)
{
    struct replica_trade trade;
    const struct replica_ports *ports = &replica->options.ports;
    if (journal_append(replica->log, record) != JOURNAL_ACCEPTED)
        return false;
    if (ports->identify(ports->context, record, &trade))
        ledger_deliver(replica->ledger, trade.hash, trade.recv_us,
                       replica->mode == REPLICA_ALONE ? record->seq : 0);
    return true;
}

static void path_misfit(struct path *path)
{
    path->joined = false;
    path->unfit = true;
}

/* Our own numbers come back with other bytes: nothing of it goes to anybody by us. */
static bool is_usurped(struct replica *replica, struct path *path, const struct record *record)
{
    struct slot *slot = slot_of(replica, path);
    if (replica->leading != LEADING || slot == NULL || !slot->writer.active ||
        writer_wrote(slot, record))
        return false;
    replica->usurped = true;
    path_misfit(path);
    return true;
}

/* What comes next is for the sequencer alone to say: it delivers at once. */
static bool is_delivering(const struct replica *replica)
{
    return replica->writing && replica->mode != REPLICA_LEADER_CARRIER;
}

/* The path has accepted it; the log is of the same stream. */
static void path_hold(struct replica *replica, struct path *path, const struct record *record)
{
    int64_t next = journal_next(replica->log);
    if (is_usurped(replica, path, record))
        return;
    if (record->seq > next || (record->seq == next && is_delivering(replica))) {
        path_misfit(path);
    } else if (record->seq < next) {
        int64_t epoch = journal_epoch_at(replica->log, record->seq);
        if (epoch == record->epoch && !path->unfit)
            path_join(replica, path);
        else if (epoch != 0 && epoch != record->epoch)
            path_misfit(path);
    } else if (path->joined) {
        if (record->epoch > journal_barrier_epoch(replica->log))
            journal_barrier(replica->log, record->stream, record->epoch);
        if (log_accept(replica, record)) /* else fenced by what another path knows */
            pending_read_back(replica, record);
    }
}

static void path_count(struct replica *replica, enum reading_verdict verdict)
{
    switch (verdict) {
    case READING_FENCED:
        metric_add(replica->fenced_records, 1);
        return;
    case READING_REPEATED:
        metric_add(replica->repeated_records, 1);
        return;
    case READING_EARLY:
        metric_add(replica->early_records, 1);
        return;
    case READING_ACCEPTED:
    case READING_FOREIGN:
    case READING_LOST:
        return;
    }
}

/* A deposed leader goes on writing, and the one that deposed it does not: a person must look. */
static void path_alarm(struct replica *replica, struct path *path, const struct record *record)
{
    if (path->fenced_ns == 0)
        path->fenced_ns = replica->now_ns;
    if (path->alarmed || replica->now_ns - path->fenced_ns < FENCED_MOST_MS * NS_PER_MS)
        return;
    path->alarmed = true;
    metric_add(metric_series(METRIC_FENCED_ALARMS, ""), 1);
    log_error(
        "cluster", log_text("msg", "all that comes is of an older epoch, and dropped"),
        log_int("epoch", record->epoch), log_int("newest", path->reading.epoch),
        log_text("newest_by", path->leader),
        log_text("hint", "a node that was deposed writes on, and the newest leader is silent"));
}

/* A reading that can't go on where it stands is begun anew; but a leader writes what it lacks. */
static void path_look(struct replica *replica, struct path *path, enum reading_verdict verdict)
{
    int64_t most_ns = LOST_STALLS * replica->options.times.stall * NS_PER_MS;
    if (verdict == READING_ACCEPTED)
        path->early_ns = 0;
    if (verdict == READING_EARLY && path->early_ns == 0)
        path->early_ns = replica->now_ns;
    if (verdict == READING_LOST || (verdict == READING_EARLY && replica->leading != LEADING &&
                                    replica->now_ns - path->early_ns >= most_ns)) {
        path_misfit(path);
        path->lost = true;
    }
}

void path_record(struct replica *replica, struct path *path, const struct record *record)
{
    if (record->epoch > path->newest)
        path->newest = record->epoch;
    enum reading_verdict verdict =
        reading_record(&path->reading, record->stream, record->epoch, record->seq);
    path_count(replica, verdict);
    if (verdict != READING_FENCED && verdict != READING_FOREIGN)
        path_hear(replica, path); /* a deposed leader's writes are no sign of a leader */
    path_look(replica, path, verdict);
    if (verdict == READING_FENCED)
        path_alarm(replica, path, record);
    if (verdict != READING_ACCEPTED)
        return;
    if (replica->shadow_path == path)
        shadow_record(replica, record);
    else if (strcmp(record->stream, journal_stream(replica->log)) == 0)
        path_hold(replica, path, record);
    else
        path_misfit(path);
}

/* ---- barriers ---- */

/*
 * From here on nothing of an older epoch is accepted, whoever brings it: also what came before the
 * barrier, where the log has not got so far. What the log has beyond the path's q is not of the new
 * epoch, unless the log is its writer's own.
 */
static void log_fence(struct replica *replica, struct path *path, int64_t epoch)
{
    const char *stream = journal_stream(replica->log);
    bool same = strcmp(path->reading.stream, stream) == 0;
    int64_t last = journal_next(replica->log) - 1;
    int64_t behind = journal_epoch_at(replica->log, path->reading.seq + 1);
    if (!same || path->reading.seq > last ||
        (path->reading.seq < last && behind != 0 && behind < epoch))
        path_misfit(path);
    if (!replica->writing)
        journal_barrier(replica->log, stream, epoch);
}

/* FENCES: none is known. */
static size_t fence_index(const struct replica *replica, const char *stream)
{
    size_t index = 0;
    while (index < FENCES && strcmp(replica->fences[index].stream, stream) != 0)
        index++;
    return index;
}

int64_t fence_of(const struct replica *replica, const char *stream)
{
    size_t index = fence_index(replica, stream);
    return index == FENCES ? 0 : replica->fences[index].epoch;
}

/* Known also when no log and no reading is of that stream: who speaks of it by the peer is judged
 * by it. */
static void fence_note(struct replica *replica, const struct barrier *barrier)
{
    size_t index = fence_index(replica, barrier->stream);
    if (index == FENCES)
        index = replica->fence_count++ % FENCES; /* the oldest one's place */
    struct fence *fence = &replica->fences[index];
    if (barrier->epoch <= fence_of(replica, barrier->stream))
        return;
    keep_text(fence->stream, sizeof fence->stream, barrier->stream);
    fence->epoch = barrier->epoch;
}

/* Nor does a shadow take it from the peer. (One that is filled by a carrier comes to the barrier
 * itself.) */
static void shadow_fence(struct replica *replica, const struct path *path,
                         const struct barrier *barrier)
{
    if (replica->shadow_path == &replica->peer && path != &replica->peer)
        journal_barrier(replica->shadow, barrier->stream, barrier->epoch);
}

bool path_barrier(struct replica *replica, struct path *path, const struct barrier *barrier)
{
    if (barrier->epoch > path->newest)
        path->newest = barrier->epoch;
    if (path != &replica->peer)
        fence_note(replica, barrier);
    shadow_fence(replica, path, barrier);
    if (!reading_barrier(&path->reading, barrier)) {
        /* Where it stands, is unknown. Who writes the log is deposed, or goes on (leader.c). */
        if (strcmp(path->reading.stream, barrier->stream) != 0 && !replica->writing)
            journal_barrier(replica->log, barrier->stream, barrier->epoch);
        return false;
    }
    path->barrier_position = barrier->position;
    path->early_ns = 0;
    keep_text(path->leader, sizeof path->leader, barrier->node);
    path_hear(replica, path);
    if (barrier->start >= 0) /* whatever was before is of another stream, or another history */
        path->joined = path->unfit = path->lost = false;
    if (replica->shadow_path == path) {
        if (barrier->start >= 0)
            shadow_open(replica, path, barrier->stream, barrier->start + 1);
        journal_barrier(replica->shadow, barrier->stream, barrier->epoch);
    }
    log_fence(replica, path, barrier->epoch);
    return true;
}

/* Where a path has stood still, its last record tells whether the log goes that way. */
void path_caught_up(struct replica *replica, struct path *path)
{
    const struct reading *reading = &path->reading;
    path->caught_up = true;
    if (replica->shadow_path == path || path->joined || path->unfit)
        return;
    if (strcmp(reading->stream, journal_stream(replica->log)) != 0 || reading->stream[0] == '\0')
        return;
    int64_t epoch = journal_epoch_at(replica->log, reading->seq);
    if (epoch != 0 && epoch == reading->record_epoch)
        path_join(replica, path);
}

/* ---- what a carrier calls ---- */

static void slot_began(void *context, const struct checkpoint *from)
{
    struct slot *slot = context;
    struct replica *replica = slot->replica;
    bool wanted = slot->restart || !replica->served;
    slot->restart = false;
    path_begin(replica, &slot->path, from);
    if (wanted && replica->leading != LEADING) {
        shadow_open(replica, &slot->path, from->stream, from->seq + 1);
        replica->shadow_states = from->states;
        replica->shadow_whole = from->stream[0] != '\0' && from->states == 0;
    }
    slot->writer.barrier = from->epoch;
    notes_reset(&slot->writer);   /* its places were in what was there before */
    slot->writer.progress_ns = 0; /* what it lacks is written as soon as that is known */
}

static void slot_barrier(void *context, const struct barrier *barrier)
{
    struct slot *slot = context;
    struct replica *replica = slot->replica;
    bool obeyed = path_barrier(replica, &slot->path, barrier);
    bool newer = barrier->epoch > replica->epoch &&
                 strcmp(barrier->stream, journal_stream(replica->log)) == 0;
    if (obeyed && barrier->epoch > slot->writer.barrier)
        slot->writer.barrier = barrier->epoch;
    if (obeyed || newer)
        leader_barrier(replica, slot, barrier);
}

/* Of a stream that can't be read here, since its beginning has expired: its epoch's barrier was
 * there all the same. */
static void slot_hear_of(struct slot *slot, const char *stream, int64_t epoch, const char *node)
{
    struct barrier barrier = {
        .stream = stream, .epoch = epoch, .start = -1, .writer = "", .node = node, .position = -1};
    if (strcmp(slot->path.reading.stream, stream) != 0 && stream[0] != '\0' &&
        epoch > fence_of(slot->replica, stream))
        slot_barrier(slot, &barrier);
}

static void slot_record(void *context, const struct record *record)
{
    struct slot *slot = context;
    int64_t before = slot->path.reading.seq;
    slot_hear_of(slot, record->stream, record->epoch, "");
    path_record(slot->replica, &slot->path, record);
    if (slot->path.reading.seq != before)
        writer_progress(slot);
}

/* Somebody leads there, and can be begun with, but not from where the reading stands: its barrier
 * has not come, or another of the same epoch, which nobody follows, was the first for us. */
static bool is_beside(const struct replica *replica, const struct path *path,
                      const struct beacon *beacon)
{
    const struct reading *reading = &path->reading;
    if (beacon->start.stream[0] == '\0')
        return false;
    return beacon->now.epoch > reading->epoch ||
           (beacon->now.epoch == reading->epoch &&
            strcmp(beacon->now.stream, reading->stream) != 0 && !path_is_alive(replica, path));
}

static void slot_beacon(void *context, const struct beacon *beacon)
{
    struct slot *slot = context;
    struct path *path = &slot->path;
    slot_hear_of(slot, beacon->now.stream, beacon->now.epoch, beacon->node);
    if (beacon->now.epoch > path->newest)
        path->newest = beacon->now.epoch;
    if (is_beside(slot->replica, path, beacon))
        path_look(slot->replica, path, READING_EARLY);
    if (beacon->now.epoch != path->reading.epoch ||
        strcmp(beacon->now.stream, path->reading.stream) != 0)
        return; /* of a deposed leader, or of one that we can't follow */
    if (beacon->now.seq > path->reading.seq) /* it has read this far, and found more than we */
        path_look(slot->replica, path, READING_EARLY);
    path_hear(slot->replica, path);
    if (path->barrier_position < 0)
        path->barrier_position = beacon->barrier;
    keep_text(path->leader, sizeof path->leader, beacon->node);
    if (strcmp(beacon->start.stream, path->reading.stream) != 0 ||
        beacon->start.position < path->believed)
        return;
    if (slot->replica->shadow_path == path) /* promised nothing: it began with its stream */
        slot->replica->shadow_whole =
            slot->replica->shadow_whole || slot->replica->shadow_states == 0;
    else if (path->joined)
        slot->replica->whole = true;
}

static void slot_state(void *context, const struct state_note *state)
{
    struct slot *slot = context;
    struct replica *replica = slot->replica;
    const struct replica_ports *ports = &replica->options.ports;
    const struct path *path = &slot->path;
    if (state->epoch != path->reading.epoch || strcmp(state->stream, path->reading.stream) != 0 ||
        state->seq > path->reading.seq)
        return; /* the last: what it tells of was lost behind it, and may never come */
    if (replica->leading == LEADING)
        notes_read_back(slot, state);
    else if (replica->shadow_path == path)
        shadow_state(replica, state);
    else if (path->joined && !replica->writing) /* of a stream that began while we were here */
        ports->load_state(ports->context, replica->log, state);
}

static void slot_caught_up(void *context)
{
    struct slot *slot = context;
    path_caught_up(slot->replica, &slot->path);
}

void replica_reader(struct replica *replica, size_t index, struct carrier_reader *ret_reader)
{
    *ret_reader = (struct carrier_reader){
        .began = slot_began,
        .record = slot_record,
        .barrier = slot_barrier,
        .beacon = slot_beacon,
        .state = slot_state,
        .caught_up = slot_caught_up,
        .context = &replica->slots[index],
    };
}
