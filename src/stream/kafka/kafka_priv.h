/* SPDX-License-Identifier: Apache-2.0 */
/* The carrier as its files share it. All of it is the stream's thread's. */
#pragma once

#include "base/metrics.h"
#include "stream/kafka/kafka_decode.h"
#include "stream/kafka/kafka_link.h"

enum kafka_step {
    KAFKA_AWAY,      /* no session */
    KAFKA_VERIFYING, /* the record read last is read again */
    KAFKA_SEARCHING, /* a place to begin is looked for */
    KAFKA_READING
};

/* What a record is known by when it is read again. */
struct kafka_identity {
    int64_t position; /* -1: none */
    int64_t timestamp, epoch, seq;
    size_t size;
    enum kafka_kind kind;
    char stream[LIMIT_STREAM_ID];
};

/* From which position to which one is searched now. */
struct kafka_search {
    int64_t low;      /* of the topic */
    int64_t from, to; /* `to` is exclusive */
    int64_t tail;     /* records looked at so far, in steps of ten */
    int64_t end;      /* of the topic when the search began */
    bool barrier;     /* one was seen */
    bool newest;      /* the last beacon of a part is looked for, not its first */
    bool young;       /* the tail may be too short yet: its first record will tell */
    bool found;
    struct checkpoint start; /* of `found` */
};

/* Records fetched together; each is destroyed when it was given. */
struct kafka_held {
    rd_kafka_message_t *messages[LIMIT_KAFKA_TURN];
    size_t count, next;
};

struct kafka_metrics {
    struct metric *read[KAFKA_KINDS], *skipped[KAFKA_VERDICTS];
    struct metric *taken, *full, *down, *lost;
    struct metric *acknowledged, *breaks;
};

struct kafka_carrier {
    struct carrier carrier;
    struct carrier_reader reader;
    char *node, *topic;            /* owned */
    int64_t tail_most;             /* records looked at first, when they are young */
    struct kafka_link *link;       /* owned */
    struct kafka_session *session; /* lent by the link; NULL: none */
    struct kafka_trouble trouble;  /* of this session */
    struct kafka_probe probe;      /* the newest */
    struct kafka_metrics metrics;

    enum carrier_state state;
    int64_t since_us, rtt_us;
    uint64_t breaks;
    int64_t told_ns; /* when the log was last told of a failure */
    char error[240];
    bool polling;
    bool discard; /* the link is to be told that its session was lost */
    bool refused; /* with discard: what was written is not taken, or what is there not given */

    /* Writing. */
    int64_t unanswered;  /* records and notes given to the producer and not reported */
    int64_t answered_ns; /* when one was last reported, or the first of these was given */
    bool stalled;
    struct buffer note;

    /* Reading. */
    enum kafka_step step;
    bool begun;                /* `began` was told once */
    bool anew;                 /* until it has: nothing goes on where reading stands */
    bool restart;              /* with this session, at the next poll */
    bool caught_up;            /* told, since the last `began` */
    int64_t next;              /* position of what is awaited */
    int64_t end;               /* behind it, caught_up is told */
    int64_t marked, marked_ns; /* `next` when the topic was last looked at */
    int64_t moved_ns;          /* when something was last read, or nothing was to be read */
    struct kafka_search search;
    struct kafka_identity last;
    struct kafka_held held;
    struct kafka_decoded decoded;
    char scratch[LIMIT_RECORD + 1 + LIMIT_PADDING];
};

/* ---- kafka_carrier.c ---- */

/* For writes unanswered, and records unread: longer than LIMIT_KAFKA_STALL_MS, when the broker has
 * longer for its answers. */
int64_t kafka_carrier_stall_ns(const struct kafka_carrier *kafka);
/* The session is of no use any more. */
void kafka_carrier_lose(struct kafka_carrier *kafka, const char *reason);
void kafka_carrier_up(struct kafka_carrier *kafka);
/* FAILED with the session kept. */
void kafka_carrier_stall(struct kafka_carrier *kafka, const char *reason);

/* ---- kafka_writer.c ---- */

enum carrier_result kafka_write(struct carrier *carrier, const struct record *record);
enum carrier_result kafka_write_barrier(struct carrier *carrier, const struct barrier *barrier);
enum carrier_result kafka_write_beacon(struct carrier *carrier, const struct beacon *beacon);
enum carrier_result kafka_write_state(struct carrier *carrier, const struct state_note *state);
void kafka_forget(struct carrier *carrier);

/* Whether what a broker would not do it will not do again, as long as nobody changes something
 * there. */
bool kafka_is_refusal(rd_kafka_resp_err_t code);

/* Delivery reports and errors of both handles; may lose the session. */
void kafka_writer_poll(struct kafka_carrier *kafka);

/* ---- kafka_reader.c ---- */

/* A new session came. */
void kafka_reader_begin(struct kafka_carrier *kafka);
/* The session goes. */
void kafka_reader_end(struct kafka_carrier *kafka);
/* True: there is more. May lose the session. */
bool kafka_reader_poll(struct kafka_carrier *kafka);
/* Reads from a position on. */
void kafka_reader_go(struct kafka_carrier *kafka, int64_t position);
/* Headers, and for what `wanted` has a bit of, the text too. */
enum kafka_verdict kafka_reader_decode(struct kafka_carrier *kafka, rd_kafka_message_t *message,
                                       uint32_t wanted, struct kafka_name *ret_name);

/* ---- kafka_search.c: where one can begin ---- */

void kafka_search_begin(struct kafka_carrier *kafka);
/* A record, or NULL at the end of the topic. When a place is found (or none is), kafka->step is
 * KAFKA_READING and `began` has been told. */
void kafka_search_look(struct kafka_carrier *kafka, rd_kafka_message_t *message);
