/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to an exchange: asks within the exchange's message limit for what is wanted, keeps
 * itself alive, decodes. It lives from one attempt to connect to its end; whoever wants another one
 * makes another link. It has instruments of its own, because what was `asked` for belongs to a
 * connection; their context is the session's instrument.
 *
 * Thread: its loop's. The callbacks may destroy the link.
 */
#pragma once

#include "exchange/exchange.h"
#include "feed/session_tap.h"
#include "net/loop.h"
#include "net/ws_client.h"

struct link;

struct link_ending {
    uint16_t code;      /* of the close frame; 1006: there was none */
    const char *reason; /* valid during the call */
    bool opened;        /* it had been open */
    struct ws_client_refusal refusal;
};

struct link_callbacks {
    void (*opened)(void *context, struct link *link);
    /* The batch of link_options has the events. */
    void (*events)(void *context, struct link *link);
    /* The exchange refused a request, in these words. */
    void (*refused)(void *context, struct link *link, struct slice words);
    /* The exchange announces that it will disconnect. */
    void (*leaving)(void *context, struct link *link);
    /* Comes once, nothing after it; destroy it then. */
    void (*closed)(void *context, struct link *link, const struct link_ending *ending);
};

struct link_metrics { /* of the exchange; all its links count in these */
    struct metric *verdicts[DECODE_VERDICT_COUNT];
    struct metric *malformed, *left_out;
};

struct link_options {
    struct loop *loop;
    const struct exchange *exchange;
    const char *url; /* with the exchange's path; borrowed as long as the link lives */
    const struct tls_context *tls;
    const struct proxy *proxy;
    struct event_batch *batch;          /* shared: links decode one at a time */
    const struct link_metrics *metrics; /* borrowed */
    const struct session_tap *tap;      /* borrowed; NULL: none */
    uint32_t connection;                /* its number, for the tap and the log */
    bool learn;                         /* take data of symbols that were not asked for */
};

int link_open(const struct link_options *options, const struct link_callbacks *callbacks,
              void *context, struct link **ret_link, struct err *err) MUST_CHECK;
void link_destroy(struct link *link); /* NULL is a no-op */

/* From now on what is wanted is what the catalogue says: each of its instruments is this link's as
 * well, with it as context. Sends what that takes, in time. Instruments are never removed. */
void link_follow(struct link *link, struct instruments *catalogue);

/* Whether everything wanted has been asked for. */
bool link_settled(const struct link *link);

/* `closed` follows. */
void link_close(struct link *link, uint16_t code, const char *reason);

bool link_is_open(const struct link *link);
int64_t link_opened_ns(const struct link *link);
int64_t link_heard_ns(const struct link *link);    /* of the last message or control frame */
int64_t link_received_us(const struct link *link); /* of the last message; 0: none yet */
uint32_t link_connection(const struct link *link);
