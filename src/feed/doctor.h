/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the exchange by REST about what is silent (units.h), and about which symbols it lists: one
 * request at a time, within the exchange's budget (egress.h). What an exchange can't be asked, or
 * does not answer, is left to a fresh subscription (UNIT_UNKNOWN).
 *
 * Thread: its loop's.
 */
#pragma once

#include "feed/egress.h"
#include "feed/units.h"
#include "net/loop.h"
#include "net/proxy.h"
#include "net/tls.h"

struct doctor;

struct doctor_options {
    struct loop *loop;
    const struct exchange *exchange;
    const char *rest_url;          /* without path; copied */
    const struct tls_context *tls; /* borrowed; NULL: for http */
    const struct proxy *proxy;     /* borrowed; NULL: straight */
    struct egress *egress;         /* borrowed */
    struct instruments *catalogue; /* borrowed */
    struct units *units;           /* borrowed */
};

struct doctor_callbacks {
    /* The list of markets has come; it was asked for. For each instrument of the catalogue. */
    void (*market)(void *context, struct instrument *instrument, bool tradable);
    /* Whether the best levels of a book are those that came; its id alone says too little. */
    bool (*same_book)(void *context, struct instrument *instrument, const struct level *bid,
                      const struct level *ask);
    /* The exchange paused us (egress knows until when). */
    void (*paused)(void *context);
};

struct doctor *doctor_create(const struct doctor_options *options,
                             const struct doctor_callbacks *callbacks, void *context) MUST_CHECK;
/* Units that wait for an answer get none. NULL is a no-op. */
void doctor_destroy(struct doctor *doctor);

/* Asks the next thing there is to ask, if it may. To be called often. */
void doctor_check(struct doctor *doctor, int64_t now_ns);

/* The list of markets is wanted; it is asked for as soon as allowed, and not twice a minute, until
 * one comes that has a market in it. */
void doctor_want_markets(struct doctor *doctor);
