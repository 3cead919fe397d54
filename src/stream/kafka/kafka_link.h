/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The helper thread of a carrier: makes sessions, looks after the one in use, destroys them. It
 * tells by a report, which the carrier takes in each poll. Calls are the stream's thread's; none of
 * them blocks.
 */
#pragma once

#include "stream/kafka/kafka_session.h"

struct kafka_link;

struct kafka_report {
    struct kafka_session *session; /* a new one to work with; NULL: none came */
    bool probed;                   /* a look at the topic was answered: probe */
    struct kafka_probe probe;
    bool failed; /* no session could be made, or the present one does not answer */
    char error[240];
};

/* Takes the config over; begins at once to make a session. wake: see carrier_reader. */
int kafka_link_open(struct kafka_config *config, kafka_wake_fn *wake, void *context,
                    struct kafka_link **ret_link, struct err *err) MUST_CHECK;

/* wake is not called again. The thread ends behind it, with whatever it holds. */
void kafka_link_close(struct kafka_link *link);

/* What came since; once a session was given, it is the carrier's to use until kafka_link_discard.
 */
void kafka_link_take(struct kafka_link *link, struct kafka_report *ret_report);

/* The session that was given is not used any more; another one is to be made: in
 * LIMIT_KAFKA_RETRY_MS, or, when a broker refused to take or to give records, in
 * LIMIT_KAFKA_REFUSED_MS. */
void kafka_link_discard(struct kafka_link *link, bool refused);
