/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that one exchange is collected with. One connection, or two that carry the same (the first to
 * bring something wins); each is replaced before the exchange would end it, or when its data turns
 * out to be stale, by one that is opened beside it and takes over once both have brought the same:
 * without a hole or a repeat. What should be subscribed (`wanted`) is compared with what was asked
 * for (`asked`) whenever either changes, so a change at run time is nothing special.
 *
 * A lost connection is tried again for ever, with a capped, jittered backoff that starts over after
 * a healthy minute, within the exchange's budget. An exchange that says it is being maintained, or
 * that wants nothing from us for a while, is `down` with that as the reason: a state, no error. A
 * symbol that the exchange does not list or trade is quarantined: told as `down`, not asked for,
 * and looked at again every QUARANTINE_AGAIN_MS.
 *
 * Thread: its loop's. Everything that it learns goes to the publisher.
 */
#pragma once

#include "feed/egress.h"
#include "feed/publisher.h"
#include "feed/session_tap.h"
#include "net/loop.h"
#include "net/proxy.h"

#define SESSION_CONNECTIONS_MAX 2

struct session;

/* What may change while it runs. */
struct session_plan {
    const char *ws_url;           /* without the exchange's path */
    const char *rest_url;         /* the same */
    const struct symbol *symbols; /* each once */
    size_t symbol_count;
    uint32_t channels;      /* CHANNEL_BITs wanted for each */
    uint32_t connections;   /* 1 to SESSION_CONNECTIONS_MAX */
    int64_t stale_after_ms; /* what is stale is told within */
    int64_t lifetime_ms;    /* of a connection; 0: what the adapter says */
};

struct session_options {
    struct loop *loop;
    const struct exchange *exchange; /* borrowed */
    struct sequencer *sequencer;     /* borrowed */
    struct egress *egress;           /* borrowed: it outlives the session */
    const struct proxy *proxy;       /* borrowed; NULL: straight */
    const struct session_tap *tap;   /* borrowed; NULL: none */
    /* An attempt to connect has just been spent of the egress. NULL: nobody wants to know. */
    void (*connecting)(void *context);
    void *context;
    uint32_t book_depth;
    bool learn;                        /* take data of symbols that were not asked for (replay) */
    bool blind;                        /* never look by REST (replay: there is none) */
    bool as_is;                        /* see publisher_take_as_is */
    bool returning;                    /* see publisher_return */
    const struct publisher_past *past; /* see publisher_go_on; borrowed during create; NULL: none */
};

struct session_info {
    const char *exchange;
    enum status_state state;
    const char *reason;      /* of the state; "": none; borrowed until the next call */
    int64_t since_us;        /* of the state */
    int64_t last_message_us; /* 0: none yet */
    uint32_t connections;    /* open now */
    uint32_t stale;          /* channels of symbols that are stale */
    uint32_t quarantined;    /* symbols */
};

/* The plan is copied. */
struct session *session_create(const struct session_options *options,
                               const struct session_plan *plan, struct err *err) MUST_CHECK;
void session_start(struct session *session);
void session_destroy(struct session *session); /* NULL is a no-op */

/*
 * Another plan from now on: symbols and channels are asked for and given up on the connections that
 * are there, without disturbing the others; another URL, or number of connections, is gone to by
 * connections beside the present ones. Fails when a symbol cannot be spelled or there is no room
 * for it; then nothing has changed.
 */
int session_change(struct session *session, const struct session_plan *plan,
                   struct err *err) MUST_CHECK;

/* It is not collected any more, and a `status` says so; destroy it then. */
void session_retire(struct session *session);

void session_describe(const struct session *session, struct session_info *ret_info);
