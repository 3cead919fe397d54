/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording of exchange traffic, read from its beginning: JSON lines, in zstd, gzip or plain, one
 * message each, in one file or in several that follow one another:
 *     {"ts":1628952396.264012,"conn":0,"i":1,"op":"text","raw":"{...}","exchange":"binance"}
 * ts (seconds, exact to the microsecond; null or missing: as soon as possible), op ("text" or
 * "binary"; text when missing) and exchange are optional. `raw64` in the place of `raw` is base64
 * (RFC 4648, section 4): bytes that are no UTF-8. Lines without either, or with an `event`, are not
 * messages and are skipped; recorder.h says which events there are.
 *
 * Memory is bounded whatever the file holds: one line, and what packed_file.h says. A torn end is
 * no error: what is there is given, and recording_loss tells what is not.
 *
 * Thread: the caller's. Reading blocks.
 */
#pragma once

#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

#define RECORDING_LINE_MAX (5 * MEBIBYTE) /* a message of LIMIT_EXCHANGE_MESSAGE, as recorded */
#define RECORDING_TURN (1 * MEBIBYTE)     /* text looked through in one call, about */
#define RECORDING_BARREN_MAX (256 * (uint64_t)MEBIBYTE) /* text without a line with a message */
#define RECORDING_EXCHANGES_MAX 16
#define RECORDING_NAME_MAX 32
#define RECORDING_FILES_MAX 10000

struct recording;

struct recording_options {
    const char *const *files; /* borrowed until close; in their order */
    size_t file_count;
    const char *default_exchange; /* of lines that name none; NULL: such a line is an error */
    const char *only;             /* messages of this exchange; NULL: of all */
    int64_t first_us;             /* the recording's first time, where it is known; 0: see at_us */
    int64_t from_us;              /* what was earlier (at_us) is left out */
};

struct recorded_message {
    int64_t ts_us;        /* Unix time; 0: none was recorded */
    int64_t at_us;        /* since first_us, else since the first message; never falls */
    const char *exchange; /* borrowed, terminated, as raw is: until the next call */
    struct slice raw;
    bool binary;
};

struct recording_loss {
    uint64_t files;        /* torn */
    uint64_t packed_bytes; /* of them, not used whole */
    uint64_t text_bytes;   /* missing of torn frames, as far as known, and of a torn last line */
    uint64_t unrecorded;   /* messages that the recorder had to leave out, and said so */
};

enum recording_result {
    RECORDING_MESSAGE,
    RECORDING_AGAIN, /* none in what a turn looks through; call again */
    RECORDING_END,
    RECORDING_FAILED, /* err says why; nothing more comes */
};

int recording_open(const struct recording_options *options, struct recording **ret_recording,
                   struct err *err) MUST_CHECK;
enum recording_result recording_next(struct recording *recording,
                                     struct recorded_message *ret_message,
                                     struct err *err) MUST_CHECK;

/* From the first file's beginning again; what was lost is counted anew. */
int recording_rewind(struct recording *recording, struct err *err) MUST_CHECK;
void recording_loss(const struct recording *recording, struct recording_loss *ret_loss);
void recording_close(struct recording *recording); /* NULL is a no-op */

/* ---- what is in it ---- */

struct recording_survey {
    int64_t first_us; /* of its first message; 0: it has no time */
    size_t exchange_count;
    char exchanges[RECORDING_EXCHANGES_MAX][RECORDING_NAME_MAX];
};

/* Which exchanges: by the first lines of files that our recorder wrote, through the whole of
 * others. No message at all is an error (-ENODATA). */
int recording_survey(const struct recording_options *options, struct recording_survey *ret_survey,
                     struct err *err) MUST_CHECK;
