/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measuring this machine: what `tickwire bench` runs. Each kind has its options, a function that
 * measures, and one that reads a command line and prints; results end with one JSON line on
 * stdout. One thread.
 */
#pragma once

#include "base/err.h"

#include <stdio.h>

struct bench_decode_options {
    const char *path;     /* messages one a line, raw or recorded ({"raw":...}) */
    const char *exchange; /* name */
    uint64_t generation;  /* 0: the default one */
    uint64_t repeat;      /* how often all messages are done; at least 1 */
};

struct bench_decode_result {
    uint64_t messages; /* decoded and, as far as they are of the stream, encoded */
    uint64_t errors;   /* of them malformed */
    uint64_t bytes;    /* read */
    uint64_t encoded;  /* bytes written */
    int64_t elapsed_ns;
};

/* Exchange bytes to events to our JSON. Symbols are learnt, so that any file will do. */
int bench_decode(const struct bench_decode_options *options, struct bench_decode_result *ret_result,
                 struct err *err) MUST_CHECK;

/* `CORPUS_FILE --exchange E [--generation N] [--repeat N]`: the arguments behind `bench decode`.
 * Returns the exit status: 0, 1 failed, 2 wrong usage. */
int bench_decode_command(int argc, char **argv);

struct bench_fanout_options {
    const char *url;            /* ws:// or wss://host:port/path?query, of any server */
    uint64_t clients;           /* at least 1 */
    uint64_t seconds;           /* of measuring; 1 s before it does not count */
    uint64_t process;           /* the server's; 0: not known, or not on this machine */
    const char *sequence_field; /* a message's number: an integer that grows by 1 */
    const char *time_field;     /* microseconds of this machine's wall clock, an integer */
    bool lines;                 /* a frame holds several messages, one a line */
    bool deflate;               /* permessage-deflate, without context takeover */
    bool snapshot;              /* hello and a snapshot come first (bench/joining.h) */
    uint64_t join_ms;           /* 0: clients join few at a time, before the source starts; else all
                                   within that time, however far the others are, while it runs */
    const char *source;         /* host:port, where the server reads what it is to send, one message
                                   a line; NULL: it has a source of its own */
    uint64_t rate;              /* messages a second, with a source */
    uint64_t size;              /* bytes of each, with a source */
};

struct bench_fanout_result {
    uint64_t delivered;  /* messages, to all clients together */
    uint64_t bytes;      /* received with their frames' heads, as they came out of TLS */
    uint64_t frames;     /* of data */
    uint64_t compressed; /* of these */
    int64_t elapsed_us;
    uint64_t p50_us, p99_us, p999_us, max_us; /* from the time field to the client's read */
    uint64_t gaps;                            /* places where a client missed something */
    uint64_t missing;                         /* messages in them */
    uint64_t repeats;                         /* messages again, or out of order */
    uint64_t closed;                          /* connections that the server ended */
    uint64_t behind;                          /* clients that never got the source's last message */
    int64_t server_us, client_us;             /* processor time */
    /* By how much it has grown since before the first client, at the end of the measuring. */
    int64_t memory, memory_proportional; /* the server's, resident */
    int64_t kernel_queued, kernel_slabs; /* the kernel's, both ends of all connections */
    struct bench_fanout_join {           /* with join_ms or snapshot */
        uint64_t served;                 /* clients that got a live message */
        uint64_t wrong;                  /* messages that do not belong where they came */
        uint64_t bytes;                  /* of snapshots, to all clients together */
        int64_t begun_us;                /* from the first connect to the last, with join_ms */
        int64_t all_us;                  /* from the first connect until the last was served */
        uint64_t p50_us, p99_us, max_us; /* from a client's connect until it is served */
        int64_t server_us;               /* processor time of all_us */
        int64_t memory_peak;             /* by how much it had grown at most */
    } join;
};

/* Many clients of one server, which sends every message to every one of them: how many arrive, how
 * late, and what it costs. */
int bench_fanout(const struct bench_fanout_options *options, struct bench_fanout_result *ret_result,
                 struct err *err) MUST_CHECK;

/* The arguments behind `bench fanout`, as for bench_decode_command. */
int bench_fanout_command(int argc, char **argv);

#define BENCH_PIPELINE_ROUNDS_MAX 99
#define BENCH_PIPELINE_SETS_MAX 32

enum bench_way { BENCH_PLAIN, BENCH_KAFKA };
#define BENCH_WAYS 2

struct bench_pipeline_options {
    const char *brokers;             /* of Kafka, host:port,...; NULL: plain only */
    const char *topic;               /* which the node makes when it is missing */
    uint64_t rate;                   /* messages a second, about */
    uint64_t clients, seconds, warm; /* of each turn; what comes while warming is not counted */
    uint64_t rounds;                 /* turns of each way, up to BENCH_PIPELINE_ROUNDS_MAX */
    const char *sets[BENCH_PIPELINE_SETS_MAX]; /* "key=value": other settings of the node */
    size_t set_count;
};

/* Of all rounds: quantiles are medians of each round's own, the maximum is the largest, counts and
 * times are sums. What a turn does not have is 0. */
struct bench_pipeline_result {
    struct bench_fanout_result ways[BENCH_WAYS];
};

/*
 * How late messages are, from the moment at which a node has an exchange's bytes to a client's
 * read: straight, and through Kafka, by turns. Starts simulated exchanges and nodes from this very
 * program. A node that is not fed as it should be is an error.
 */
int bench_pipeline(const struct bench_pipeline_options *options,
                   struct bench_pipeline_result *ret_result, struct err *err) MUST_CHECK;

/* The summary of `count` turns (at least one), as told above. */
void bench_pipeline_summarize(const struct bench_fanout_result *runs, uint64_t count,
                              struct bench_fanout_result *ret_summary);

/* The arguments behind `bench pipeline`, as for bench_decode_command. */
int bench_pipeline_command(int argc, char **argv);
