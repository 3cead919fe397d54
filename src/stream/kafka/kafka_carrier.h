/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The row of the registry for the carrier `kafka`: one topic of one partition (contract, section
 * 5), by librdkafka. Each node reads the partition by itself: no group, no stored offsets.
 *
 * Nothing blocks the caller: handles are made, asked and destroyed by a thread of the carrier's
 * own. Data goes through the caller's thread: write, poll. carrier_reader.wake is called from
 * librdkafka's threads and the carrier's own, until close has returned.
 *
 * Bounds: LIMIT_KAFKA_UNSENT records and LIMIT_KAFKA_UNSENT_BYTES written and not acknowledged,
 * then CARRIER_FULL; about LIMIT_KAFKA_UNREAD_BYTES fetched and not polled, then nothing is
 * fetched. A poll gives at most LIMIT_KAFKA_TURN records.
 *
 * It is CARRIER_FAILED when no broker is connected, when none answers within
 * LIMIT_KAFKA_ANSWER_MS (it is asked every LIMIT_KAFKA_PROBE_MS), when writes are not acknowledged
 * for LIMIT_KAFKA_STALL_MS, and when the topic is not as it must be, or its broker refuses to take
 * or to give records: then it is tried again every LIMIT_KAFKA_REFUSED_MS. A broker that was late
 * has twice as long from then on, up to LIMIT_KAFKA_ANSWER_MOST_MS, and as long as before once it
 * has been prompt for two seconds. Before the carrier is CARRIER_UP again it has seen that the
 * record read last is still at its place; if not, it begins anew.
 */
#pragma once

#include "stream/stream.h"

struct kafka_property {
    const char *name, *value;
};

/* carrier_options.details. All copied during open. */
struct kafka_details {
    const char *brokers; /* "host:port,..." */
    const char *topic;
    const struct kafka_property *properties; /* librdkafka's own; see kafka_property_check */
    size_t property_count;                   /* at most LIMIT_KAFKA_PROPERTIES */
    const char *password;                    /* sasl.password, as read from its file; "": none */
    size_t retain; /* bytes of the log that is read into: what it can't hold is not looked for */
};

extern const struct carrier_kind kafka_carrier_kind;

/*
 * Whether librdkafka knows such a property and takes such a value, and it is none of those that the
 * order of the stream rests on or that are set elsewhere. Values of secrets are never told. What
 * only shows when properties meet is found when the carrier opens.
 */
int kafka_property_check(const char *name, const char *value, struct err *err) MUST_CHECK;

/*
 * Carriers are closed at once, and their threads end behind them. Waits until all have, at most
 * timeout_ms; false when some have not. For who is about to end the process. Any thread.
 */
bool kafka_carriers_settle(uint32_t timeout_ms);
