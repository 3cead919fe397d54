/* SPDX-License-Identifier: Apache-2.0 */
/* A list with room for FAULTS_MAX, the newest last. */
#include "sim/fault.h"

#include "base/clock.h"
#include "base/memory.h"
#include "sim/write.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NS_PER_MS 1000000
#define NS_PER_US 1000

struct faults {
    struct fault items[FAULTS_MAX];
    size_t count;
    uint64_t last_id;
};

static const char *const kind_names[FAULT_KINDS] = {
    [FAULT_DISCONNECT] = "disconnect",
    [FAULT_STALL] = "stall",
    [FAULT_BAN] = "ban",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_GAP] = "gap",
    [FAULT_SLOW] = "slow",
    [FAULT_REORDER] = "reorder",
    [FAULT_DUPLICATE] = "duplicate",
    [FAULT_CLOCK] = "clock",
    [FAULT_MAINTENANCE] = "maintenance",
    [FAULT_LEAVING] = "leaving",
    [FAULT_HALT] = "halt",
};

static const char *const channel_names[] = {
    [CHANNEL_TRADE] = "trade", [CHANNEL_TICKER] = "ticker", [CHANNEL_BOOK] = "book",
    [CHANNEL_QUOTE] = "quote", [CHANNEL_OTHER] = "other",
};

const char *fault_kind_name(enum fault_kind kind)
{
    assert(kind < FAULT_KINDS);
    return kind_names[kind];
}

const char *channel_name(enum channel channel)
{
    return channel_names[channel];
}

bool channel_parse(struct slice name, enum channel *ret_channel)
{
    for (size_t i = 0; i < COUNT_OF(channel_names); i++)
        if (slice_is(name, channel_names[i])) {
            *ret_channel = (enum channel)i;
            return true;
        }
    return false;
}

bool fault_kind_parse(struct slice name, enum fault_kind *ret_kind)
{
    for (size_t i = 0; i < FAULT_KINDS; i++)
        if (slice_is(name, kind_names[i])) {
            *ret_kind = (enum fault_kind)i;
            return true;
        }
    return false;
}

struct faults *faults_create(void)
{
    return memory_alloc(sizeof(struct faults));
}

void faults_destroy(struct faults *faults)
{
    memory_free(faults);
}

bool fault_active(const struct fault *fault)
{
    if (fault->count == 0)
        return false;
    return fault->to_ns == 0 || clock_monotonic_ns() < fault->to_ns;
}

void fault_end(struct fault *fault)
{
    fault->count = 0;
    fault->to_ns = clock_monotonic_ns();
    fault->to_us = clock_wall_us();
}

/* Makes room; false when all are going on. */
static bool forget_one(struct faults *faults)
{
    for (size_t i = 0; i < faults->count; i++)
        if (!fault_active(&faults->items[i])) {
            faults->count--;
            memmove(&faults->items[i], &faults->items[i + 1],
                    (faults->count - i) * sizeof faults->items[0]);
            return true;
        }
    return false;
}

struct fault *faults_add(struct faults *faults, const struct fault *fault)
{
    if (faults->count == FAULTS_MAX && !forget_one(faults))
        return NULL;
    struct fault *added = &faults->items[faults->count++];
    *added = *fault;
    added->id = ++faults->last_id;
    added->from_us = clock_wall_us();
    added->from_ns = clock_monotonic_ns();
    if (added->count == 0)
        fault_end(added);
    else if (added->count < 0 && added->ms > 0) {
        added->to_ns = added->from_ns + (int64_t)added->ms * NS_PER_MS;
        added->to_us = added->from_us + (int64_t)added->ms * 1000;
    }
    return added;
}

static bool covers(const struct fault *fault, const struct fault_scope *scope)
{
    bool same_event = scope->event != 0 && fault->event == scope->event;
    if (fault->exchange != scope->exchange || (!fault_active(fault) && !same_event))
        return false;
    if (fault->market != NULL && fault->market != scope->market)
        return false;
    if (fault->channel >= 0 && scope->channel >= 0 && fault->channel != scope->channel)
        return false;
    switch (fault->connections) {
    case FAULT_ALL:
        return true;
    case FAULT_OLD:
        return scope->connection <= fault->connection;
    case FAULT_ONE:
        return scope->connection == fault->connection || fault->connection == 0;
    }
    return false;
}

struct fault *faults_find(struct faults *faults, enum fault_kind kind,
                          const struct fault_scope *scope)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->items[i].kind == kind && covers(&faults->items[i], scope))
            return &faults->items[i];
    return NULL;
}

struct fault *faults_next(struct faults *faults, enum fault_kind kind, struct fault *previous)
{
    struct fault *end = faults->items + faults->count;
    for (struct fault *at = previous == NULL ? faults->items : previous + 1; at < end; at++)
        if (at->kind == kind && fault_active(at))
            return at;
    return NULL;
}

void fault_use(struct fault *fault, uint64_t connection, uint64_t event)
{
    if (fault->count <= 0 || (event != 0 && fault->event == event))
        return;
    fault->event = event;
    if (fault->connections == FAULT_ONE && fault->connection == 0)
        fault->connection = connection;
    if (fault->count-- == 1)
        fault_end(fault);
}

void fault_write(const struct fault *fault, struct buffer *out)
{
    buffer_append_format(out, "{\"id\":%llu,\"exchange\":\"%s\",\"kind\":\"%s\"",
                         (unsigned long long)fault->id, fault->exchange->name,
                         kind_names[fault->kind]);
    if (fault->market != NULL) {
        buffer_append_text(out, ",\"symbol\":");
        write_text(out, slice_of(fault->market->symbol));
    }
    if (fault->channel >= 0)
        buffer_append_format(out, ",\"channel\":\"%s\"", channel_names[fault->channel]);
    buffer_append_text(out, ",\"from_us\":");
    write_integer(out, fault->from_us);
    buffer_append_text(out, ",\"to_us\":");
    if (fault->to_us == 0)
        buffer_append_text(out, "null");
    else
        write_integer(out, fault->to_us);
    if (fault->count > 0) {
        buffer_append_text(out, ",\"left\":");
        write_integer(out, fault->count);
    }
    buffer_append_format(out, ",\"active\":%s}", fault_active(fault) ? "true" : "false");
}

void faults_write(const struct faults *faults, struct buffer *out)
{
    buffer_append_text(out, "[");
    for (size_t i = 0; i < faults->count; i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        fault_write(&faults->items[i], out);
    }
    buffer_append_text(out, "]");
}
