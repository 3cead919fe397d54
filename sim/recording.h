/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording of exchange traffic: JSON lines, plain or gzip, one message each:
 *     {"ts":1628952396.26,"conn":0,"i":1,"op":"text","raw":"{...}","exchange":"binance"}
 * ts (seconds; null or missing: as soon as possible), op ("text" or "binary"; text when missing)
 * and exchange are optional; lines without `raw`, or with an `event`, are not messages and are
 * skipped. The whole recording is held in memory, at most RECORDING_MAX.
 */
#pragma once

#include "base/buffer.h"
#include "base/err.h"

#define RECORDING_MAX (512u * 1024 * 1024)
#define RECORDING_LINE_MAX (4u * 1024 * 1024)
#define RECORDING_MESSAGES_MAX 8000000
#define RECORDING_EXCHANGES_MAX 16
#define RECORDING_NAME_MAX 32

struct recorded_message {
    int64_t at_us; /* since the first message of the recording */
    size_t offset; /* into text */
    uint32_t size;
    uint8_t exchange; /* index */
    bool binary;
};

struct recording {
    struct buffer text;
    struct recorded_message *messages; /* owned */
    size_t count, capacity;
    int64_t length_us;
    size_t exchange_count;
    char exchanges[RECORDING_EXCHANGES_MAX][RECORDING_NAME_MAX];
};

/* default_exchange: of lines that name none; NULL: such a line is an error. */
int recording_load(struct recording *recording, const char *file, const char *default_exchange,
                   struct err *err) MUST_CHECK;
void recording_release(struct recording *recording);
