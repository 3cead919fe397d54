/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share. On the main thread: gateway.c (all clients: handshake,
 * limits, leaving), placement.c (where in the stream a client begins), snapshot.c (the blobs),
 * form.c (batches), feed.c (what feeds the log), discovery.c. On the workers' threads: worker.c
 * (one thread and its clients), client.c (what one client is owed), client_input.c (what it says).
 *
 * A client and its placement go between the threads as a letter: whoever has the letter owns the
 * placement, and from the first letter on the rest of the client is its worker's.
 *
 * Starting over: the gateway counts the journal's contents. A worker that sees another count takes
 * its clients out of the former content; an answered placement that comes with the former count is
 * asked again. The count is stored before a letter that bears it is posted, and read behind the
 * taking of letters: so no letter is ever ahead of it.
 */
#pragma once

#include "gateway/placement_priv.h"

/* ---- client.c, client_input.c ---- */

enum client_phase {
    CLIENT_BEHIND,  /* to be moved ahead, or to start over, as soon as it takes bytes again */
    CLIENT_ASKING,  /* the main thread has its placement */
    CLIENT_LIVE,    /* blob and log */
    CLIENT_CLOSING, /* our close frame is out or pending */
};

enum errand {
    ERRAND_SERVE, /* main -> worker: a new client, or one whose placement was decided */
    ERRAND_PLACE, /* worker -> main: its placement is asked for */
    ERRAND_BURY,  /* worker -> main: it has ended */
};

/* Its own frames, and the rest of one that a short write cut: an idle client has none. */
struct pending {
    struct buffer frames;
    size_t sent;
};

struct client {
    struct letter letter;        /* first: a letter is its client */
    struct worker *worker;       /* borrowed; whose thread serves it */
    struct tcp *tcp;             /* owned; NULL when ended */
    struct placement *placement; /* owned by who has the letter; on its worker: what is left of it,
                                    until its form's log takes over; else NULL */
    struct pending *pending;     /* owned; NULL: nothing */
    struct snapshot *snapshot;   /* a reference; NULL when sent */
    size_t snapshot_sent;
    struct cursor cursor; /* detached unless CLIENT_LIVE */
    int64_t deadline_ns;  /* of closing: for our close frame, then for the peer's */
    int64_t sent_seq;     /* of CLIENT_BEHIND: the last one sent */
    int64_t heartbeat_ns; /* the last one, or when it came */
    int64_t expires_us;   /* wall time at which its token ends; 0: never */
    int64_t progress_ns;  /* the last tick at which it had progressed */
    int64_t leave_ns;     /* its time to go, when the node is draining; 0: none */
    uint32_t said;        /* bytes of messages, inflated, since the last tick */
    uint32_t index;       /* in the gateway's list; the main thread's, as is the next */
    uint8_t worker_index;
    uint8_t errand;      /* enum errand, of the letter under way */
    uint8_t form;        /* enum form; never changes */
    uint8_t phase;       /* enum client_phase */
    uint8_t endpoint;    /* enum endpoint, by which it came */
    uint8_t source;      /* enum source, that it was told last */
    bool blocked : 1;    /* the kernel took less than all: wait for on_writable */
    bool paused : 1;     /* not read from: its pending is full */
    bool caught_up : 1;  /* began near the end of the journal, or has been there: now it may be slow
                          */
    bool progressed : 1; /* took bytes since the last tick, or was owed none */
    bool away : 1;       /* its placement is with the main thread */
    bool deaf : 1;       /* what it still sends is not looked at: it failed, or said goodbye */
    bool end_when_sent : 1;   /* nothing is left but to send what is pending */
    bool snapshot_wanted : 1; /* when it starts over */
    bool
        start_over : 1; /* it is in a former content: what it takes of that at once, then `hello` */
    bool ended : 1;     /* destroyed at the end of the turn, or when its placement is back */
    struct ws_parser parser;
};

/* Main thread: before its first letter. */
struct client *client_create(enum form form, enum endpoint endpoint,
                             struct placement *placement) MUST_CHECK;
void client_destroy(struct client *client); /* after its last; NULL is a no-op */

/* Everything below: its worker's thread. */

/* The letter came: takes what the placement holds. A new client gets its socket. */
void client_take_placement(struct client *client);

/* Lets go of everything but the memory. */
void client_release(struct client *client);

/* Sends what the client is owed until the kernel is full or the turn's share is used. */
void client_send(struct client *client);

/* Heartbeat, closing, lag: what time brings. lag_seq: clients before it are slow. */
void client_tick(struct client *client, int64_t now_ns, int64_t lag_seq);

/* The journal has another content. */
void client_start_over(struct client *client);

/* Another notice came: who may not stay is closed. */
void client_check_feed(struct client *client);

/* `draining` in within_ms, counted from now_ns. */
void client_drain(struct client *client, int64_t now_ns, uint32_t within_ms);

/* Where its own frames are appended. */
struct buffer *client_pending(struct client *client);

/* Queue a message of its own (framed here) or our close frame, behind what is pending; client_send
 * sends it. */
void client_queue(struct client *client, struct slice message);
void client_close(struct client *client, uint16_t code, const char *reason);

/* What it sent, in writable memory. */
void client_read(struct client *client, char *data, size_t size);

/* ---- worker.c: a thread, its loop, its clients ---- */

struct worker;

/* What the clients of a worker use of it; its thread's. */
struct worker_context {
    const struct gateway_options *options; /* borrowed; never changes, but for its policy */
    struct gateway_policy policy;          /* this thread's copy of what it needs */
    struct frame_log *journal;
    uint32_t content;             /* the gateway's count, as this worker has obeyed it */
    struct notice *notice;        /* owned: the newest; never NULL */
    struct ws_inflater *inflater; /* of all its clients that speak compressed */
    struct metric *bad_frames, *bad_text, *too_large, *too_many; /* 1002, 1007, 1009, 1013 */
    struct metric *too_much, *expired;                           /* 1008 */
    struct metric *unfed;                                        /* 1013 */
    struct metric *slow_snapshot, *slow_disconnect, *stuck;
    uint64_t sent_bytes, sent_messages; /* not yet in the metrics */
    int64_t drain_end_ns;               /* by then all have been closed; 0: not draining */
};

struct worker *worker_create(struct gateway *gateway) MUST_CHECK;

/* Ends the thread; its clients have then been given back. */
void worker_stop(struct worker *worker);
void worker_destroy(struct worker *worker); /* after worker_stop */

/* Main thread: a new client, or an answered placement. */
void worker_give(struct worker *worker, struct client *client);

/* Main thread: records were accepted, or frames of a form. now_ns: the oldest of them. */
void worker_wake(struct worker *worker, int64_t now_ns);

/* Main thread, once: its clients leave one after the other within spread_ms, and all have been
 * closed within within_ms. */
void worker_drain(struct worker *worker, uint32_t spread_ms, uint32_t within_ms);

/* Main thread: in force at the worker's next tick. */
void worker_change(struct worker *worker, const struct gateway_policy *policy);

/* Main thread: the journal has another content, the gateway's count of them is this now. */
void worker_start_over(struct worker *worker, uint32_t content);

/* Main thread: its clients are told, the newest alone. The notice is given away. */
void worker_notify(struct worker *worker, struct notice *notice);

/* The worker's thread. */

struct worker_context *worker_context(struct worker *worker);
struct loop *worker_loop(struct worker *worker);
void worker_schedule(struct worker *worker); /* another round at the end of the turn */
void worker_ask(struct client *client);      /* its placement goes to the main thread */
void worker_end(struct client *client); /* its turn is over at the latest at the end of this one;
                                           called from inside any of its callbacks */

/* ---- gateway.c ---- */

struct entrance {
    struct gateway *gateway; /* borrowed */
    enum endpoint endpoint;
};

struct gateway {
    struct gateway_options options;
    struct entrance entrances[ENDPOINT_COUNT]; /* of the routes */
    struct feed feed;
    bool open;
    uint32_t content;        /* how many contents the journal has had, but for the first */
    struct client **clients; /* client_count of them, in no order; lent to the workers */
    uint64_t *addresses;     /* by the same index: hash of the client's address */
    uint64_t seed;           /* of these hashes */
    uint32_t client_count;
    uint32_t client_capacity;
    struct letter *waiting; /* clients, for their placement, in no order */
    struct worker **workers;
    uint32_t *worker_clients; /* how many each has */
    uint32_t worker_count;
    struct mailbox *mailbox; /* workers -> main: placements asked for, clients that ended */
    struct waker *waker;     /* for it */
    struct snapshots *snapshots;
    struct forms *forms;
    struct deferred *flush; /* at the end of the turn: the workers have something to send */
    struct timer *tick;
    bool draining;
    int64_t turn_ns; /* when the first record of this turn was accepted; 0: none */
    struct metric *clients_now, *snapshots_built;
    struct metric *joined, *resumed, *not_resumed;
    struct metric *refused_full, *refused_address, *refused_draining, *refused_starting,
        *refused_source;
};

/* Of the policy as the calling thread has it: who waits for us must not be slow by that. */
static inline uint32_t batch_wait_ms(const struct gateway_options *options,
                                     const struct gateway_policy *policy)
{
    uint32_t most_ms = policy->max_lag_ms / 4;
    return options->batch_interval_ms < most_ms ? options->batch_interval_ms : most_ms;
}

/* Any worker's thread: posts the letter to the main thread. */
void gateway_post(struct gateway *gateway, struct client *client, enum errand errand);

/* ---- discovery.c ---- */

void discovery_answer(void *context, struct http_connection *connection,
                      const struct http_head *request);
