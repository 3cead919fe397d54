/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the main thread prepares for a client: the form of its frames, a snapshot, a place in the
 * stream. For the files of this folder; see gateway_priv.h.
 */
#pragma once

#include "base/mailbox.h"
#include "base/metrics.h"
#include "gateway/gateway.h"
#include "net/ws.h"

struct gateway;

/* ---- feed.c: what feeds the log, and whom that lets in ---- */

enum source { SOURCE_DIRECT, SOURCE_PEER, SOURCE_REDIS, SOURCE_KAFKA, SOURCE_COUNT };

extern const char *const source_names[SOURCE_COUNT];

enum endpoint {
    ENDPOINT_EXCHANGE, /* whatever feeds */
    ENDPOINT_KAFKA,
    ENDPOINT_REDIS,
    ENDPOINT_COUNT
};

extern const char *const endpoint_names[ENDPOINT_COUNT]; /* "exchange": /ws/exchange */

struct feed { /* the main thread's copy of a gateway_feed */
    enum source source;
    char mode[16];
    char reason[LIMIT_REASON + 1];
    bool enabled[ENDPOINT_COUNT];
};

/* texts of NULL: see gateway.h */
void feed_read(struct feed *feed, const struct gateway_feed *given);

bool feed_serves(const struct feed *feed, enum endpoint endpoint); /* it is there now */

/* What a worker has to know of the feed: made on the main thread, and then the worker's. */
struct notice {
    uint8_t source;              /* enum source */
    bool serves[ENDPOINT_COUNT]; /* whose clients may stay */
    size_t size;
    char message[]; /* `source` */
};

struct notice *notice_create(const struct feed *feed) MUST_CHECK; /* memory_free */

/* ---- form.c: the ways in which the stream is framed ---- */

enum form { /* bits; both: batches, compressed */
            FORM_PLAIN = 0,
            FORM_BATCH = 1,
            FORM_DEFLATE = 2,
            FORM_COUNT = 4
};

struct forms;

struct forms *forms_create(struct gateway *gateway) MUST_CHECK;
void forms_destroy(struct forms *forms);

/* A client of this form is there, or gone: its log is written only while there are any. */
void forms_enter(struct forms *forms, enum form form);
void forms_leave(struct forms *forms, enum form form);

/* The next frame of this form's log will begin with the record that the journal awaits, where the
 * cursor is put. Not of FORM_PLAIN. */
void forms_attach(struct forms *forms, enum form form, struct cursor *cursor);

/* A record was accepted. */
void forms_add(struct forms *forms, const struct record *record);

/* What waits to be batched waits no longer. */
void forms_cut(struct forms *forms);

/* The journal has another content: what was accepted of the former one goes out in the former logs,
 * and they begin anew. */
void forms_start_over(struct forms *forms);

/* The same plain frames in another form, appended to `out`. */
void form_convert(struct forms *forms, enum form form, struct slice frames, struct buffer *out);

/* ---- snapshot.c: the shared blobs ---- */

/* Immutable but for the forms that it is made into, on the main thread; counted. */
struct snapshot;
struct snapshots;

struct snapshots *snapshots_create(struct gateway *gateway) MUST_CHECK;
void snapshots_destroy(struct snapshots *snapshots); /* nobody may hold one */

/*
 * A blob for a joiner, with a reference taken: one that is young enough, holds at least from_seq,
 * and that the journal still continues. NULL: not now, because one was made a moment ago, or as
 * many are alive as may be. Main thread, like snapshots_tick, which frees what nobody holds.
 */
struct snapshot *snapshot_get(struct snapshots *snapshots, int64_t from_seq, enum form form);
void snapshots_tick(struct snapshots *snapshots);

/* What the blobs say is true no more: nobody gets one of them from now on. The next one may be made
 * at once, but not for each of many such calls in a row. */
void snapshots_forget(struct snapshots *snapshots);

/* Any thread, by who has a reference. */
void snapshot_unref(struct snapshot *snapshot);        /* NULL is a no-op */
int64_t snapshot_seq(const struct snapshot *snapshot); /* it holds up to here */
bool snapshot_is_young(const struct snapshot *snapshot, int64_t now_ns);
struct slice snapshot_frames(const struct snapshot *snapshot, enum form form); /* the one it was got
                                                                                   in */

/* Others wait for its memory: who has not taken it by now is slow. */
bool snapshot_retired(const struct snapshot *snapshot);

/* Appends one framed message. */
void frame_append(struct buffer *out, unsigned opcode, struct slice payload);

/* Appends the framed hello of a connection whose next live message is `next`. Main thread. */
void hello_append(struct gateway *gateway, struct buffer *out, int64_t next, bool resumed);

/* ---- placement.c: where in the stream a client begins ---- */

struct placement {
    /* asked */
    bool snapshot_wanted;
    bool moved_ahead; /* it is slow: `skipped` from sent_seq + 1 */
    bool has_token;   /* not judged yet, or honoured */
    bool is_new;
    uint8_t source;   /* answered: enum source, as its hello says */
    uint32_t content; /* the gateway's: when it was asked, then when it was answered */
    int64_t sent_seq;
    struct token token;
    int64_t deadline_ns;      /* of waiting: for the token's message, then for a blob */
    struct tcp_socket socket; /* of a new client */
    struct buffer early;      /* that came behind the handshake */
    /* answered */
    const char *refusal;       /* instead of all that follows: it is closed with 1013; static */
    struct buffer greeting;    /* its own frames: hello, or skipped */
    bool near_end;             /* of the stream: it may be slow from the start */
    struct snapshot *snapshot; /* a reference; NULL: none */
    struct cursor cursor;      /* in the journal */
    struct cursor form_cursor; /* where its form's log takes over; detached: FORM_PLAIN */
};

struct placement *placement_create(void) MUST_CHECK;

/* What is still in it; NULL is a no-op. The socket is not closed. Any thread. */
void placement_destroy(struct placement *placement);

/* Its answer is thrown away: it is as it was asked. Any thread. */
void placement_unanswer(struct placement *placement);

/* Waits from now on, as long as one like it may. */
void placement_begin_wait(struct placement *placement, int64_t now_ns);

/* Answers, by what the journal holds now, or false: it must wait. Main thread. */
bool placement_decide(struct gateway *gateway, struct placement *placement, enum form form,
                      int64_t now_ns) MUST_CHECK;
