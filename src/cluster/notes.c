/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leader tells those who begin in the middle: states, one of each exchange and symbol after
 * the other, and beacons. A beacon's `start` is where the last complete round of states began.
 */
#include "cluster/replica_priv.h"

#define STATE_MS 1000 /* a state is written so often, unless there are many or few of them */
#define CYCLE_MIN_MS 10000
#define STATES_A_TICK 64

void notes_again(struct writer *writer)
{
    writer->round = (struct round){.hurry = true};
}

void notes_reset(struct writer *writer)
{
    notes_again(writer);
    writer->beacon_ns = 0;
    writer->start.stream[0] = '\0';
}

void notes_read_back(struct slot *slot, const struct state_note *state)
{
    struct round *round = &slot->writer.round;
    round->back_sum = state_sum_add(round->back_sum, state_sum(state));
}

static struct checkpoint checkpoint_of(const struct slot *slot)
{
    const struct reading *reading = &slot->path.reading;
    struct checkpoint now = {.epoch = reading->epoch,
                             .seq = reading->seq,
                             .record_epoch = reading->record_epoch,
                             .position = slot->carrier->kind->position(slot->carrier)};
    keep_text(now.stream, sizeof now.stream, reading->stream);
    return now;
}

/* Time from one state to the next, so that a round is neither too long nor a waste. */
static int64_t state_interval_ns(const struct replica *replica, size_t count)
{
    int64_t states = count == 0 ? 1 : (int64_t)count;
    int64_t round_ms = states * STATE_MS, most_ms = replica->options.times.state_cycle;
    if (round_ms < CYCLE_MIN_MS)
        round_ms = CYCLE_MIN_MS;
    if (round_ms > most_ms)
        round_ms = most_ms;
    return round_ms * NS_PER_MS / states;
}

/* False: the carrier does not take it now. ret_count: how many there are. */
static bool write_state(struct slot *slot, size_t *ret_count)
{
    struct replica *replica = slot->replica;
    struct round *round = &slot->writer.round;
    const struct replica_ports *ports = &replica->options.ports;
    static const char padding[LIMIT_PADDING + 1];
    buffer_clear(&replica->scratch);
    *ret_count = ports->save_state(ports->context, round->index, &replica->scratch);
    if (round->index >= *ret_count) {
        round->written = true;
        round->written_ns = replica->now_ns;
        return true;
    }
    size_t size = replica->scratch.size;
    buffer_append(&replica->scratch, padding, sizeof padding);
    struct state_note state = {.stream = journal_stream(replica->log),
                               .epoch = replica->epoch,
                               .seq = journal_next(replica->log) - 1,
                               .text = {.data = replica->scratch.data, .size = size}};
    if (size > 0 && !replica->scratch.overflowed) {
        if (slot->carrier->kind->write_state(slot->carrier, &state) != CARRIER_TAKEN)
            return false;
        round->out_sum = state_sum_add(round->out_sum, state_sum(&state));
    }
    round->index++;
    return true;
}

/* All are written: they must come back, or it is all done again. */
static void round_end(struct slot *slot)
{
    struct writer *writer = &slot->writer;
    const struct replica *replica = slot->replica;
    struct round *round = &writer->round;
    int64_t most_ns = 2 * replica->options.times.stall * NS_PER_MS;
    if (round->back_sum == round->out_sum) {
        writer->start = round->from;
        writer->start.states = round->out_sum;
        writer->round = (struct round){.next_ns = round->next_ns};
    } else if (replica->now_ns - round->written_ns >= most_ns) {
        notes_again(writer);
    }
}

/* A state says what was so behind a record that has been read back: so it comes later than that. */
static void states_tick(struct slot *slot)
{
    struct replica *replica = slot->replica;
    struct round *round = &slot->writer.round;
    for (uint32_t i = 0; i < STATES_A_TICK && !round->written; i++) {
        size_t count;
        if (slot->path.reading.seq + 1 != journal_next(replica->log) ||
            (!round->hurry && replica->now_ns < round->next_ns))
            return;
        if (round->index == 0 && round->out_sum == 0)
            round->from = checkpoint_of(slot);
        if (!write_state(slot, &count))
            return;
        round->next_ns = replica->now_ns + state_interval_ns(replica, count);
    }
    if (round->written)
        round_end(slot);
}

static void beacon_tick(struct slot *slot)
{
    struct replica *replica = slot->replica;
    struct writer *writer = &slot->writer;
    if (replica->now_ns < writer->beacon_ns)
        return;
    struct beacon beacon = {.node = replica->options.node,
                            .now = checkpoint_of(slot),
                            .start = writer->start,
                            .barrier = slot->path.barrier_position};
    if (slot->carrier->kind->write_beacon(slot->carrier, &beacon) == CARRIER_TAKEN)
        writer->beacon_ns = replica->now_ns + replica->options.times.beacon * NS_PER_MS;
}

/* Only in an epoch whose barrier, ours, has been read there. */
void notes_tick(struct slot *slot)
{
    const struct replica *replica = slot->replica;
    if (!slot->writer.active || replica->leading != LEADING || slot->state != CARRIER_UP ||
        !slot->path.caught_up || slot->path.reading.epoch != replica->epoch ||
        strcmp(slot->path.reading.stream, journal_stream(replica->log)) != 0)
        return;
    states_tick(slot);
    beacon_tick(slot);
}
