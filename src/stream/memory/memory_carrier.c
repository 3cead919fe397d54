/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of one node alone: what is written is accepted at once, in the same call. */
#include "stream/memory/memory_carrier.h"

#include "base/memory.h"

struct memory_carrier {
    struct carrier carrier;
    struct carrier_reader reader;
    bool begun; /* told so, since it was opened or restarted */
};

static struct carrier *memory_open(const struct carrier_options *options, struct err *err)
{
    (void)err;
    struct memory_carrier *memory = memory_alloc(sizeof *memory);
    memory->carrier.kind = &memory_carrier_kind;
    memory->reader = options->reader;
    return &memory->carrier;
}

static void memory_close(struct carrier *carrier)
{
    memory_free(carrier);
}

static enum carrier_result memory_write(struct carrier *carrier, const struct record *record)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    memory->reader.record(memory->reader.context, record);
    return CARRIER_TAKEN;
}

static enum carrier_result memory_write_barrier(struct carrier *carrier,
                                                const struct barrier *barrier)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    memory->reader.barrier(memory->reader.context, barrier);
    return CARRIER_TAKEN;
}

/* Nobody ever begins in the middle of it. */
static enum carrier_result memory_write_beacon(struct carrier *carrier, const struct beacon *beacon)
{
    (void)carrier;
    (void)beacon;
    return CARRIER_TAKEN;
}

static enum carrier_result memory_write_state(struct carrier *carrier,
                                              const struct state_note *state)
{
    (void)carrier;
    (void)state;
    return CARRIER_TAKEN;
}

static void memory_forget(struct carrier *carrier)
{
    (void)carrier;
}

/* It holds nothing: where it begins is its end. */
static bool memory_poll(struct carrier *carrier)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    struct checkpoint nothing = {.position = -1};
    if (memory->begun)
        return false;
    memory->begun = true;
    if (memory->reader.began != NULL)
        memory->reader.began(memory->reader.context, &nothing);
    if (memory->reader.caught_up != NULL)
        memory->reader.caught_up(memory->reader.context);
    return false;
}

static void memory_restart(struct carrier *carrier)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    memory->begun = false;
}

static int64_t memory_position(const struct carrier *carrier)
{
    (void)carrier;
    return -1;
}

static void memory_describe(const struct carrier *carrier, struct carrier_info *ret_info)
{
    (void)carrier;
    *ret_info = (struct carrier_info){.state = CARRIER_UP, .error = "", .rtt_us = -1};
}

const struct carrier_kind memory_carrier_kind = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .write_barrier = memory_write_barrier,
    .write_beacon = memory_write_beacon,
    .write_state = memory_write_state,
    .forget = memory_forget,
    .poll = memory_poll,
    .restart = memory_restart,
    .position = memory_position,
    .describe = memory_describe,
};
