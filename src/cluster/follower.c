/* SPDX-License-Identifier: Apache-2.0 */
/* A follower: from a carrier, from the leader's own endpoint, alone. */
#include "cluster/replica_priv.h"

#include "base/log.h"
#include "stream/notes.h"

struct slot *slot_of(struct replica *replica, const struct path *path)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        if (&replica->slots[i].path == path)
            return &replica->slots[i];
    return NULL;
}

/* ---- what the peer says ---- */

/* A newer barrier of that stream was read. */
static bool is_deposed(const struct replica *replica, const char *stream, int64_t epoch)
{
    if (epoch < fence_of(replica, stream))
        return true;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        if (strcmp(replica->slots[i].path.reading.stream, stream) == 0 &&
            epoch < replica->slots[i].path.reading.epoch)
            return true;
    if (replica->shadow != NULL && strcmp(journal_stream(replica->shadow), stream) == 0 &&
        epoch < journal_barrier_epoch(replica->shadow))
        return true;
    if (replica->mode == REPLICA_ALONE && strcmp(replica->left_stream, stream) == 0)
        return epoch < replica->left_epoch;
    return strcmp(journal_stream(replica->log), stream) == 0 &&
           epoch < journal_barrier_epoch(replica->log);
}

static bool is_sound(const struct peer_hello *hello)
{
    return hello->next >= 1 && hello->next <= LIMIT_NUMBER && hello->epoch >= 0 &&
           hello->epoch <= LIMIT_NUMBER;
}

/* It is deposed, and does not know it yet, or says what can't be; or (`behind`) what is to come
 * first is of before a barrier that has fenced the log, which can only start over then. */
static void refuse_peer(struct replica *replica, bool behind)
{
    replica_forget_peer(replica);
    replica->refused_ns = replica->now_ns;
    replica->peer_anew = behind;
}

/* Where it resumes, it names the epoch of the record before: a newer one may open with the next. So
 * it is heard, but does not count as a leader until then. */
void replica_peer_hello(struct replica *replica, const struct peer_hello *hello)
{
    struct path *peer = &replica->peer;
    struct checkpoint from = {.epoch = hello->epoch,
                              .seq = hello->next - 1,
                              .record_epoch = hello->epoch,
                              .position = -1};
    if (!replica->peer_wanted)
        return;
    replica_forget_peer(replica); /* what follows is not what the hello before this one began */
    if (replica->leading == LEADING || !is_sound(hello) ||
        !slice_copy(slice_of(hello->stream), from.stream, sizeof from.stream))
        return;
    bool home = left_resumes(replica, hello);
    bool resumed =
        home || (hello->resumed && strcmp(from.stream, journal_stream(replica->log)) == 0);
    bool deposed = is_deposed(replica, from.stream, hello->epoch);
    if (deposed)
        refuse_peer(replica, false);
    if (deposed && !resumed)
        return;
    path_begin(replica, peer, &from);
    keep_text(peer->leader, sizeof peer->leader, hello->node);
    peer->heard = true;
    peer->heard_ns = replica->now_ns;
    replica->peer_linked = true;
    replica->peer_there = !deposed;
    if (home) {
        left_resume(replica, &from);
    } else if (resumed) {
        peer->joined = true;
        peer->caught_up = true;
    } else if (!shadow_is_ready(replica)) { /* whoever is there first */
        shadow_open(replica, peer, from.stream, hello->next);
    }
}

void replica_peer_snapshot(struct replica *replica, struct slice message)
{
    const struct replica_ports *ports = &replica->options.ports;
    replica_peer_alive(replica);
    if (replica->peer_there && replica->shadow_path == &replica->peer)
        ports->load_message(ports->context, replica->shadow, message);
}

void replica_peer_snapshot_end(struct replica *replica, int64_t seq)
{
    replica_peer_alive(replica);
    if (!replica->peer_there)
        return;
    if (seq != replica->peer.reading.seq) { /* of another moment than its hello: of no use */
        refuse_peer(replica, false);
        return;
    }
    replica->peer.caught_up = true;
    if (replica->shadow_path == &replica->peer)
        replica->shadow_whole = true;
}

/* The number behind `"epoch":` in an `epoch` message; 0: none. */
static int64_t epoch_of(struct slice text)
{
    static const char name[] = "\"epoch\":";
    int64_t value;
    const char *at = memmem(text.data, text.size, name, sizeof name - 1);
    if (at == NULL)
        return 0;
    struct slice digits = {.data = at + sizeof name - 1};
    while (digits.data[digits.size] >= '0' && digits.data[digits.size] <= '9')
        digits.size++; /* a NUL stands behind the text */
    return note_read_number(digits, &value) ? value : 0;
}

void replica_peer_record(struct replica *replica, struct slice text)
{
    struct path *peer = &replica->peer;
    char key[LIMIT_KEY];
    struct record record = {.text = text};
    replica_peer_alive(replica);
    if (!replica->peer_linked || !record_read_head(text, key, &record))
        return;
    if (slice_is(record.type, "epoch")) {
        struct barrier barrier = {.stream = peer->reading.stream,
                                  .epoch = epoch_of(text),
                                  .start = -1,
                                  .writer = "",
                                  .node = peer->leader,
                                  .position = -1};
        (void)path_barrier(replica, peer, &barrier);
    }
    record.stream = peer->reading.stream;
    record.epoch = peer->reading.epoch;
    if (is_deposed(replica, record.stream, record.epoch)) {
        refuse_peer(replica, true);
        return;
    }
    replica->peer_there = true;
    replica->refused_ns = 0;
    path_record(replica, peer, &record);
}

void replica_peer_alive(struct replica *replica)
{
    replica->peer.heard_ns = replica->now_ns;
}

void replica_peer_lost(struct replica *replica, const char *reason)
{
    if (replica->peer_linked)
        log_info("cluster", log_text("msg", "the link to the leader is gone"),
                 log_text("reason", reason));
    replica_forget_peer(replica);
    if (replica->peer_wanted) { /* the token has moved on */
        replica->peer_wanted = false;
        replica_want_peer(replica);
    }
}

/* ---- which road ---- */

/* Its path has been read to the end, and there is a stream on it; states of everything have come,
 * or nobody is there to write them. */
bool shadow_is_ready(const struct replica *replica)
{
    const struct path *path = replica->shadow_path;
    if (replica->shadow == NULL || !path->caught_up || path->reading.stream[0] == '\0')
        return false;
    return replica->shadow_whole || replica->leading != NOT_LEADING ||
           !path_is_alive(replica, path);
}

static void follow_carrier(struct replica *replica, struct slot *slot, const char *reason)
{
    replica->home = slot;
    replica->peer_anew = false;
    replica_drop_peer(replica);
    replica_set_mode(replica, REPLICA_FOLLOWER_CARRIER, reason);
}

static void follow_peer(struct replica *replica)
{
    replica_set_mode(replica, REPLICA_FOLLOWER_PEER,
                     any_attached(replica) ? "the carriers are silent" : "no carrier is used");
}

static void follow_shadow(struct replica *replica)
{
    struct slot *slot = slot_of(replica, replica->shadow_path);
    if (!shadow_goes_on(replica))
        shadow_take(replica);
    if (slot != NULL)
        follow_carrier(replica, slot, "");
    else
        follow_peer(replica);
    replica->changed = true;
}

/* The path has got as far as the log had a moment ago. A carrier is no worse for being as late as a
 * leader that stays with it may find it: a busy machine would never be back there. */
static bool keeps_up(const struct replica *replica, const struct path *path)
{
    int64_t late_ns = replica->options.times.direct * NS_PER_MS;
    return path->joined && path->reading.seq >= sample_seq_at(replica, replica->now_ns - late_ns);
}

/* A live carrier that the log does not fit: it is read anew, into a shadow. */
static bool must_begin_anew(const struct replica *replica, const struct slot *slot)
{
    const struct path *path = &slot->path;
    if (replica->shadow != NULL || path->joined)
        return false;
    return replica->mode != REPLICA_FOLLOWER_PEER || !replica->peer_there ||
           (path->unfit && path->reading.epoch >= journal_barrier_epoch(replica->log));
}

static void from_peer_to_carrier(struct replica *replica, struct slot *slot)
{
    if (!keeps_up(replica, &slot->path)) {
        slot->healthy_ns = 0;
        return;
    }
    if (slot->healthy_ns == 0)
        slot->healthy_ns = replica->now_ns;
    if (replica->now_ns - slot->healthy_ns >= replica->options.times.healthy * NS_PER_MS)
        follow_carrier(replica, slot, "the leader is heard there again");
}

static void follow_live(struct replica *replica, struct slot *slot)
{
    if (must_begin_anew(replica, slot)) {
        slot_begin_anew(slot);
    } else if (replica->mode == REPLICA_FOLLOWER_PEER && replica->peer_there) {
        from_peer_to_carrier(replica, slot);
    } else if (slot->path.joined) {
        follow_carrier(replica, slot, "");
        replica->home = slot;
    }
}

/* Nobody leads on any carrier: the leader's own endpoint is asked. */
static void follow_silent(struct replica *replica)
{
    int64_t waited_ns = replica->now_ns - replica->take_ns;
    for (size_t i = 0; i < REPLICA_CARRIERS; i++)
        replica->slots[i].healthy_ns = 0;
    if (!replica->served && waited_ns < replica->options.times.start * NS_PER_MS &&
        any_attached(replica))
        return;
    replica_want_peer(replica);
    if (replica->peer_there && replica->peer.joined && replica->mode != REPLICA_FOLLOWER_PEER)
        follow_peer(replica);
}

static void count_loneliness(struct replica *replica, bool lonely)
{
    const struct replica_ports *ports = &replica->options.ports;
    int64_t alone_ns = replica->options.times.alone * NS_PER_MS;
    if (!lonely) {
        replica->lonely_ns = 0;
        return;
    }
    if (replica->lonely_ns == 0 || replica->lonely_for_ns == 0) {
        replica->lonely_ns = replica->lonely_ns == 0 ? replica->now_ns : replica->lonely_ns;
        replica->lonely_for_ns =
            alone_ns + (int64_t)(ports->random(ports->context) % (uint64_t)(alone_ns / 2 + 1));
    }
    if (replica->now_ns - replica->lonely_ns >= replica->lonely_for_ns &&
        replica->leading == NOT_LEADING && !replica->leaving) {
        replica->lonely_for_ns = 0;
        alone_begin(replica);
    }
}

/* It began at a place whose states never came: they were lost, and the beacon was late. */
static bool lacks_states(struct replica *replica, const struct path *path)
{
    int64_t most_ns = 2 * replica->options.times.stall * NS_PER_MS;
    if (replica->shadow_path != path || replica->shadow_whole || replica->shadow_states == 0) {
        if (replica->shadow_path == path)
            replica->shadow_ns = 0;
        return false;
    }
    if (replica->shadow_ns == 0)
        replica->shadow_ns = replica->now_ns;
    return path_is_alive(replica, path) && replica->now_ns - replica->shadow_ns >= most_ns;
}

/* Somebody leads on a carrier whose reading can't go on. */
static void find_again(struct replica *replica)
{
    for (size_t i = 0; i < REPLICA_CARRIERS; i++) {
        struct slot *slot = &replica->slots[i];
        if (slot_is_up(slot) && slot->path.caught_up &&
            (slot->path.lost || lacks_states(replica, &slot->path)))
            slot_begin_anew(slot);
    }
}

/* A link that was refused leads nowhere: another one is looked for. One that is behind a barrier is
 * asked at once for where it stands. */
static void leave_refused_peer(struct replica *replica)
{
    int64_t again_ns = 2 * replica->options.times.silence * NS_PER_MS;
    if (replica->refused_ns == 0 ||
        (replica->now_ns - replica->refused_ns < again_ns && !replica->peer_anew))
        return;
    replica_drop_peer(replica);
    if (replica->mode == REPLICA_ALONE)
        replica_want_peer(replica); /* else it is as soon as the carriers are silent */
}

/* A hello counts for nothing while a carrier is on its way to the log. When that has come to
 * nothing, the leader is asked once more. */
static void ask_peer_again(struct replica *replica)
{
    const struct slot *slot = slot_of(replica, replica->shadow_path);
    bool over = slot != NULL && !slot_is_up(slot) && !path_is_alive(replica, &slot->path);
    bool left = replica->shadow == NULL && replica->mode == REPLICA_ALONE;
    if (!replica->peer_there || replica->peer.joined || (!over && !left))
        return;
    replica_drop_peer(replica);
    if (replica->mode == REPLICA_ALONE)
        replica_want_peer(replica); /* else it is as soon as the carriers are silent */
}

void follower_tick(struct replica *replica)
{
    struct slot *slot = replica_slot(replica, true);
    find_again(replica);
    leave_refused_peer(replica);
    if (slot == NULL)
        ask_peer_again(replica);
    if (replica->mode == REPLICA_ALONE) {
        alone_tick(replica);
        return;
    }
    if (shadow_is_ready(replica))
        follow_shadow(replica);
    else if (slot != NULL && (replica->served || replica->shadow == NULL))
        follow_live(replica, slot);
    else
        follow_silent(replica);
    count_loneliness(replica, slot == NULL && !replica->peer_there && !any_reading(replica));
}
