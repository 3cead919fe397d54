/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This very program once more, with another command line, as a process of its own that ends with
 * us. What it writes, to stdout and stderr, goes to a file without a name. One thread.
 */
#pragma once

#include "base/err.h"

#include <sys/types.h>

struct child {
    pid_t process; /* 0: none */
    int output;    /* its file */
    char name[32]; /* its command, for errors */
};

/* arguments: of the command line, without the program, NULL-terminated. */
int child_start(struct child *ret_child, const char *const *arguments, struct err *err) MUST_CHECK;

/*
 * Until it has written `line`, and behind that on the same line `key` and a number: that number.
 * Fails when it ends before, or the time is over; then err holds the last line that it wrote.
 */
int child_wait(struct child *child, const char *line, const char *key, uint32_t timeout_ms,
               uint64_t *ret_number, struct err *err) MUST_CHECK;

/* In order if it can, within 10 s; else killed. One that was not started is a no-op. */
void child_stop(struct child *child);
