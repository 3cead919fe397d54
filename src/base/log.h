/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line per event on stderr, logfmt or JSON. A line is formatted by the caller into a
 * bounded ring and written by one thread, so a blocked stderr never stalls a loop: when the ring is
 * full the line is dropped and counted, and the writer says how many were lost. Before log_start
 * and after log_stop lines are written at once. Each call site is limited to
 * LIMIT_LOG_SITE_PER_SECOND lines a second; the next line says how many it held back. Message: what
 * happened, short, lower case. Then facts. A warning says what was done about it. Never a secret.
 *
 *     log_warn("feed", log_text("msg", "sequence gap, asking again"), log_text("exchange", name),
 * log_int("want", 81));
 */
#pragma once

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key; /* NULL ends the list */
    struct slice text;
    int64_t number;
    bool is_number;
};

struct log_site { /* one per call site, static, private to log.c */
    int64_t window_start_ns;
    uint32_t lines;
    uint32_t held_back;
};

static inline struct log_field log_slice(const char *key, struct slice value)
{
    return (struct log_field){.key = key, .text = value};
}

static inline struct log_field log_text(const char *key, const char *value)
{
    return log_slice(key, slice_of(value));
}

static inline struct log_field log_int(const char *key, int64_t value)
{
    return (struct log_field){.key = key, .number = value, .is_number = true};
}

void log_configure(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
void log_write(struct log_site *site, enum log_level level, const char *part,
               const struct log_field *fields);

/* Starts and ends the writing thread; log_stop writes out what is left. */
void log_start(void);
void log_stop(void);

#define LOG_AT(level, part, ...)                                                                   \
    do {                                                                                           \
        static struct log_site log_site_here;                                                      \
        if (log_enabled(level))                                                                    \
            log_write(&log_site_here, level, part,                                                 \
                      (struct log_field[]){__VA_ARGS__, {.key = NULL}});                           \
    } while (0)
#define log_debug(part, ...) LOG_AT(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...) LOG_AT(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...) LOG_AT(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) LOG_AT(LOG_ERROR, part, __VA_ARGS__)
