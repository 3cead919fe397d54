/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to another node's /ws/exchange, from the attempt to its end: an ordinary client of
 * that stream, which asks nothing but to begin behind a token. What comes is not trusted: messages
 * of at most LIMIT_RECORD, `hello` first and from the node that was meant, numbers that grow by
 * one, snapshots of at most LIMIT_PEER_SNAPSHOT that go on every LIMIT_PEER_STALL_MS; a link on
 * which something else comes ends.
 *
 * A ping goes out every LIMIT_PEER_PING_MS; when LIMIT_PEER_PINGS have gone by with nothing heard,
 * the link is lost. Counted in pings, not in time: who was stopped himself hears first what came
 * meanwhile. Thread: its loop's.
 */
#pragma once

#include "base/limits.h"
#include "net/loop.h"
#include "peer/peer.h"

struct peer_link;
struct tls_context;

#define PEER_TOKEN_MAX (LIMIT_STREAM_ID + 2 * 21) /* a token as text, terminated */

/* The link may be closed inside any of them. */
struct peer_link_callbacks {
    void (*opened)(void *context);                    /* the first hello is there; the reader gets
                                                         it next */
    void (*draining)(void *context);                  /* that node leaves */
    void (*ended)(void *context, const char *reason); /* once, nothing after it; close it then */
    void *context;
};

struct peer_link_options { /* borrowed as long as it lives, but for url and since: for the call */
    struct loop *loop;
    const char *url;   /* without a slash at its end */
    const char *since; /* a token; "": none */
    const char *node;  /* who is meant: the hello must come from there; copied */
    const char *bearer;
    const struct tls_context *tls;
    const struct proxy *proxy;
    const struct peer_reader *reader; /* all but `lost` */
    struct peer_link_callbacks callbacks;
};

/* Nothing is called back from inside. */
int peer_link_open(const struct peer_link_options *options, struct peer_link **ret_link,
                   struct err *err) MUST_CHECK;
void peer_link_close(struct peer_link *link); /* at once, silently; NULL is a no-op */

bool peer_link_greeted(const struct peer_link *link);      /* it has said hello */
int64_t peer_link_opened_ns(const struct peer_link *link); /* when; 0: it has not */

/* Where it stands: behind what the reader was given. False in a snapshot, and before. */
bool peer_link_token(const struct peer_link *link, char ret_token[PEER_TOKEN_MAX]);
