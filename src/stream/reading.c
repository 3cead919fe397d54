/* SPDX-License-Identifier: Apache-2.0 */
/* The reading rule (stream.md, "Writer, carrier, log"), in its own order. */
#include "stream/reading.h"

#include <assert.h>

static void reading_name(struct reading *reading, const char *stream)
{
    bool fits = slice_copy(slice_of(stream), reading->stream, sizeof reading->stream);
    assert(fits);
    (void)fits;
}

void reading_begin(struct reading *reading, const struct checkpoint *from)
{
    reading_name(reading, from->stream);
    reading->epoch = from->epoch;
    reading->seq = from->seq;
    reading->record_epoch = from->record_epoch;
    reading->lost = false;
}

bool reading_barrier(struct reading *reading, const struct barrier *barrier)
{
    bool same = strcmp(reading->stream, barrier->stream) == 0;
    if (barrier->epoch <= reading->epoch || (!same && barrier->start < 0))
        return false;
    reading->epoch = barrier->epoch;
    if (!same)
        reading_name(reading, barrier->stream);
    if (barrier->start >= 0) {
        reading->seq = barrier->start;
        reading->record_epoch = 0;
        reading->lost = false;
    }
    return true;
}

enum reading_verdict reading_record(struct reading *reading, const char *stream, int64_t epoch,
                                    int64_t seq)
{
    if (strcmp(reading->stream, stream) != 0)
        return READING_FOREIGN;
    if (epoch < reading->epoch)
        return READING_FENCED;
    if (seq <= reading->seq && epoch == reading->epoch && reading->record_epoch != 0 &&
        reading->record_epoch < epoch)
        reading->lost = true;
    if (reading->lost)
        return READING_LOST;
    if (seq <= reading->seq)
        return READING_REPEATED;
    if (epoch > reading->epoch || seq > reading->seq + 1)
        return READING_EARLY;
    reading->seq = seq;
    reading->record_epoch = epoch;
    return READING_ACCEPTED;
}
