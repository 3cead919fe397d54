/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other nodes, as cluster.peers lists them: what each says of itself at /api/v1/cluster, asked
 * every LIMIT_PEER_POLL_MS, and a link to the leader's /ws/exchange, an ordinary client's. Requests
 * carry the token of cluster.token_file, if there is one (bearer, in the header). Certificates are
 * verified as everywhere.
 *
 * A link, once wanted, is looked for until it is no longer: to the peer that says it is the leader
 * (of several, the newest epoch's), tried again with jittered backoff. Never to a node that follows
 * or stands alone: its numbers could come from us. While there is none, all are asked often.
 *
 * When a link ends it is made again from where it stood: behind the last record that the reader was
 * given, or with the former token when a snapshot was cut. It is left for another leader when the
 * node leads no longer, when a newer epoch's is known, or when it drains and another one leads.
 *
 * Thread: the loop's. Bounds: LIMIT_PEERS; one request a peer at a time; the link's messages are at
 * most LIMIT_RECORD; an answer at most LIMIT_PEER_ANSWER.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "net/loop.h"

struct proxy;
struct peers;

/*
 * What the leader's stream says to us; all borrowed during the call. Not called from inside a
 * function of this header, but each may open or close the link, and describe the peers. Texts are
 * followed by a NUL and LIMIT_PADDING readable bytes. What they are: hello first, well-formed and
 * of that node; records numbered without a hole from its `next` on; of all the rest only the head
 * has been looked at.
 */
struct peer_reader {
    void (*hello)(void *context, struct slice message); /* again on a live link: start over */
    void (*snapshot)(void *context, struct slice message);
    void (*snapshot_end)(void *context, struct slice message);
    void (*record)(void *context, struct slice message); /* it has a seq */
    void (*alive)(void *context);                        /* heartbeat, pong, source */
    void (*lost)(void *context, const char *reason);     /* of a link that had said hello */
    void *context;
};

struct peers_options {
    struct loop *loop;         /* borrowed, like all below */
    const char *const *urls;   /* "http(s)://host:port", NULL-terminated; copied */
    const char *node;          /* this node's id: one that has it is ourselves, and left out */
    const char *token_file;    /* "": none */
    const struct proxy *proxy; /* NULL: straight. Peers are usually in NO_PROXY */
    struct peer_reader reader;
};

/* Whether the token file ("": none) holds one token alone (RFC 6750, 2.1). -EINVAL, or what the
 * file's reading said, with the file in front. */
int peers_check_token(const char *path, struct err *err) MUST_CHECK;

/* Reads the token file, and fails as peers_check_token does, or with -EINVAL and the URL in front.
 */
int peers_create(const struct peers_options *options, struct peers **ret_peers,
                 struct err *err) MUST_CHECK;
void peers_destroy(struct peers *peers); /* NULL is a no-op; not from inside a reader */

/* since: a token, "" for a snapshot; copied. Open already: the link is closed, silently, and made
 * anew. At once when a leader is known, unless an attempt at it has just failed. */
void peers_open_link(struct peers *peers, const char *since);
void peers_close_link(struct peers *peers);

/* What is known of one of them. */
struct peer_info {
    const char *url; /* where it is to be reached: as it advertises, else where it is asked;
                        borrowed until the loop's next turn, as all texts */
    const char *node, *role, *stream, *version; /* as it said; "": not yet */
    int64_t epoch;
    int64_t clients, lag_ms; /* -1: unknown */
    int64_t since_us;        /* in that role */
    bool reachable;          /* the last request was answered */
    const char *error;       /* of the last one; "": none */
    bool linked;             /* our link goes there, and it has said hello */
};

/* Without those that turned out to be this node. */
size_t peers_count(const struct peers *peers);
void peers_describe(const struct peers *peers, size_t index, struct peer_info *ret_info);
