/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: what somebody asked to go wrong, for how long or how often, and whether it does. Asking
 * is POST /sim/fault; docs/simulator.md lists the kinds and fields. This part keeps the list and
 * answers questions; the simulator and the connections act. Thread: the loop's.
 */
#pragma once

#include "base/err.h"
#include "sim/venue.h"

#define FAULTS_MAX 256 /* remembered; the oldest one that is over goes first */
#define FAULT_MS_MAX 3600000
#define FAULT_COUNT_MAX 1000000

enum fault_kind {
    FAULT_DISCONNECT,
    FAULT_STALL,
    FAULT_BAN,
    FAULT_GARBAGE,
    FAULT_GAP,
    FAULT_SLOW,
    FAULT_REORDER,
    FAULT_DUPLICATE,
    FAULT_CLOCK,
    FAULT_MAINTENANCE,
    FAULT_LEAVING,
    FAULT_HALT,
    FAULT_KINDS,
};

/* Which connections: all of now and later, those that were there when it began, or one of them. */
enum fault_connections { FAULT_ALL, FAULT_OLD, FAULT_ONE };

struct fault {
    uint64_t id;
    struct exchange *exchange;
    enum fault_kind kind;
    const struct market *market; /* NULL: all */
    int channel;                 /* enum channel; -1: all */
    int64_t from_us, to_us;      /* wall time; to_us 0: until its count is used up */
    int64_t from_ns, to_ns;      /* the same, monotonic */
    int64_t count;               /* left; -1: by time */
    enum fault_connections connections;
    uint64_t connection; /* FAULT_ONE: its number; FAULT_OLD: the last one that was there */
    uint32_t ms, delay_ms, status, retry_after_s;
    uint16_t code;
    int64_t shift_us;
};

struct faults; /* all that were asked for */

struct faults *faults_create(void) MUST_CHECK;
void faults_destroy(struct faults *faults);

/* Adds a copy; sets id and times. NULL when FAULTS_MAX are going on. */
struct fault *faults_add(struct faults *faults, const struct fault *fault);

/* The first fault of this kind that goes on now and covers this (market NULL: only those of all
 * markets; channel -1: any; connection 0: none), or NULL. */
struct fault *faults_find(struct faults *faults, const struct exchange *exchange,
                          enum fault_kind kind, const struct market *market, int channel,
                          uint64_t connection);

/* Uses up one of a counted fault. */
void fault_use(struct fault *fault);

/* Ends it now. */
void fault_end(struct fault *fault);
bool fault_active(const struct fault *fault);

/* The JSON list of GET /sim/fault. */
void faults_write(const struct faults *faults, struct buffer *out);
void fault_write(const struct fault *fault, struct buffer *out);

const char *fault_kind_name(enum fault_kind kind);
const char *channel_name(enum channel channel);
bool channel_parse(struct slice name, enum channel *ret_channel) MUST_CHECK;

/* Reads the JSON of a request; find names the exchange and market. -EINVAL and a sentence. */
typedef struct exchange *fault_find_fn(void *context, struct slice name);
int fault_read(struct slice json, fault_find_fn *find, void *context, struct fault *ret_fault,
               struct err *err) MUST_CHECK;
