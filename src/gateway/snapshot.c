/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blobs that joining clients share: built for a position, immutable. The store holds a
 * reference to each, so it knows how many are alive, and frees those that nobody else holds.
 */
#include "gateway/gateway_priv.h"

#include "base/clock.h"
#include "base/frame.h"
#include "base/log.h"
#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#define PROTOCOL_VERSION 1
#define NS_PER_MS 1000000

struct snapshot {
    _Atomic uint32_t references;
    _Atomic bool retired;
    int64_t seq;   /* it holds up to here; live goes on with seq + 1 */
    int64_t first; /* the journal's, when it was built */
    int64_t built_ns;
    bool former;                      /* not true any more; the main thread's */
    struct buffer frames[FORM_COUNT]; /* hello, messages, snapshot_end: whole frames; empty: not
                                         asked for yet */
};

struct snapshots {
    struct gateway *gateway;                 /* borrowed */
    struct snapshot *alive[LIMIT_SNAPSHOTS]; /* oldest first; one reference each */
    uint32_t count;
    int64_t built_ns;     /* the last one; 0: none yet */
    int64_t forgotten_ns; /* when one was last allowed at once for what was forgotten; 0: never */
};

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
        "\"source\":\"%s\",\"mode\":\"%s\",\"resumed\":%s}",
        PROTOCOL_VERSION, options->node, journal_stream(options->journal),
        (long long)journal_epoch_at(options->journal, next - 1), (long long)next,
        source_names[gateway->feed.source], gateway->feed.mode, resumed ? "true" : "false");
    assert(!hello.overflowed);
    frame_append(out, FRAME_TEXT, buffer_slice(&hello));
    buffer_release(&hello);
}

/* ---- one blob ---- */

/* Relaxed: the store's own reference keeps it. */
static void snapshot_ref(struct snapshot *snapshot)
{
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
}

/* Release: a reader's last look comes before the store frees it. */
void snapshot_unref(struct snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_release);
    assert(before > 1); /* the last one is the store's */
    (void)before;
}

/* Acquire: pairs with the readers' release. */
static bool snapshot_unread(const struct snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->references, memory_order_acquire) == 1;
}

/* Relaxed: a hint, seen at the next tick. */
bool snapshot_retired(const struct snapshot *snapshot)
{
    return atomic_load_explicit(&snapshot->retired, memory_order_relaxed);
}

int64_t snapshot_seq(const struct snapshot *snapshot)
{
    return snapshot->seq;
}

bool snapshot_is_young(const struct snapshot *snapshot, int64_t now_ns)
{
    return now_ns - snapshot->built_ns < (int64_t)LIMIT_SNAPSHOT_AGE_MS * NS_PER_MS;
}

struct slice snapshot_frames(const struct snapshot *snapshot, enum form form)
{
    return buffer_slice(&snapshot->frames[form]);
}

static void snapshot_add(void *context, struct slice message)
{
    frame_append(context, FRAME_TEXT, message);
}

static struct snapshot *snapshot_create(struct gateway *gateway)
{
    struct journal *journal = gateway->options.journal;
    struct snapshot *snapshot = memory_alloc(sizeof *snapshot);
    struct buffer *frames = &snapshot->frames[FORM_PLAIN];
    char end[64];
    atomic_init(&snapshot->references, 1);
    snapshot->seq = journal_next(journal) - 1;
    snapshot->first = journal_first(journal);
    snapshot->built_ns = clock_monotonic_ns();
    for (enum form form = FORM_PLAIN; form < FORM_COUNT; form++)
        buffer_init(&snapshot->frames[form], LIMIT_SNAPSHOT);
    hello_append(gateway, frames, snapshot->seq + 1, false);
    keeper_snapshot(gateway->options.keeper, snapshot_add, frames);
    if (frames->overflowed)
        log_error("gateway", log_text("msg", "snapshot too large, some last values are left out"),
                  log_int("bytes", (int64_t)frames->size));
    frames->max += sizeof end; /* it always ends as it should */
    int size = snprintf(end, sizeof end, "{\"type\":\"snapshot_end\",\"seq\":%lld}",
                        (long long)snapshot->seq);
    frame_append(frames, FRAME_TEXT, (struct slice){.data = end, .size = (size_t)size});
    metric_add(gateway->snapshots_built, 1);
    return snapshot;
}

static void snapshot_destroy(struct snapshot *snapshot)
{
    assert(snapshot_unread(snapshot));
    for (enum form form = FORM_PLAIN; form < FORM_COUNT; form++)
        buffer_release(&snapshot->frames[form]);
    memory_free(snapshot);
}

/* ---- all that are alive ---- */

struct snapshots *snapshots_create(struct gateway *gateway)
{
    struct snapshots *snapshots = memory_alloc(sizeof *snapshots);
    snapshots->gateway = gateway;
    return snapshots;
}

void snapshots_destroy(struct snapshots *snapshots)
{
    for (uint32_t i = 0; i < snapshots->count; i++)
        snapshot_destroy(snapshots->alive[i]);
    memory_free(snapshots);
}

/* The newest stays, unless it is a former one: the next joiner may share it. */
void snapshots_tick(struct snapshots *snapshots)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < snapshots->count; i++) {
        struct snapshot *snapshot = snapshots->alive[i];
        bool wanted = i + 1 == snapshots->count && !snapshot->former;
        if (!wanted && snapshot_unread(snapshot))
            snapshot_destroy(snapshot);
        else
            snapshots->alive[kept++] = snapshot;
    }
    snapshots->count = kept;
}

void snapshots_forget(struct snapshots *snapshots)
{
    int64_t now_ns = clock_monotonic_ns();
    for (uint32_t i = 0; i < snapshots->count; i++)
        snapshots->alive[i]->former = true;
    if (snapshots->forgotten_ns == 0 ||
        now_ns - snapshots->forgotten_ns >= (int64_t)LIMIT_SNAPSHOT_AGE_MS * NS_PER_MS) {
        snapshots->forgotten_ns = now_ns;
        snapshots->built_ns = 0;
    }
    snapshots_tick(snapshots);
}

/* What comes after it is in the journal, and will be for a while: the journal has not yet dropped
 * half of what it held before it. */
static bool snapshot_holds(const struct snapshots *snapshots, const struct snapshot *snapshot,
                           int64_t from_seq)
{
    const struct journal *journal = snapshots->gateway->options.journal;
    int64_t next = snapshot->seq + 1;
    return snapshot->seq >= from_seq &&
           next - journal_first(journal) >= (next - snapshot->first) / 2;
}

/* As good as a new one, or too young for another. */
static bool snapshot_fresh(const struct snapshots *snapshots, const struct snapshot *snapshot,
                           int64_t now_ns)
{
    return snapshot->seq + 1 == journal_next(snapshots->gateway->options.journal) ||
           snapshot_is_young(snapshot, now_ns);
}

/* A place for one more, or none: then who reads the oldest has had max_lag for it. */
static bool snapshots_have_room(struct snapshots *snapshots, int64_t now_ns)
{
    if (snapshots->count == LIMIT_SNAPSHOTS)
        snapshots_tick(snapshots);
    if (snapshots->count < LIMIT_SNAPSHOTS)
        return true;
    struct snapshot *oldest = snapshots->alive[0];
    int64_t lag_ns = (int64_t)snapshots->gateway->options.policy.max_lag_ms * NS_PER_MS;
    if (now_ns - oldest->built_ns >= lag_ns)
        atomic_store_explicit(&oldest->retired, true, memory_order_relaxed);
    return false;
}

/* The newest, or a new one; NULL: not now. */
static struct snapshot *snapshots_choose(struct snapshots *snapshots, int64_t from_seq)
{
    int64_t now_ns = clock_monotonic_ns();
    struct snapshot *newest = snapshots->count == 0 ? NULL : snapshots->alive[snapshots->count - 1];
    bool held = newest != NULL && !newest->former && snapshot_holds(snapshots, newest, from_seq);
    if (held && snapshot_fresh(snapshots, newest, now_ns))
        return newest;
    bool young = snapshots->built_ns != 0 &&
                 now_ns - snapshots->built_ns < (int64_t)LIMIT_SNAPSHOT_AGE_MS * NS_PER_MS;
    if (!young && snapshots_have_room(snapshots, now_ns)) {
        snapshots->built_ns = now_ns;
        newest = snapshots->alive[snapshots->count++] = snapshot_create(snapshots->gateway);
        return newest;
    }
    return held ? newest : NULL; /* an old one, when there is no room, is better than waiting */
}

struct snapshot *snapshot_get(struct snapshots *snapshots, int64_t from_seq, enum form form)
{
    struct snapshot *snapshot = snapshots_choose(snapshots, from_seq);
    if (snapshot == NULL)
        return NULL;
    struct buffer *frames = &snapshot->frames[form];
    if (frames->size == 0)
        form_convert(snapshots->gateway->forms, form, snapshot_frames(snapshot, FORM_PLAIN),
                     frames);
    snapshot_ref(snapshot);
    return snapshot;
}
