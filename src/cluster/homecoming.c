/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standing alone, and coming back (stream.md): the cluster's stream is read silently, into a
 * shadow. When that has come to the end nothing is collected any more, the trades in it that were
 * not delivered here are delivered, and when every trade that was delivered here has been seen
 * there, the shadow takes the log's place: each trade once, over the change. What is not seen there
 * in time is declared, and so is what the cluster's stream declares while nothing is collected
 * here.
 */
#include "cluster/replica_priv.h"

#include "base/log.h"
#include "base/memory.h"

#define MARGIN_US 2000000 /* two nodes' clocks and receipts differ by less */

/* ---- what was left ---- */

void left_forget(struct replica *replica)
{
    replica->left_record_epoch = 0;
    buffer_release(&replica->left_states);
    buffer_init(&replica->left_states, LEFT_STATES_MAX);
}

/* The last values and trades as they stand, before anything is collected here: with them, and with
 * what its leader says from there on, the cluster's stream is known as if one had never been away.
 * When they are too many, or not known, it is come home to by a snapshot. */
static void left_keep(struct replica *replica)
{
    static const char padding[LIMIT_PADDING + 1];
    const struct replica_ports *ports = &replica->options.ports;
    struct buffer *left = &replica->left_states, *state = &replica->scratch;
    size_t count = 1;
    bool known = replica->served && replica->whole;
    left_forget(replica);
    for (size_t i = 0; known && i < count; i++) {
        buffer_clear(state);
        count = ports->save_state(ports->context, i, state);
        size_t size = state->size;
        buffer_append(left, &size, sizeof size);
        buffer_append_slice(left, buffer_slice(state));
        buffer_append(left, padding, sizeof padding);
        known = !state->overflowed && !left->overflowed;
    }
    if (known)
        replica->left_record_epoch = journal_epoch_at(replica->log, replica->left_seq);
    else
        left_forget(replica);
}

void left_token(const struct replica *replica, char *out, size_t size)
{
    if (replica->left_record_epoch == 0)
        keep_text(out, size, "");
    else
        snprintf(out, size, "%s.%lld.%lld", replica->left_stream,
                 (long long)replica->left_record_epoch, (long long)replica->left_seq);
}

bool left_resumes(const struct replica *replica, const struct peer_hello *hello)
{
    return replica->mode == REPLICA_ALONE && hello->resumed && replica->left_record_epoch != 0 &&
           strcmp(hello->stream, replica->left_stream) == 0 && hello->next == replica->left_seq + 1;
}

void left_resume(struct replica *replica, const struct checkpoint *from)
{
    const struct replica_ports *ports = &replica->options.ports;
    const struct buffer *left = &replica->left_states;
    size_t at = 0, size;
    if (shadow_is_ready(replica))
        return; /* another road was there first */
    shadow_open(replica, &replica->peer, from->stream, from->seq + 1);
    for (; at < left->size; at += sizeof size + size + LIMIT_PADDING + 1) {
        memcpy(&size, left->data + at, sizeof size);
        struct state_note state = {.stream = from->stream,
                                   .epoch = from->epoch,
                                   .seq = from->seq,
                                   .text = {.data = left->data + at + sizeof size, .size = size}};
        if (size > 0)
            ports->load_state(ports->context, replica->shadow, &state);
    }
    replica->peer.caught_up = true;
    replica->shadow_whole = true;
    replica->shadow_resumes = true;
}

/* ---- alone ---- */

void alone_begin(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    shadow_drop(replica);
    keep_text(replica->left_stream, sizeof replica->left_stream, journal_stream(replica->log));
    replica->left_epoch = journal_barrier_epoch(replica->log);
    replica->left_seq = journal_next(replica->log) - 1;
    replica->left_us = ports->wall_us(ports->context);
    left_keep(replica);
    replica->epoch = 1;
    replica->home = NULL;
    log_rename(replica, replica->epoch);
    replica_set_mode(replica, REPLICA_ALONE, "no leader is to be found");
    open_epoch(replica, 0);
    ports->renamed(ports->context);
    replica->collect = true;
    replica_drop_peer(replica);
    replica_want_peer(replica);
}

/* ---- coming back ---- */

static bool was_before(const struct replica *replica, const struct record *record, int64_t recv_us)
{
    if (strcmp(record->stream, replica->left_stream) == 0 && record->seq <= replica->left_seq)
        return true;
    if (strcmp(record->stream, replica->left_stream) != 0 && recv_us < replica->left_us - MARGIN_US)
        return true;
    return recv_us < ledger_knows_since(replica->ledger) + MARGIN_US &&
           ledger_knows_since(replica->ledger) != 0;
}

/* False: it is none. */
static bool homecoming_trade(struct replica *replica, const struct record *record)
{
    const struct replica_ports *ports = &replica->options.ports;
    struct replica_trade trade;
    if (!ports->identify(ports->context, record, &trade))
        return false;
    if (replica->shadow_us == 0)
        replica->shadow_us = trade.recv_us;
    bool seen = ledger_see(replica->ledger, trade.hash);
    if (seen || was_before(replica, record, trade.recv_us))
        return true;
    sequence_again(replica, record);
    (void)ledger_see(replica->ledger, trade.hash); /* the one just delivered */
    return true;
}

/* A record of the cluster's stream. Nothing is collected here any more, so what is declared missing
 * there is missing here too. */
void homecoming_record(struct replica *replica, const struct record *record)
{
    if (replica->home_ns != 0 && !homecoming_trade(replica, record) &&
        slice_is(record->type, "gap"))
        sequence_again(replica, record);
}

/* Everything that the shadow has is held against what was delivered here. */
static void homecoming_begin(struct replica *replica)
{
    const struct replica_ports *ports = &replica->options.ports;
    struct cursor cursor = {0};
    struct record record;
    replica->home_ns = replica->now_ns;
    replica->shadow_us = 0;
    replica->collect = false;
    replica->collecting = false;
    ports->collect(ports->context, false); /* now: what it would bring comes from the cluster */
    if (!cursor_attach(&cursor, replica->shadow, journal_first(replica->shadow)))
        return;
    while (journal_read(replica->shadow, &cursor, &replica->scratch, replica->key, &record))
        (void)homecoming_trade(replica, &record);
    cursor_detach(&cursor);
}

void homecoming_stop(struct replica *replica)
{
    if (replica->mode != REPLICA_ALONE)
        return;
    replica->home_ns = 0;
    replica->collect = true;
}

/* The trade as it was delivered, while the log holds it, and it is of this stay alone: what was not
 * seen at the end of an earlier one was told then. */
static bool read_delivered(struct replica *replica, const struct ledger_trade *trade,
                           struct record *ret_record)
{
    const struct replica_ports *ports = &replica->options.ports;
    struct cursor cursor = {0};
    struct replica_trade found;
    if (trade->seq < journal_first(replica->log) ||
        !cursor_attach(&cursor, replica->log, trade->seq))
        return false;
    bool read = journal_read(replica->log, &cursor, &replica->scratch, replica->key, ret_record) &&
                ports->identify(ports->context, ret_record, &found) && found.hash == trade->hash;
    cursor_detach(&cursor);
    return read;
}

static bool is_among(const uint64_t *hashes, size_t count, uint64_t hash)
{
    for (size_t i = 0; i < count; i++)
        if (hashes[i] == hash)
            return true;
    return false;
}

/* Trades that were delivered here, and have not come there in time: a `gap` for each market, with
 * the last numbers of the stream that is left. No other stream's numbers are ours to give. */
static void declare_unseen(struct replica *replica, int64_t since_us)
{
    const struct replica_ports *ports = &replica->options.ports;
    uint64_t *told = memory_array(LEDGER_TRADES, sizeof *told);
    size_t markets = 0;
    uint32_t step = 0;
    struct ledger_trade trade;
    struct record record;
    while (ledger_next_unseen(replica->ledger, since_us, &step, &trade)) {
        if (!read_delivered(replica, &trade, &record))
            continue;
        uint64_t market = slice_hash(record.key);
        if (is_among(told, markets, market))
            continue;
        told[markets++] = market;
        ports->declare_gap(ports->context, record.key, trade.recv_us - MARGIN_US,
                           ports->wall_us(ports->context));
    }
    log_warn("cluster", log_text("msg", "some trades are not in the cluster's stream"),
             log_int("trades", ledger_unseen(replica->ledger, since_us)),
             log_int("markets", (int64_t)markets));
    memory_free(told);
}

static void come_home(struct replica *replica)
{
    struct path *path = replica->shadow_path;
    struct slot *slot = slot_of(replica, path);
    replica->writing = false;
    left_forget(replica);
    shadow_take(replica);
    replica->home = slot;
    if (slot != NULL)
        replica_drop_peer(replica);
    replica_set_mode(replica, slot != NULL ? REPLICA_FOLLOWER_CARRIER : REPLICA_FOLLOWER_PEER,
                     "a leader is there again");
}

static bool way_is_lost(struct replica *replica)
{
    const struct slot *slot = slot_of(replica, replica->shadow_path);
    if (slot == NULL)
        return !replica->peer_linked;
    return replica->leading == NOT_LEADING && slot->path.caught_up &&
           !path_is_alive(replica, &slot->path);
}

/* What came to the leader before the shadow began has come here too, by our own connections. One
 * that resumes has first to be given what was missed. */
static bool shadow_overlaps(const struct replica *replica)
{
    int64_t resumed_ns = replica->options.times.homecoming * NS_PER_MS;
    int64_t least_ns =
        replica->shadow_resumes && resumed_ns > MARGIN_US * 1000 ? resumed_ns : MARGIN_US * 1000;
    return replica->now_ns - replica->opened_ns >= least_ns &&
           (replica->shadow_path != &replica->peer || replica->peer_there);
}

void alone_tick(struct replica *replica)
{
    /* Elected, it goes to the carrier that it will lead on, even if nobody leads there now. */
    struct slot *slot = replica_slot(replica, replica->leading == NOT_LEADING);
    if (replica->shadow != NULL && way_is_lost(replica))
        shadow_drop(replica);
    if (replica->shadow == NULL) {
        if (slot != NULL)
            slot_begin_anew(slot);
        return;
    }
    if (!shadow_is_ready(replica) || !shadow_overlaps(replica))
        return;
    if (replica->home_ns == 0)
        homecoming_begin(replica);
    int64_t since_us = replica->shadow_us == 0 ? INT64_MAX : replica->shadow_us + MARGIN_US;
    uint32_t unseen = ledger_unseen(replica->ledger, since_us);
    int64_t waited_ns = replica->now_ns - replica->home_ns;
    if (unseen > 0 && waited_ns < replica->options.times.homecoming * NS_PER_MS)
        return;
    if (unseen > 0)
        declare_unseen(replica, since_us);
    come_home(replica);
}
