/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One other node, asked again and again at /api/v1/cluster: every LIMIT_PEER_POLL_MS, or every
 * LIMIT_PEER_SEARCH_MS while it is hurried, each a tenth shorter or longer at random. One request
 * at a time, of at most LIMIT_PEER_ANSWER_MS. Logs when a node is reached, and when it no longer
 * is. Thread: its loop's.
 */
#pragma once

#include "net/loop.h"
#include "peer/peer_answer.h"

struct peer_poll;
struct proxy;
struct tls_context;

struct peer_poll_options { /* all borrowed as long as it lives, but for url, which is copied */
    struct loop *loop;
    const char *url; /* "http(s)://host:port", without a slash at its end */
    const char *bearer;
    const struct tls_context *tls;
    const struct proxy *proxy;
    /* After each request, whatever came of it; not from inside a function of this header. */
    void (*on_asked)(void *context, struct peer_poll *poll);
    void *context;
};

/* Asks first in the loop's next turn. */
struct peer_poll *peer_poll_create(const struct peer_poll_options *options) MUST_CHECK;
void peer_poll_destroy(struct peer_poll *poll); /* NULL is a no-op; not inside on_asked */

/* True: ask in the loop's next turn, unless a request is under way, and often from then on. */
void peer_poll_hurry(struct peer_poll *poll, bool hurried);

const char *peer_poll_url(const struct peer_poll *poll);
bool peer_poll_reachable(const struct peer_poll *poll);    /* the last request was answered well */
const char *peer_poll_error(const struct peer_poll *poll); /* why it was not; "" */

/* The last good answer; its node is "" when there was none. */
const struct peer_answer *peer_poll_answer(const struct peer_poll *poll);
