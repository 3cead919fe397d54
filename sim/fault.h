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
    uint64_t connection; /* FAULT_ONE: its number, 0: the first one that comes; FAULT_OLD: the last
                            one that was there */
    uint64_t event;      /* of the market, for which it was used last: all connections that are told
                            of one event count once */
    uint32_t ms, delay_ms, status, retry_after_s;
    uint16_t code;
    int64_t shift_us;
};

struct faults; /* all that were asked for */

struct faults *faults_create(void) MUST_CHECK;
void faults_destroy(struct faults *faults);

/* Adds a copy; sets id and times. NULL when FAULTS_MAX are going on. */
struct fault *faults_add(struct faults *faults, const struct fault *fault);

/* Who is asked about. */
struct fault_scope {
    const struct exchange *exchange;
    const struct market *market; /* NULL: only faults of all markets cover it */
    int channel;                 /* -1: any */
    uint64_t connection;         /* 0: none */
    uint64_t event;              /* 0: none; a fault used up for this very event still covers it */
};

/* The first fault of this kind that goes on now and covers this, or NULL. */
struct fault *faults_find(struct faults *faults, enum fault_kind kind,
                          const struct fault_scope *scope);

/* The next one after `previous` (NULL: the first) of this kind that goes on, or NULL. */
struct fault *faults_next(struct faults *faults, enum fault_kind kind, struct fault *previous);

/* Uses up one of a counted fault; a second use for the same event is free. */
void fault_use(struct fault *fault, uint64_t connection, uint64_t event);

/* Ends it now. */
void fault_end(struct fault *fault);
bool fault_active(const struct fault *fault);

/* The JSON list of GET /sim/fault. */
void faults_write(const struct faults *faults, struct buffer *out);
void fault_write(const struct fault *fault, struct buffer *out);

const char *fault_kind_name(enum fault_kind kind);
const char *channel_name(enum channel channel);
bool channel_parse(struct slice name, enum channel *ret_channel) MUST_CHECK;

bool fault_kind_parse(struct slice name, enum fault_kind *ret_kind) MUST_CHECK;

/* Finds an exchange by its name, or NULL. */
typedef struct exchange *fault_find_fn(void *context, struct slice name);

/* Reads the JSON of a request. -EINVAL and a sentence. fault_read.c */
int fault_read(struct slice json, fault_find_fn *find, void *context, struct fault *ret_fault,
               struct err *err) MUST_CHECK;

/* Garbage that any exchange could send, number `kind` of FAULT_GARBAGE_KINDS. */
#define FAULT_GARBAGE_KINDS 10
void fault_garbage(unsigned kind, uint64_t *random, struct buffer *out, bool *ret_binary);
