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
