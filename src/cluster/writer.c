/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a carrier is given. The log and, behind it, what is pending are the queue: the carrier is
 * written to from what its own reading has accepted, at most LIMIT_WINDOW records ahead of that,
 * and again from there when the reading stands still (go back N). Before the first record of an
 * epoch goes its barrier.
 */
#include "cluster/replica_priv.h"

#include "base/log.h"

#include <assert.h>

#define COPIER "copy" /* who writes the barrier of another's epoch, and does not own it */

/* ---- the sequencer's end ---- */

static bool pending_is_full(const struct replica *replica)
{
    return replica->pending_bytes > LIMIT_PENDING / 2;
}

/* Clients are served what was read back; else, or when there is too much of it, at once. */
static enum carrier_result inlet_write(struct carrier *carrier, const struct record *record)
{
    struct replica *replica = ((struct inlet *)carrier)->replica;
    bool accepted;
    if (!replica->writing)
        return CARRIER_DOWN;
    if (replica->mode == REPLICA_LEADER_CARRIER && pending_is_full(replica)) {
        pending_deliver(replica);
        replica_set_mode(replica, REPLICA_LEADER_DIRECT, "too much waits to be read back");
    }
    if (replica->mode == REPLICA_LEADER_CARRIER) {
        accepted = journal_append(replica->pending, record) == JOURNAL_ACCEPTED;
        replica->pending_bytes += record->text.size;
    } else {
        accepted = log_accept(replica, record);
    }
    if (!accepted)
        return CARRIER_DOWN; /* fenced a moment ago: it will be told */
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        writer_pump(&replica->slots[i]);
    return CARRIER_TAKEN;
}

/* The barrier was written and read back, or is written by the pump. */
static enum carrier_result inlet_write_barrier(struct carrier *carrier,
                                               const struct barrier *barrier)
{
    (void)carrier;
    (void)barrier;
    return CARRIER_TAKEN;
}

const struct carrier_kind replica_inlet_kind = {
    .name = "replica",
    .write = inlet_write,
    .write_barrier = inlet_write_barrier,
};

/* ---- pending ---- */

void pending_begin(struct replica *replica)
{
    writer_forget_places(replica);
    journal_restart(replica->pending, journal_stream(replica->log), journal_next(replica->log));
    journal_barrier(replica->pending, journal_stream(replica->log), replica->epoch);
    replica->pending_bytes = 0;
}

void pending_deliver(struct replica *replica)
{
    struct cursor cursor = {0};
    struct record record;
    if (journal_next(replica->log) < journal_next(replica->pending)) {
        bool held = cursor_attach(&cursor, replica->pending, journal_next(replica->log));
        assert(held);
        (void)held;
        while (journal_read(replica->pending, &cursor, &replica->scratch, replica->key, &record))
            (void)log_accept(replica, &record);
        cursor_detach(&cursor);
    }
    writer_forget_places(replica);
    replica->pending_bytes = 0;
}

void pending_read_back(struct replica *replica, const struct record *record)
{
    uint64_t size = record->text.size;
    if (replica->mode == REPLICA_LEADER_CARRIER)
        replica->pending_bytes -= size < replica->pending_bytes ? size : replica->pending_bytes;
}

/* Behind its head, a text has the same body under any number. */
static struct slice record_body(const struct record *record)
{
    struct slice body = record->text;
    size_t head = sizeof "{\"type\":\"\",\"seq\":" - 1 + record->type.size;
    while (head < body.size && body.data[head] != ',')
        head++;
    return (struct slice){.data = body.data + head + 1, .size = body.size - head - 1};
}

void sequence_again(struct replica *replica, const struct record *record)
{
    struct slice body = record_body(record);
    char type[LIMIT_KEY];
    char *room = slice_copy(record->type, type, sizeof type)
                     ? sequencer_reserve(replica->sequencer, type, body.size)
                     : NULL;
    if (room == NULL)
        return; /* longer than any record */
    memcpy(room, body.data, body.size);
    (void)sequencer_commit(replica->sequencer, record->key, body.size);
}

void pending_sequence_again(struct replica *replica, int64_t seq)
{
    struct cursor cursor = {0};
    struct record record;
    if (seq >= journal_next(replica->pending) || !cursor_attach(&cursor, replica->pending, seq))
        return;
    while (journal_read(replica->pending, &cursor, &replica->scratch, replica->key, &record)) {
        if (!slice_is(record.type, "epoch"))
            sequence_again(replica, &record);
    }
    cursor_detach(&cursor);
}

int64_t replica_written(const struct replica *replica)
{
    int64_t next = journal_next(replica->log);
    if (replica->mode == REPLICA_LEADER_CARRIER && journal_next(replica->pending) > next)
        next = journal_next(replica->pending);
    return next - 1;
}

/* ---- reading again what is to be written ---- */

static void places_detach(struct writer *writer)
{
    cursor_detach(&writer->place.cursor);
    cursor_detach(&writer->check.cursor);
}

void writer_forget_places(struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        places_detach(&replica->slots[i].writer);
}

/* The record `seq`, from the log or from what is pending, at a place that is kept for the next one.
 * False: neither holds it. */
static bool read_own(struct replica *replica, struct place *place, int64_t seq,
                     struct record *ret_record)
{
    bool in_pending = seq >= journal_next(replica->log);
    struct journal *from = in_pending ? replica->pending : replica->log;
    bool placed = place->cursor.segment != NULL && place->in_pending == in_pending &&
                  place->cursor.seq == seq && !cursor_lost(&place->cursor);
    if (!placed) {
        cursor_detach(&place->cursor);
        place->in_pending = in_pending;
        if (!cursor_attach(&place->cursor, from, seq))
            return false;
    }
    return journal_read(from, &place->cursor, &replica->scratch, replica->key, ret_record);
}

bool writer_wrote(struct slot *slot, const struct record *record)
{
    struct replica *replica = slot->replica;
    struct record own;
    if (record->seq > replica_written(replica))
        return false;
    if (record->epoch != replica->epoch || record->seq < journal_first(replica->log))
        return true; /* of before, or no longer known */
    return read_own(replica, &slot->writer.check, record->seq, &own) &&
           slice_equal(own.text, record->text);
}

/* ---- writing ---- */

static bool write_barrier_of(struct slot *slot, const struct record *record)
{
    const struct replica *replica = slot->replica;
    const struct path *path = &slot->path;
    bool same = strcmp(path->reading.stream, record->stream) == 0;
    bool ours = replica->leading == LEADING && record->epoch == replica->epoch;
    struct barrier barrier = {.stream = record->stream,
                              .epoch = record->epoch,
                              .start = same ? -1 : record->seq - 1,
                              .writer = ours ? replica->writer_id : COPIER,
                              .node = replica->options.node,
                              .position = -1};
    if (slot->carrier->kind->write_barrier(slot->carrier, &barrier) != CARRIER_TAKEN)
        return false;
    slot->writer.barrier = record->epoch;
    return true;
}

/* An epoch is whose barrier of it is the first: until ours has come back nothing of ours goes
 * there, where it would count as the owner's. What others wrote is copied as it is. */
static bool waits_for_barrier(const struct slot *slot, int64_t epoch)
{
    const struct replica *replica = slot->replica;
    return replica->leading == LEADING && epoch == replica->epoch &&
           slot->path.reading.epoch < epoch;
}

static bool writer_has_room(const struct slot *slot)
{
    return slot->writer.next - slot->path.reading.seq <= LIMIT_WINDOW ||
           strcmp(slot->path.reading.stream, journal_stream(slot->replica->log)) != 0;
}

void writer_pump(struct slot *slot)
{
    struct replica *replica = slot->replica;
    struct writer *writer = &slot->writer;
    struct record record;
    if (!writer->active || !writer->judged || slot->state != CARRIER_UP)
        return;
    int64_t last = replica_written(replica), turn = writer->next + LIMIT_WINDOW;
    while (writer->next <= last && writer->next < turn && writer_has_room(slot)) {
        if (!read_own(replica, &writer->place, writer->next, &record))
            return; /* it fell out of the log: writer_can_fill says so */
        if (record.epoch > writer->barrier && !write_barrier_of(slot, &record))
            return;
        if (waits_for_barrier(slot, record.epoch) ||
            slot->carrier->kind->write(slot->carrier, &record) != CARRIER_TAKEN)
            return;
        writer->next++;
    }
}

/* ---- beginning, going back ---- */

void writer_start(struct slot *slot, int64_t next)
{
    struct writer *writer = &slot->writer;
    writer->active = true;
    writer->judged = true;
    writer->next = next;
    writer->barrier = slot->path.reading.epoch;
    writer->progress_ns = slot->replica->now_ns;
    notes_reset(writer);
}

void writer_stop(struct slot *slot)
{
    slot->writer.active = false;
    places_detach(&slot->writer);
    if (slot->carrier != NULL)
        slot->carrier->kind->forget(slot->carrier);
}

void writer_progress(struct slot *slot)
{
    struct writer *writer = &slot->writer;
    writer->progress_ns = slot->replica->now_ns;
    if (writer->active && writer->next <= slot->path.reading.seq)
        writer->next = slot->path.reading.seq + 1; /* an earlier write of it came through */
}

/* Where the carrier's own reading of this stream stands; else where this epoch began. */
static int64_t writer_rewind_to(const struct slot *slot)
{
    const struct replica *replica = slot->replica;
    if (strcmp(slot->path.reading.stream, journal_stream(replica->log)) == 0)
        return slot->path.reading.seq + 1;
    int64_t first = journal_first(replica->log);
    return first > replica->epoch_first ? first : replica->epoch_first;
}

bool writer_can_fill(const struct slot *slot)
{
    const struct journal *log = slot->replica->log;
    const struct reading *reading = &slot->path.reading;
    int64_t next = writer_rewind_to(slot), epoch = journal_epoch_at(log, next);
    if (next < journal_first(log))
        return false;
    /* Behind a barrier that came in too early what belongs before it does not count any more. */
    return epoch == 0 || epoch >= reading->epoch ||
           strcmp(reading->stream, journal_stream(log)) != 0;
}

static void writer_rewind(struct slot *slot, int64_t next, const char *why)
{
    struct replica *replica = slot->replica;
    struct writer *writer = &slot->writer;
    log_info("cluster", log_text("msg", "writing again"), log_text("why", why),
             log_int("from", next), log_int("to", replica_written(replica)));
    slot->carrier->kind->forget(slot->carrier);
    places_detach(writer);
    writer->next = next;
    writer->barrier = slot->path.reading.epoch;
    writer->progress_ns = replica->now_ns;
    notes_again(writer);
    replica->rewrites++;
}

/* A carrier that was gone is given again what came shortly before, of this epoch: it may have lost
 * what we have read. */
static int64_t writer_refill_from(const struct slot *slot)
{
    const struct replica *replica = slot->replica;
    int64_t next = writer_rewind_to(slot), from = slot->writer.refill_seq;
    int64_t first = journal_first(replica->log);
    if (from < first)
        from = first;
    while (from < next && journal_epoch_at(replica->log, from) != replica->epoch)
        from++;
    return from < next ? from : next;
}

void writer_tick(struct slot *slot)
{
    struct replica *replica = slot->replica;
    struct writer *writer = &slot->writer;
    const struct replica_times *times = &replica->options.times;
    if (!writer->active || slot->state != CARRIER_UP || !slot->path.caught_up)
        return;
    bool owed = writer->next - 1 > slot->path.reading.seq ||
                writer->barrier > slot->path.reading.epoch ||
                strcmp(slot->path.reading.stream, journal_stream(replica->log)) != 0;
    if (!owed)
        writer->progress_ns = replica->now_ns;
    if (writer->refill_seq > 0) {
        writer_rewind(slot, writer_refill_from(slot), "the carrier was gone");
        writer->refill_seq = 0;
    } else if (owed && replica->now_ns - writer->progress_ns >= times->stall * NS_PER_MS) {
        writer_rewind(slot, writer_rewind_to(slot), "nothing is read back");
    }
    writer_pump(slot);
}

/* ---- how old is what was not read back ---- */

int64_t sample_seq_at(const struct replica *replica, int64_t ns)
{
    int64_t seq = 0;
    uint64_t held = replica->sample_count < SAMPLES ? replica->sample_count : SAMPLES;
    for (uint64_t i = 0; i < held; i++) {
        const struct sample *sample = &replica->samples[i];
        if (sample->ns <= ns && sample->seq > seq)
            seq = sample->seq;
    }
    return seq;
}

int64_t unread_age_ns(const struct replica *replica, const struct slot *slot)
{
    int64_t oldest = replica->now_ns, seq = slot->path.reading.seq;
    uint64_t held = replica->sample_count < SAMPLES ? replica->sample_count : SAMPLES;
    if (strcmp(slot->path.reading.stream, journal_stream(replica->log)) != 0)
        return INT64_MAX; /* it knows nothing of this stream yet */
    for (uint64_t i = 0; i < held; i++)
        if (replica->samples[i].seq > seq && replica->samples[i].ns < oldest)
            oldest = replica->samples[i].ns;
    return replica->now_ns - oldest;
}
