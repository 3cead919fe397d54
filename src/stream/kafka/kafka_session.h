/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with the brokers: a handle that writes, a handle that reads, and what is known of the
 * topic. It lasts until anything breaks; then it is destroyed and another one is made, so that
 * nothing of before the break is left in queues of the library.
 *
 * Threads: made, prepared, probed and destroyed by the carrier's helper thread, where these calls
 * may block (at most about answer_ms for each answer; destroying, as long as the system's resolver
 * takes). Between being prepared and being given back, the stream's thread reads and writes with
 * it; the library's handles allow both at a time.
 */
#pragma once

#include "stream/kafka/kafka_config.h"

struct kafka_session {
    rd_kafka_t *producer, *consumer;
    rd_kafka_topic_t *write_topic, *read_topic;
    rd_kafka_queue_t *write_events, *read_events; /* errors, delivery reports */
    rd_kafka_queue_t *records;
    bool reading;  /* the partition is being fetched */
    int answer_ms; /* its handles give up on an answer after that */
    bool late;     /* somebody was there while it was prepared, and did not answer in time */
    bool spent;    /* of no use any more: its producer met what it can't get over */
};

/* What was seen of the topic. */
struct kafka_probe {
    int64_t low;  /* position of the first record; -1: was not asked for */
    int64_t high; /* behind the last one */
    int64_t rtt_us;
    int64_t asked_ns; /* when; monotonic */
    int answer_ms;    /* how long it might have taken */
};

/* What a handle's error events have told. */
struct kafka_trouble {
    bool down;      /* no broker is connected */
    bool fatal;     /* the handle is of no use any more */
    bool denied;    /* credentials or certificates were not accepted */
    bool refused;   /* records were, to us or by us, and would be again */
    bool late;      /* a broker was there and did not answer in time */
    bool named;     /* text says more than that nobody is there */
    char text[200]; /* the most telling of them; "": none */
};

typedef void kafka_wake_fn(void *context);

/* wake: called from the library's threads whenever one of the queues gets something. */
int kafka_session_create(const struct kafka_config *config, int answer_ms, kafka_wake_fn *wake,
                         void *context, struct kafka_session **ret_session,
                         struct err *err) MUST_CHECK;
void kafka_session_destroy(struct kafka_session *session); /* NULL is a no-op */

/*
 * The topic is there (made, if it was not) and is as it must be, and its leader answers. -EAGAIN:
 * not yet, and brokers must be waited for; -EIO: the same, and the library has told why;
 * -EINPROGRESS: it was just made; -EACCES: we are not let in; -EINVAL: it is not as it must be, or
 * we may not, or can't, write there.
 */
int kafka_session_prepare(struct kafka_session *session, const struct kafka_config *config,
                          struct kafka_probe *ret_probe, struct err *err) MUST_CHECK;

/* One look at a session that was prepared; whole: at the topic's shape too. -ETIMEDOUT: a broker is
 * there and did not answer in time; -EAGAIN, -EINVAL: as above. */
int kafka_session_probe(struct kafka_session *session, const struct kafka_config *config,
                        bool whole, int answer_ms, struct kafka_probe *ret_probe,
                        struct err *err) MUST_CHECK;

/* Takes one error event in. */
void kafka_trouble_add(struct kafka_trouble *trouble, rd_kafka_t *handle, rd_kafka_event_t *event);
