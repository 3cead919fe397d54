/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier of one node alone: what is written is accepted at once, in the same call. */
#include "stream/memory/memory_carrier.h"

#include "base/memory.h"

struct memory_carrier {
    struct carrier carrier;
    struct carrier_reader reader;
};

static struct carrier *memory_open(const struct carrier_reader *reader, struct err *err)
{
    (void)err;
    struct memory_carrier *memory = memory_alloc(sizeof *memory);
    memory->carrier.kind = &memory_carrier_kind;
    memory->reader = *reader;
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

static enum carrier_result memory_write_barrier(struct carrier *carrier, const char *stream,
                                                int64_t epoch)
{
    struct memory_carrier *memory = (struct memory_carrier *)carrier;
    memory->reader.barrier(memory->reader.context, stream, epoch);
    return CARRIER_TAKEN;
}

static bool memory_healthy(const struct carrier *carrier)
{
    (void)carrier;
    return true;
}

const struct carrier_kind memory_carrier_kind = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .write = memory_write,
    .write_barrier = memory_write_barrier,
    .healthy = memory_healthy,
};
