/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: gateway.c (all clients), client.c (one client), snapshot.c,
 * discovery.c. */
#pragma once

#include "base/metrics.h"
#include "gateway/gateway.h"
#include "net/ws.h"

/* ---- snapshot.c: the shared blob ---- */

struct snapshot {
    uint32_t references;
    int64_t seq; /* it holds up to here; live goes on with seq + 1 */
    int64_t built_ns;
    struct buffer frames; /* hello, messages, snapshot_end: whole frames; immutable */
};

/*
 * A blob for a joiner, with a reference taken: the present one if it is young enough, holds at
 * least from_seq, and the journal still continues it; else a new one.
 */
struct snapshot *snapshot_get(struct gateway *gateway, int64_t from_seq);
void snapshot_unref(struct snapshot *snapshot); /* NULL is a no-op */

/* Appends one framed message. */
void frame_append(struct buffer *out, unsigned opcode, struct slice payload);

/* Appends the framed hello of a connection whose next live message is `next`. */
void hello_append(struct gateway *gateway, struct buffer *out, int64_t next, bool resumed);

/* ---- client.c ---- */

enum client_phase {
    CLIENT_WAITING, /* its token is ahead of this node */
    CLIENT_BEHIND,  /* moved ahead: owed `skipped` and a snapshot as soon as it takes bytes again */
    CLIENT_LIVE,    /* blob and journal */
    CLIENT_CLOSING, /* our close frame is out or pending */
};

struct client {
    struct gateway *gateway; /* borrowed */
    struct tcp *tcp;         /* owned */
    enum client_phase phase;
    bool blocked; /* the kernel took less than all: wait for on_writable */
    bool paused;  /* not read from: its pending is full */
    bool snapshot_wanted;
    bool caught_up;  /* began near the end of the journal, or has been there: now it may be slow */
    bool resuming;   /* came with a token of this stream */
    bool progressed; /* took bytes since the last tick, or was owed none */
    bool deaf;       /* what it still sends is not looked at: it failed, or said goodbye */
    bool end_when_sent;  /* nothing is left but to send what is pending */
    bool ended;          /* destroyed at the end of the turn */
    uint64_t address;    /* hash of the peer's address, for the limit of clients from one */
    int64_t deadline_ns; /* of waiting or closing */
    int64_t token_epoch; /* of CLIENT_WAITING; token_seq also of CLIENT_BEHIND: the last one sent */
    int64_t token_seq;
    int64_t next_heartbeat_ns;
    int64_t progress_ns; /* the last tick at which it had progressed */
    int64_t leave_ns;    /* its time to go, when the node is draining; 0: none */
    size_t pending_sent;
    struct buffer pending;
    struct snapshot *snapshot; /* shared; NULL when sent */
    size_t snapshot_sent;
    struct cursor cursor; /* detached unless CLIENT_LIVE */
    struct ws_parser parser;
};

struct client_start {
    struct tcp *tcp;    /* handed over */
    struct slice bytes; /* that came behind the handshake */
    uint64_t address;
    bool snapshot_wanted;
    bool has_token; /* of this stream */
    int64_t token_epoch, token_seq;
};

/* The client is in no list yet; it may already have been marked as ended. */
struct client *client_create(struct gateway *gateway, const struct client_start *start) MUST_CHECK;
void client_destroy(struct client *client);

/* After client_create and the list: hello and what follows, then bytes that came early. */
void client_begin(struct client *client, struct slice bytes);

/* Sends what the client is owed until the kernel is full or the turn's share is used. */
void client_send(struct client *client);

/* Heartbeat, waiting, closing, lag: what time brings. lag_seq: clients before it are slow. */
void client_tick(struct client *client, int64_t now_ns, int64_t lag_seq);

/* Queue a message of its own (framed here) or our close frame, behind what is pending; client_send
 * sends it. */
void client_queue(struct client *client, struct slice message);
void client_close(struct client *client, uint16_t code, const char *reason);

/* ---- gateway.c ---- */

#define LAG_MARKS 16

/* Where the journal stood at a time. */
struct lag_mark {
    int64_t at_ns; /* 0: not noted yet */
    int64_t next;
};

struct gateway {
    struct gateway_options options;
    struct client **clients; /* owned; client_count of them, in no order */
    size_t client_count;
    size_t client_capacity;
    struct snapshot *snapshot; /* the present blob; one reference */
    struct deferred *flush;
    struct timer *tick;
    bool draining;
    bool any_ended;                       /* clients to be destroyed at the end of the turn */
    struct lag_mark lag_marks[LAG_MARKS]; /* a ring */
    uint32_t lag_newest;
    int64_t drain_end_ns; /* by then all clients have been closed, when draining */
    struct metric *clients_now, *sent_bytes, *sent_messages, *snapshots, *slow_snapshot,
        *slow_disconnect, *stuck;
    struct metric *joined, *resumed, *not_resumed, *refused_full, *refused_address,
        *refused_draining;
};

/* The client's turn is over at the latest at the end of this one; called from inside any of its
 * callbacks. */
void gateway_end_client(struct gateway *gateway, struct client *client);

/* ---- discovery.c ---- */

void discovery_answer(void *context, struct http_connection *connection,
                      const struct http_head *request);
