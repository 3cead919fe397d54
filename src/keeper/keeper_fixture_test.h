/* SPDX-License-Identifier: Apache-2.0 */
/* For the keeper's test files, behind <cmocka.h>: a journal that is given records written by hand.
 */
#pragma once

#include "keeper/keeper.h"

#define STREAM "tw-keeper"

struct fixture {
    struct journal *journal;
    struct keeper *keeper;
    int64_t next;
    struct buffer told; /* the snapshot's messages, one a line */
};

static inline void append_line(void *context, struct slice message)
{
    struct fixture *fixture = context;
    buffer_append_slice(&fixture->told, message);
    buffer_append_text(&fixture->told, "\n");
}

static inline const char *snapshot(struct fixture *fixture)
{
    buffer_clear(&fixture->told);
    keeper_snapshot(fixture->keeper, append_line, fixture);
    assert_false(fixture->told.overflowed);
    return fixture->told.size == 0 ? "" : fixture->told.data;
}

/* rest: the message behind its seq. */
static inline void accept(struct fixture *fixture, const char *type, const char *rest)
{
    static char text[8192];
    int size = snprintf(text, sizeof text - LIMIT_PADDING - 1, "{\"type\":\"%s\",\"seq\":%lld,%s}",
                        type, (long long)fixture->next, rest);
    memset(text + size, 0, LIMIT_PADDING);
    struct record record = {.stream = STREAM,
                            .epoch = 1,
                            .seq = fixture->next++,
                            .type = slice_of(type),
                            .key = SLICE("k"),
                            .text = {.data = text, .size = (size_t)size}};
    assert_int_equal(journal_append(fixture->journal, &record), JOURNAL_ACCEPTED);
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->journal = journal_create(STREAM, 1, 0);
    fixture->keeper = keeper_create(fixture->journal, 3);
    fixture->next = 1;
    buffer_init(&fixture->told, MEBIBYTE);
    journal_barrier(fixture->journal, STREAM, 1);
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    buffer_release(&fixture->told);
    keeper_destroy(fixture->keeper);
    journal_destroy(fixture->journal);
    free(fixture);
    return 0;
}

#define BTC                                                                                        \
    "\"exchange\":\"binance\",\"symbol\":\"BTC-USDT\",\"ts\":1790133513739000,\"recv\":"           \
    "1790133513740000"
#define KRW "\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"recv\":1790133513740000"
