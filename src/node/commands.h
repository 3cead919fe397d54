/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of the program. Each takes what follows its name on the command line and returns the
 * exit status: EXIT_DONE, EXIT_FAILED (at run time), EXIT_USAGE (unknown command or option),
 * EXIT_CONFIGURATION (bad configuration, from wherever it came). Results go to stdout, everything
 * else to stderr.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_CONFIGURATION = 78 };

struct command {
    const char *name;
    const char *usage;   /* what follows the name */
    const char *summary; /* one line */
    const char *details; /* NULL, or lines of options */
    int (*run)(int count, char **arguments);
};

/* Ends with a row without a name. */
extern const struct command command_table[];

const struct command *command_find(const char *name);

int command_serve(int count, char **arguments);
int command_replay(int count, char **arguments);
int command_record(int count, char **arguments);
int command_demo(int count, char **arguments);
int command_simulate(int count, char **arguments);
int command_tail(int count, char **arguments);
int command_check(int count, char **arguments);
int command_bench(int count, char **arguments);
int command_version(int count, char **arguments);
int command_help(int count, char **arguments);

/* Says what is wrong with the command line and where help is; returns EXIT_USAGE. */
int usage_error(const char *command, const char *format, ...) PRINTF(2, 3);

struct loop;

/*
 * Destroys the loop and returns the status. An address look-up that is still under way is not
 * waited for: then everything is flushed and the process ends here, with that status. SIGHUP,
 * SIGINT and SIGTERM are held from here on: they ask for what is happening already.
 */
int end_loop(struct loop *loop, int status);

/* ---- reading options ---- */

#define SETS_MAX 64     /* of the user */
#define SETS_OWN_MAX 64 /* that a command adds behind them, so that they win */

/* Options that several commands share: -c FILE and --set key=value. */
struct node_arguments {
    const char *file; /* NULL: none */
    const char *sets[SETS_MAX + SETS_OWN_MAX];
    size_t set_count;
};

struct arguments {
    int count;
    char **values;
    int index; /* of the next one */
};

/* The next argument, or NULL. */
const char *arguments_next(struct arguments *arguments);

/* When `argument` is `--name` or `--name=value`: true, and the value in *ret_value (NULL: it is
 * missing). */
bool arguments_option(struct arguments *arguments, const char *argument, const char *name,
                      const char **ret_value);

/* Digits and a unit: ms, s, m, h, d, to milliseconds. False: it is none, or is not from min to max.
 */
bool arguments_duration(const char *text, int64_t min_ms, int64_t max_ms,
                        int64_t *ret_ms) MUST_CHECK;

/* Digits and a unit: B, KiB, MiB, GiB, TiB. */
bool arguments_size(const char *text, int64_t min, int64_t max, int64_t *ret_size) MUST_CHECK;

/* Takes -c and --set. 1: taken; 0: another argument; else EXIT_USAGE, said already. */
int arguments_node(struct arguments *arguments, const char *command, const char *argument,
                   struct node_arguments *node);
