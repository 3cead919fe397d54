/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole cluster in one process under virtual time: what the files of this folder share. The
 * nodes' replicas, journals, sequencers and reading rules are the product's own objects; everything
 * around them is modelled here:
 *
 * - world.c: time, nodes, the ports of a replica
 * - kafka.c, broker.c: a log that may lose its tail, freeze, be cut off, write late, write twice
 * - market.c: exchanges with their trades, and what collects them; notebook.c: a tiny keeper
 * - link.c: a follower's link to the leader; client.c: clients that read, come, go and resume
 * - faults.c: who leads, and what breaks when; monitor.c: knows everything, checks every step
 *
 * One seed gives one schedule: the same on every machine. Times are virtual milliseconds.
 */
#pragma once

#include "cluster/replica.h"
#include "tests/simulation/counts.h"
#include "tests/simulation/dice.h"

#define NODES 4
#define CLIENTS 8
#define EXCHANGES 2
#define PAIRS 4 /* exchange and symbol; pair i is of exchange i / 2 */
#define TRADES_MAX 1024
#define STEP_MS 50
#define MS_NS INT64_C(1000000)
#define WALL_START_US INT64_C(1790000000000000)

struct world;
struct broker; /* broker.h */
struct kafka;  /* kafka.c: one node's carrier */

/* ---- trades known, of one log or to one client ---- */

struct notebook {
    uint64_t known[PAIRS][TRADES_MAX / 64]; /* bit i: trade i, from 1 on */
    int32_t highest[PAIRS];                 /* of those known or declared missing; 0: none */
    int32_t last[PAIRS];                    /* the trade that came last, and its number */
    int64_t last_seq[PAIRS];
};

static inline bool notebook_has(const struct notebook *notebook, uint32_t pair, int32_t id)
{
    return (notebook->known[pair][id / 64] >> (id % 64) & 1) != 0;
}

/* ---- the market ---- */

struct market {
    int32_t count[PAIRS]; /* trades so far */
    int32_t made_ms[PAIRS][TRADES_MAX];
    uint32_t rate; /* percent that a pair has a trade in a step */
    int32_t gives; /* trades back that an exchange still can give */
    uint32_t fat;  /* bytes that a book has */
    bool open;     /* false: no trades are made any more */
};

struct collector {
    bool on;
    struct notebook sent;
    int32_t next[PAIRS]; /* trade to be asked for next */
    bool book[PAIRS];    /* its snapshot is to be sent first */
    int64_t book_ms[PAIRS];
};

/* ---- nodes ---- */

enum link_state { LINK_CLOSED, LINK_LOOKING, LINK_JOINING, LINK_LIVE };

struct link { /* of a follower to the leader */
    enum link_state state;
    uint32_t generation; /* grows with every open and close */
    char since[LIMIT_STREAM_ID + 48];
    uint32_t to;
    int64_t due_ms;      /* the next thing happens */
    int64_t given_up_ms; /* waiting for a token that is ahead */
    int64_t alive_ms, stuck_ms;
    bool started_over;
    struct cursor cursor;
};

struct node {
    struct world *world;
    uint32_t index;
    char name[8];
    bool alive;
    int64_t up_ms;     /* it starts then; -1: it is not to start */
    int64_t paused_ms; /* until then; 0: it runs */
    bool clock_stands; /* its monotonic time does not count the pause */
    int64_t stolen_ms; /* of its time, by pauses */
    struct replica *replica;
    struct kafka *kafka; /* NULL: switched off */
    struct collector collector;
    struct link link;
    struct notebook books[2];
    struct notebook *notebook; /* of the log */
    struct notebook *shadow;   /* NULL: there is none */
    struct journal *shadow_journal;
    bool served;
    enum replica_mode mode; /* as last seen */
    uint64_t rewrites;
    bool was_leader, was_fenced;
    int64_t barrier[64]; /* newest epoch that it has read a barrier of, by stream */
    bool feed_down[EXCHANGES];
    bool takes_kafka; /* configured */
    bool cut_write, cut_read;
    bool cut_from[NODES]; /* no link between these two */
    bool leads;           /* configured, or granted: told so whenever it starts */
    bool leaving;
    int64_t cut_until_ms, alone_until_ms, feed_until_ms, detached_until_ms; /* heal by then */
    int64_t follow_ms; /* it is told to follow then; 0: it is not */
};

/* ---- clients ---- */

struct client {
    int32_t node;   /* -1: none */
    int64_t due_ms; /* it comes back then */
    int64_t deadline_ms;
    struct cursor cursor;
    bool attached, has_token, start_over, idle;
    uint16_t stream; /* of what it has; the index of monitor.h */
    int64_t epoch, seq;
    uint32_t chain;             /* name of the message `seq`; 0: not known */
    struct notebook got;        /* since its last hello */
    struct notebook ever;       /* since it was born */
    int32_t base[PAIRS];        /* it is owed the trades behind this one */
    bool stood_alone;           /* its node did, when it said hello to it */
    int32_t since_alone[PAIRS]; /* what it is owed since then, over the next hello */
    uint64_t declared[PAIRS][TRADES_MAX / 64];
    int64_t heard_ms;
    uint32_t hellos;
};

/* ---- the whole ---- */

struct plan; /* faults.c */
struct monitor;

struct world {
    uint64_t seed;
    struct dice dice, fault_dice;
    int64_t now_ms;
    uint32_t node_count, client_count;
    bool election; /* leaders are granted; else node 0 is configured as leader */
    bool single;   /* at most one of leader and carrier fails at a time: the stronger promises */
    bool carrier_fails; /* of a single fault: it is the carrier that failed */
    int32_t lone;       /* the same: the follower that is cut off from everybody; -1: none */
    bool healed;
    bool fierce; /* set before a schedule: more faults, for longer */
    bool trace, failed;
    struct replica_times times;
    int64_t zk_epoch;
    int32_t granted;                           /* node; -1: nobody */
    int64_t grant_ms, faults_end_ms, fault_ms; /* fault_ms: of the single one */
    uint32_t fury;                             /* tenths of a percent of steps that bring a fault */
    int64_t broker_ms;                         /* the broker is well again by then */
    struct node nodes[NODES];
    struct client clients[CLIENTS];
    struct market market;
    struct broker *broker;
    struct monitor *monitor;
    struct counts *counts;
    struct counts before; /* of the schedules before */
    int64_t silence_ms;   /* the longest a client had nothing in this schedule */
    char failure[512];
};

/* world.c */
struct world *world_create(void);
void world_destroy(struct world *world);
/* Runs the schedule of a seed; false: it failed, see failure. */
bool world_run(struct world *world, uint64_t seed, bool trace);
void world_fail(struct world *world, const char *format, ...) PRINTF(2, 3);
void world_trace(const struct world *world, const char *format, ...) PRINTF(2, 3);
bool node_runs(const struct node *node);
bool node_leads(const struct node *node); /* by its own word, and not alone */
bool nodes_meet(const struct world *world, uint32_t left, uint32_t right);
void node_start(struct node *node);
void node_stop(struct node *node); /* at once, as by kill -9 */
void node_switch_kafka(struct node *node, bool on);
void kafka_heal(struct kafka *kafka); /* kafka.c: from now on it is quick */

/* market.c */
void market_begin(struct market *market, struct dice *dice);
void market_step(struct world *world);
void collector_start(struct node *node);
void collector_step(struct node *node);
bool market_doubt(struct node *node, struct slice key); /* says a gap that names no trade */

/* notebook.c */
void notebook_record(struct notebook *notebook, const struct record *record);
bool notebook_load(struct notebook *notebook, struct slice state);
void notebook_save(const struct notebook *notebook, uint32_t pair, int64_t seq, struct buffer *out);
void notebook_add(struct notebook *notebook, uint32_t pair, int32_t id, int64_t seq);
/* False: it is no trade. */
bool trade_read(const struct record *record, uint32_t *ret_pair, int32_t *ret_id);
/* The same of a gap; ret_to: the last trade that it names. */
bool gap_read(const struct record *record, uint32_t *ret_pair, int32_t *ret_to);
int64_t number_behind(struct slice text, const char *name); /* -1: none */

/* link.c */
void link_open(struct node *node, const char *since);
void link_close(struct node *node);
void link_step(struct node *node);
void links_lose(struct world *world, uint32_t to); /* the node is gone */

/* client.c */
void client_step(struct world *world, struct client *client);
void clients_lose(struct world *world, uint32_t node);
void clients_start_over(struct world *world, uint32_t node);
void clients_begin(struct world *world);

/* faults.c */
void faults_begin(struct world *world);
void faults_step(struct world *world);
void faults_heal(struct world *world);
