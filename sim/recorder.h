/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a recording (recording.h) while it happens: JSON lines in zstd frames that stand alone, so
 * that a process that is killed leaves everything but the last second. Lines besides messages:
 *     {"ts":T,"event":"recording","version":1,"by":"tickwire V","part":1,"exchanges":["binance"]}
 *                                           the first line of each file
 *     {"ts":T,"conn":0,"i":7,"exchange":"binance","event":"open","url":"wss://..."}
 *     ..."event":"sent","raw":"..."         what we said;
 * ..."event":"close","code":1006,"reason":"..."
 *     {"ts":T,"i":90,"event":"lost","count":12}
 * i numbers all lines but the first of a file, through all files of a run. A text that is no UTF-8
 * stands in base64 under its name and "64": exact in either form.
 *
 * Threads: the caller's puts entries into a queue of bounded size and never waits; a thread of the
 * recorder's own writes lines, compresses and waits for the disk. When the queue is full the entry
 * is left out and counted, and the recording says so with a `lost` line when there is room again.
 * When the disk takes no more, the last frame is taken back, and nothing more is written.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#define RECORDER_QUEUE (32 * MEBIBYTE)        /* bytes waiting for the disk; a power of two */
#define RECORDER_FRAME (256 * KIBIBYTE)       /* text of a frame, but for its last line */
#define RECORDER_FRAME_NS INT64_C(1000000000) /* the first line of a frame is never older */
#define RECORDER_PART_MIN (64 * KIBIBYTE)

struct recorder;

struct recorder_options {
    const char *file;             /* copied */
    const char *const *exchanges; /* names; borrowed until close */
    uint8_t exchange_count;
    uint64_t rotate_bytes; /* a file is at most so large, unless it is one frame; 0: any size */
    int64_t rotate_ns;     /* a file with something in it is at most so old; 0: any age */
    uint32_t keep;         /* files that stay, the older ones are removed; 0: all */
    size_t queue_size;     /* bytes, a power of two; 0: RECORDER_QUEUE */
};

enum recorder_kind {
    RECORDER_TEXT,   /* text: a message as received */
    RECORDER_BINARY, /* the same, in binary frames */
    RECORDER_OPEN,   /* text: the URL */
    RECORDER_SENT,   /* text: what was sent */
    RECORDER_CLOSE,  /* text: the reason; code */
};

struct recorder_entry {
    enum recorder_kind kind;
    uint8_t exchange; /* index */
    uint16_t code;
    uint32_t connection;
    int64_t wall_us;
    struct slice text; /* borrowed during the call; at most LIMIT_EXCHANGE_MESSAGE, else left out */
};

struct recorder_totals {
    uint64_t entries, lost; /* lost: left out, of entries */
    uint64_t text_bytes, file_bytes;
    uint32_t files;
};

/*
 * Without rotation the file is `file`, which must not exist. With it there are file.0001, file.0002
 * and so on, going on behind the highest that exists.
 */
int recorder_open(const struct recorder_options *options, struct recorder **ret_recorder,
                  struct err *err) MUST_CHECK;

/* Never waits. False: the queue is full; it is counted and will be told in the recording. */
bool recorder_put(struct recorder *recorder, const struct recorder_entry *entry);

/* 0, or why writing has ended for good. */
int recorder_check(struct recorder *recorder, struct err *err) MUST_CHECK;
void recorder_describe(struct recorder *recorder, struct recorder_totals *ret_totals);

/* Writes out what is queued, and waits for the disk. The recorder is gone, whatever is returned. */
int recorder_close(struct recorder *recorder, struct err *err);
