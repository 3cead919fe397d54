/* SPDX-License-Identifier: Apache-2.0 */
/* The blob that joining clients share: built once for a position, immutable, freed by its last
 * reader. */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define PROTOCOL_VERSION 1
#define NS_PER_MS 1000000

void frame_append(struct buffer *out, unsigned opcode, struct slice payload)
{
    uint8_t header[FRAME_HEADER_MAX];
    size_t header_size = frame_header_write(header, opcode, payload.size);
    if (buffer_reserve(out, header_size + payload.size) == NULL)
        return; /* all or nothing: half a frame would be worse than none */
    buffer_append(out, header, header_size);
    buffer_append_slice(out, payload);
}

void hello_append(struct gateway *gateway, struct buffer *out, int64_t next, bool resumed)
{
    const struct gateway_options *options = &gateway->options;
    struct buffer hello;
    buffer_init(&hello, KIBIBYTE);
    buffer_append_text(&hello, "{\"type\":\"hello\",");
    if (options->simulated)
        buffer_append_text(&hello, "\"simulated\":true,");
    buffer_append_format(
        &hello,
        "\"version\":%d,\"node\":\"%s\",\"stream\":\"%s\",\"epoch\":%lld,\"next\":%lld,"
        "\"source\":\"direct\",\"mode\":\"websocket\",\"resumed\":%s}",
        PROTOCOL_VERSION, options->node, journal_stream(options->journal),
        (long long)journal_epoch_at(options->journal, next - 1), (long long)next,
        resumed ? "true" : "false");
    assert(!hello.overflowed);
    frame_append(out, FRAME_TEXT, buffer_slice(&hello));
    buffer_release(&hello);
}

static void snapshot_add(void *context, struct slice message)
{
    struct snapshot *snapshot = context;
    frame_append(&snapshot->frames, FRAME_TEXT, message);
}

static struct snapshot *snapshot_build(struct gateway *gateway)
{
    struct journal *journal = gateway->options.journal;
    struct snapshot *snapshot = memory_alloc(sizeof *snapshot);
    char end[64];
    snapshot->references = 1;
    snapshot->seq = journal_next(journal) - 1;
    snapshot->built_ns = clock_monotonic_ns();
    buffer_init(&snapshot->frames, LIMIT_SNAPSHOT);
    hello_append(gateway, &snapshot->frames, snapshot->seq + 1, false);
    keeper_snapshot(gateway->options.keeper, snapshot_add, snapshot);
    if (snapshot->frames.overflowed)
        log_error("gateway", log_text("msg", "snapshot too large, some last values are left out"),
                  log_int("bytes", (int64_t)snapshot->frames.size));
    snapshot->frames.max += sizeof end; /* it always ends as it should */
    int size = snprintf(end, sizeof end, "{\"type\":\"snapshot_end\",\"seq\":%lld}",
                        (long long)snapshot->seq);
    frame_append(&snapshot->frames, FRAME_TEXT, (struct slice){.data = end, .size = (size_t)size});
    metric_add(gateway->snapshots, 1);
    return snapshot;
}

/* Young enough, and the record after it is still there (or yet to come). */
static bool snapshot_usable(const struct gateway *gateway, const struct snapshot *snapshot,
                            int64_t from_seq)
{
    const struct journal *journal = gateway->options.journal;
    if (snapshot->seq < from_seq)
        return false;
    if (snapshot->seq + 1 == journal_next(journal))
        return true;
    int64_t age_ns = clock_monotonic_ns() - snapshot->built_ns;
    return age_ns < (int64_t)LIMIT_SNAPSHOT_AGE_MS * NS_PER_MS &&
           snapshot->seq + 1 >= journal_first(journal);
}

struct snapshot *snapshot_get(struct gateway *gateway, int64_t from_seq)
{
    if (gateway->snapshot != NULL && !snapshot_usable(gateway, gateway->snapshot, from_seq)) {
        snapshot_unref(gateway->snapshot);
        gateway->snapshot = NULL;
    }
    if (gateway->snapshot == NULL)
        gateway->snapshot = snapshot_build(gateway);
    gateway->snapshot->references++;
    return gateway->snapshot;
}

void snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    assert(snapshot->references > 0);
    if (--snapshot->references > 0)
        return;
    buffer_release(&snapshot->frames);
    memory_free(snapshot);
}
