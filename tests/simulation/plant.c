/* SPDX-License-Identifier: Apache-2.0 */
/* The reading rule and the log, wrapped (see meson.build): as they are, or with a bug. */
#include "tests/simulation/plant.h"

#include "stream/journal.h"

#include <string.h>

static bool planted_no_fence;
bool planted_no_barrier, planted_wrong_resend;

enum reading_verdict __real_reading_record(struct reading *reading, const char *stream,
                                           int64_t epoch, int64_t seq);
enum reading_verdict __wrap_reading_record(struct reading *reading, const char *stream,
                                           int64_t epoch, int64_t seq);
enum journal_verdict __real_journal_append(struct journal *journal, const struct record *record);
enum journal_verdict __wrap_journal_append(struct journal *journal, const struct record *record);
void __real_journal_barrier(struct journal *journal, const char *stream, int64_t epoch);
void __wrap_journal_barrier(struct journal *journal, const char *stream, int64_t epoch);

enum reading_verdict __wrap_reading_record(struct reading *reading, const char *stream,
                                           int64_t epoch, int64_t seq)
{
    bool next = strcmp(reading->stream, stream) == 0 && seq == reading->seq + 1;
    if (planted_no_fence && next) {
        reading->seq = seq;
        return READING_ACCEPTED;
    }
    if (planted_no_barrier && next && epoch > reading->epoch)
        reading->epoch = epoch;
    return __real_reading_record(reading, stream, epoch, seq);
}

void __wrap_journal_barrier(struct journal *journal, const char *stream, int64_t epoch)
{
    if (!planted_no_fence)
        __real_journal_barrier(journal, stream, epoch);
}

enum journal_verdict __wrap_journal_append(struct journal *journal, const struct record *record)
{
    if (planted_no_fence || planted_no_barrier)
        __real_journal_barrier(journal, record->stream, record->epoch);
    return __real_journal_append(journal, record);
}

bool plant(const char *name)
{
    if (name == NULL)
        return false;
    planted_no_fence = strcmp(name, "no-fence") == 0;
    planted_no_barrier = strcmp(name, "no-barrier") == 0;
    planted_wrong_resend = strcmp(name, "wrong-resend") == 0;
    return planted_no_fence || planted_no_barrier || planted_wrong_resend;
}
