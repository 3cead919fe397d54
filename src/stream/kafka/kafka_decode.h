/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record of the topic is, from its headers and value (contract, section 5). Anybody who may
 * write to the topic may write anything: all is judged strictly, and what is not ours or is
 * malformed is told by a verdict, counted and passed over. Pure; allocates nothing; any thread.
 */
#pragma once

#include "stream/notes.h"

enum kafka_kind { KAFKA_RECORD, KAFKA_BARRIER, KAFKA_BEACON, KAFKA_STATE, KAFKA_NOTHING };

#define KAFKA_KINDS (KAFKA_NOTHING + 1)

enum kafka_verdict {
    KAFKA_GOOD,
    KAFKA_FOREIGN,      /* none of our headers */
    KAFKA_BAD_HEADERS,  /* some, but missing, repeated or of other content */
    KAFKA_TOO_LONG,     /* LIMIT_RECORD, LIMIT_STATE, LIMIT_NOTE */
    KAFKA_BAD_TEXT,     /* the value does not say what the headers say, or is not clean text */
    KAFKA_BAD_POSITION, /* a beacon that speaks of what comes behind it */
    KAFKA_VERDICTS
};

extern const char *const kafka_kind_names[KAFKA_KINDS];
extern const char *const kafka_verdict_names[KAFKA_VERDICTS];

/* Our headers of one record, as they come. Values are borrowed. */
struct kafka_headers {
    struct slice stream, epoch, seq, type, node;
    uint32_t seen; /* bits of them */
    bool repeated; /* one of them twice */
};

/* One header; those of others are passed over. A value that is NULL is empty. */
void kafka_headers_add(struct kafka_headers *headers, const char *name, struct slice value);

struct kafka_name {
    enum kafka_kind kind;
    char stream[LIMIT_STREAM_ID];
    int64_t epoch;
    int64_t seq; /* of a record; notes: -1 */
};

enum kafka_verdict kafka_name_read(const struct kafka_headers *headers,
                                   struct kafka_name *ret_name);

/* A record or note; pointers into the text, the name, and this. */
struct kafka_decoded {
    struct record record;
    struct note_barrier barrier;
    struct note_beacon beacon;
    struct state_note state;
    char key[LIMIT_KEY];
};

/*
 * Fills what name->kind says; stream and texts point into `name`, `text` and ret_decoded. text: a
 * NUL and LIMIT_PADDING readable bytes follow. position: of the record in the topic.
 */
enum kafka_verdict kafka_decode(const struct kafka_name *name, const struct kafka_headers *headers,
                                struct slice text, int64_t position,
                                struct kafka_decoded *ret_decoded);
