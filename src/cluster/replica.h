/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's replica of the numbered stream: its log, its part (leader or follower), and its mode.
 * Here the rules of taking over, copying, delivering direct, following a peer, standing alone and
 * coming back are; each is in the file of its name. No I/O, no clock, no randomness of its own: all
 * come through the ports, so a simulation can drive a whole cluster of the very objects that the
 * product links.
 *
 *     sequencer -> replica -> carrier -> replica -> log -> gateway, keeper
 *                       `--- direct ------^
 *
 * The log (stream/journal.h) is what this node has accepted, from whichever carrier: a record is
 * appended when it is the next one by number. Each carrier, and the peer, is a path with a reading
 * of its own; what a path's reading rule accepts is then held against the log:
 * - the next record: appended, unless a newer epoch began before it on any path (fenced);
 * - one that the log has, of the same epoch: a repeat, and proof that log and path are one;
 * - one that the log has of another epoch, or a path that began beyond the log's end: the log is no
 *   prefix of the path. Then a shadow log is filled from the path, silently, and takes the log's
 *   place when it has come to the end: clients are told `hello`.
 *
 * Thread: one, the stream's. Nothing here may be called from inside a port.
 */
#pragma once

#include "stream/journal.h"

enum replica_mode {
    REPLICA_STARTING, /* nothing to serve yet: looking for a log, or for a leader */
    REPLICA_LEADER_CARRIER,
    REPLICA_LEADER_DIRECT,
    REPLICA_FOLLOWER_CARRIER,
    REPLICA_FOLLOWER_PEER,
    REPLICA_ALONE,
    REPLICA_MODE_COUNT
};

extern const char *const replica_mode_names[REPLICA_MODE_COUNT];

#define REPLICA_CARRIERS 2 /* in the order of preference */

/* Milliseconds, all of them (stream.md, "Modes"). */
struct replica_times {
    uint32_t start;       /* a carrier that is not read by then is gone without: 2000 */
    uint32_t take_over;   /* a take-over that has not come through by then fails: 10000 */
    uint32_t direct;      /* age of the oldest record not read back that turns direct: 750 */
    uint32_t stall;       /* read-back that stands still this long while writing: again: 1000 */
    uint32_t silence;     /* no record and no beacon: peer: 1000 */
    uint32_t alone;       /* no leader: alone, plus up to half of it at random: 10000 */
    uint32_t healthy;     /* before going up again: 5000 */
    uint32_t refill;      /* what a carrier is given again from before its break: 10000 */
    uint32_t beacon;      /* 250 */
    uint32_t state_cycle; /* every state is written at least once in: 60000 */
    uint32_t homecoming;  /* for trades of ours to be seen in the cluster's stream: 5000 */
};

#define REPLICA_TIMES                                                                              \
    ((struct replica_times){2000, 10000, 750, 1000, 1000, 10000, 5000, 10000, 250, 60000, 5000})

struct replica_trade { /* what tells a trade from another, on any node */
    uint64_t hash;     /* of exchange, symbol and the exchange's own identity of it; never 0 */
    int64_t recv_us;
};

/* What a replica asks of its node. Called on its thread, from inside its functions. */
struct replica_ports {
    int64_t (*now_ns)(void *context);  /* monotonic; does not count suspension */
    int64_t (*wall_us)(void *context); /* for the `epoch` message */
    uint64_t (*random)(void *context);

    /* Collect from the exchanges, through replica_sequencer, or stop. Collecting anew begins with
     * snapshots of books; trade keys are the keeper's (of the log). */
    void (*collect)(void *context, bool on);

    /* Hold a link to the leader's /ws/exchange, and look for it again when it ends; or let go.
     * since: a token, "" to begin with a snapshot; borrowed during the call. Open while open: anew,
     * with the other token. */
    void (*peer_open)(void *context, const char *since);
    void (*peer_close)(void *context);

    /* Mode, source or health changed; see replica_describe. */
    void (*changed)(void *context);

    /* A shadow log begins, or an unfinished one is dropped (NULL): a keeper that listens to it
     * begins, or ends. */
    void (*shadow)(void *context, struct journal *shadow);

    /* The log holds what the shadow held (journal_take): the shadow's keeper replaces the keeper,
     * and clients start over. Before the first one there is nothing to be served. */
    void (*taken)(void *context);

    /* The log goes on under another name (journal_rename): clients start over. */
    void (*renamed)(void *context);

    /* A state of one exchange and symbol, for the log whose keeper it is (the log or the shadow);
     * seq: it holds up to there. */
    void (*load_state)(void *context, struct journal *journal, const struct state_note *state);

    /* The same, of a message of a peer's snapshot. */
    void (*load_message)(void *context, struct journal *journal, struct slice message);

    /* The state number `index` (0 first) as it is now, into `out` (LIMIT_STATE bytes at most).
     * Returns how many there are. */
    size_t (*save_state)(void *context, size_t index, struct buffer *out);

    /* True when the record is a trade; what it is known by. */
    bool (*identify)(void *context, const struct record *record, struct replica_trade *ret_trade);

    /* To be said through replica_sequencer: between these times there are trades of the market
     * (`key`, of a trade's record) that this stream has and the one that follows it may lack. */
    void (*declare_gap)(void *context, struct slice key, int64_t from_us, int64_t to_us);
    void *context;
};

struct replica_options {
    const char *node; /* id; JSON-safe; borrowed */
    size_t retain;    /* bytes of the log */
    struct replica_times times;
    struct replica_ports ports;
};

struct replica;

/* A follower that has no carrier yet, and no log. */
struct replica *replica_create(const struct replica_options *options) MUST_CHECK;
void replica_destroy(struct replica *replica); /* NULL is a no-op */

/* Valid for the replica's whole life; its stream is "" and it is empty before the first `taken`. */
struct journal *replica_journal(struct replica *replica);
struct sequencer *replica_sequencer(struct replica *replica);

/* ---- its part ---- */

/*
 * Take over, as soon as the carriers allow. epoch_floor: the epoch will be greater (0 without an
 * election). A leader that has read a newer barrier than its own is a follower from then on, and
 * stays so until replica_lead is called again; replica_info.fenced tells.
 */
void replica_lead(struct replica *replica, int64_t epoch_floor);
void replica_follow(struct replica *replica);

/* In order: nothing is collected any more, what was sequenced is written if the carrier takes it.
 */
void replica_leave(struct replica *replica);

/* What was sequenced has come back from every carrier that works. */
bool replica_is_flushed(const struct replica *replica);

/* ---- carriers ---- */

/* For carrier_options.reader; wake and its context stay the caller's. index: below
 * REPLICA_CARRIERS. */
void replica_reader(struct replica *replica, size_t index, struct carrier_reader *ret_reader);

/* It has been opened with that reader. Borrowed until replica_detach, which ends all use of it;
 * then it may be closed. */
void replica_attach(struct replica *replica, size_t index, struct carrier *carrier);
void replica_detach(struct replica *replica, size_t index);

/* ---- the peer link: what the leader's /ws/exchange says ---- */

struct peer_hello {
    const char *stream, *node;
    int64_t epoch, next;
    bool resumed;
};

void replica_peer_hello(struct replica *replica, const struct peer_hello *hello);
/* A message of the snapshot; NUL and LIMIT_PADDING bytes behind it. */
void replica_peer_snapshot(struct replica *replica, struct slice message);
void replica_peer_snapshot_end(struct replica *replica, int64_t seq);
/* A sequenced message, the same. */
void replica_peer_record(struct replica *replica, struct slice text);
/* Anything else: it is alive. */
void replica_peer_alive(struct replica *replica);
void replica_peer_lost(struct replica *replica, const char *reason);

/* ---- time ---- */

/* What time brings, and what is owed to the carriers. Every 50 ms or oftener, and after polls. */
void replica_tick(struct replica *replica);

/* ---- what it is ---- */

struct replica_info {
    enum replica_mode mode;
    bool leader;           /* it writes the stream (not when alone) */
    bool fenced;           /* it was deposed, and follows until it is told to lead */
    const char *fenced_by; /* who said so in the barrier, and of which epoch; borrowed */
    int64_t fenced_epoch;
    bool fallen_out; /* the log no longer has what a carrier lacks: when that is back, a new stream
                      * begins. replica_options.retain was too small. While it leads */
    const char *source; /* "kafka", "redis", "peer", "direct": what feeds the log */
    const char *reason; /* why it is the mode it is; a clause; "" none; borrowed until a change */
    const char *leader_node; /* id, as far as known; "" unknown; borrowed */
    int64_t since_us;        /* wall time of the last change of mode */
    int64_t lag_ms;          /* of a follower: age of what it heard last; of a leader: of the oldest
                                record not read back; -1: unknown */
    uint64_t changes;        /* of mode */
    uint64_t rewrites;       /* times a carrier was written to again */
};

void replica_describe(const struct replica *replica, struct replica_info *ret_info);
