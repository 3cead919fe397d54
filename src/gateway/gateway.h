/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients: the handshake at /ws/exchange, hello, snapshot, resume, the live stream, heartbeats, the
 * slow, and discovery at /ws/info. A client is a cursor into a log of frames and a few bytes of its
 * own: every message was encoded and framed once, and goes from the log straight to the kernel.
 * Joiners share one immutable snapshot blob. /ws/kafka and /ws/redis are /ws/exchange on condition:
 * 404 while not enabled, 503 while another source feeds, closed with 1013 when theirs feeds no
 * more.
 *
 * What a client is owed, in this order, always cut at frame boundaries only:
 * - pending: its own frames (hello, pong, close, heartbeat), the rest of a frame cut by a short
 * write
 * - blob: hello, snapshot messages, snapshot_end up to q
 * - log: from q + 1 on
 *
 * Forms: who asked for batch=1, or negotiated permessage-deflate, or both, reads a log of its own
 * form, made once for all such clients and only while there are any: in a batch a frame holds
 * several messages, one a line, at most batch_interval of them. Until it has come to where that log
 * began for it, it reads the plain one.
 *
 * Bounds: pending is at most one record and LIMIT_CLIENT_PENDING; above that the client is not read
 * from. A client further behind than max_lag, or than the journal, is slow: it is moved ahead
 * (`skipped`, hello, snapshot), or closed with 1008. At most LIMIT_SNAPSHOTS blobs are alive, made
 * at least LIMIT_SNAPSHOT_AGE_MS apart; who can't be given one waits, LIMIT_SNAPSHOT_WAIT_MS at
 * most, and is closed with 1013 then. A form's log keeps at most a quarter of the journal's bytes.
 *
 * Threads: everything here is called on the main thread, the journal's writer. Clients are served
 * by `threads` threads of the gateway's own, each with a loop.
 */
#pragma once

#include "keeper/keeper.h"
#include "net/http_server.h"

struct gateway;

struct gateway_policy { /* what may change while clients are served */
    uint32_t heartbeat_ms;
    uint32_t max_lag_ms;
    bool disconnect_slow; /* else a slow client is moved ahead */
    uint32_t clients_max;
    uint32_t clients_per_address_max;
};

/* What feeds this node's log, as `hello`, `source` and /ws/info tell it. */
struct gateway_feed {
    const char *source; /* "direct", "peer", "kafka", "redis"; NULL: "direct" */
    const char *mode;   /* "websocket", "kafka", "redis", "kafka+redis"; NULL: "websocket" */
    const char
        *reason;       /* of the last change; a clause, cut at LIMIT_REASON bytes; "", NULL: none */
    bool kafka, redis; /* enabled: /ws/kafka, /ws/redis are there */
};

struct gateway_options {
    struct loop *loop;          /* borrowed, like all below */
    struct http_server *server; /* gets the routes /ws/exchange, /ws/kafka, /ws/redis, /ws/info */
    struct journal *journal;    /* its stream is "": nothing to be served yet (gateway_is_open) */
    struct keeper *keeper;
    const char *node;             /* id; JSON-safe */
    const char *public_url;       /* "" : from the request's Host */
    bool simulated;               /* hello says so */
    const char *const *exchanges; /* names collected, NULL-terminated */
    const char *const *nodes;     /* base URLs of other nodes for /ws/info, NULL-terminated; NULL:
                                     none */
    struct gateway_feed feed;     /* at the start; texts are copied */
    struct gateway_policy policy;
    uint32_t batch_interval_ms; /* the longest wait for more before sending; 0: none; more than a
                                   quarter of max_lag is taken for that */
    uint32_t threads;           /* that serve clients; at least 1 */
    size_t send_buffer;         /* bytes given to the kernel in one send */
};

/* Starts the threads. */
struct gateway *gateway_create(const struct gateway_options *options) MUST_CHECK;

/* Ends every connection at once, and the threads; NULL is a no-op. */
void gateway_destroy(struct gateway *gateway);

/* In force from now on, for clients that are there within 100 ms. */
void gateway_change(struct gateway *gateway, const struct gateway_policy *policy);

/*
 * What feeds the log has changed: every client is told `source` if the source is another one than
 * it was told last, at its next frame boundary (who is about to get `hello` may be told by that
 * alone); a client that takes nothing meanwhile is told the last of several changes. Clients of an
 * endpoint whose source feeds no more, or is not enabled any more, are closed with 1013. Another
 * mode is told to nobody but those who come. Texts are copied.
 */
void gateway_feed_changed(struct gateway *gateway, const struct gateway_feed *feed);

/*
 * False: nothing can be served yet, and new clients get 503 with Retry-After. So from the start
 * until the first gateway_start_over, unless the journal had its name at gateway_create.
 */
bool gateway_is_open(const struct gateway *gateway);

/*
 * The journal has another content or name (journal_take, journal_restart), and the keeper fits it:
 * every client is told `hello` again (resumed false), with a snapshot unless it asked for none, and
 * goes on from there; no `skipped`. Messages of the former log that a client was already owed reach
 * it before that, whole and in order, as long as it takes them without waiting; what it does not
 * take within 100 ms, and a snapshot under way, is given up. Tokens of clients that wait are judged
 * by the new log. May be called again at once; of several in a row a client may see the last alone.
 *
 * To be called right after the change: before another record is appended, and before the loop goes
 * on.
 */
void gateway_start_over(struct gateway *gateway);

size_t gateway_clients(const struct gateway *gateway);

/*
 * Tells every client `draining`, each with its own time, spread so that they do not all come back
 * elsewhere at once; a client is closed with 1001 when its time has come and it has everything, and
 * all are at within_ms. New ones are refused (503).
 */
void gateway_drain(struct gateway *gateway, uint32_t within_ms);
