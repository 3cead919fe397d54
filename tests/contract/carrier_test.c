/* SPDX-License-Identifier: Apache-2.0 */
/* What every carrier owes, run over every row of the registry. */
#include "base/memory.h"
#include "stream/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define STREAM "tw-contract"
#define RECORDS 5000

struct heard {
    int64_t records, barriers, last_barrier;
    int64_t next;
    struct journal *journal;
};

static void on_record(void *context, const struct record *record)
{
    struct heard *heard = context;
    assert_true(heard->barriers > 0); /* nothing of an epoch comes before its barrier */
    assert_int_equal(record->text.data[record->text.size], 0);
    heard->records++;
    if (journal_append(heard->journal, record) == JOURNAL_ACCEPTED)
        heard->next = record->seq + 1;
}

static void on_barrier(void *context, const struct barrier *barrier)
{
    struct heard *heard = context;
    heard->barriers++;
    heard->last_barrier = barrier->epoch;
    journal_barrier(heard->journal, barrier->stream, barrier->epoch);
}

static void check_body(void *context, const struct record *record)
{
    (void)context;
    char expected[128];
    if (slice_is(record->type, "epoch"))
        return;
    int size =
        snprintf(expected, sizeof expected, "{\"type\":\"trade\",\"seq\":%lld,\"body\":%lld}",
                 (long long)record->seq, (long long)record->seq * 7);
    assert_int_equal(record->text.size, size);
    assert_memory_equal(record->text.data, expected, (size_t)size);
    assert_true(slice_is(record->key, "binance:BTC-USDT"));
}

static bool is_up(const struct carrier *carrier)
{
    struct carrier_info info;
    carrier->kind->describe(carrier, &info);
    return info.state == CARRIER_UP;
}

static void gives_back_what_was_written(const struct carrier_kind *kind)
{
    struct err err = {0};
    struct heard heard = {.journal = journal_create(STREAM, 43, 64 * MEBIBYTE), .next = 43};
    struct carrier_reader reader = {.record = on_record, .barrier = on_barrier, .context = &heard};
    journal_listen(heard.journal, check_body, NULL);
    struct carrier *carrier = kind->open(&(struct carrier_options){.reader = reader}, &err);
    assert_non_null(carrier);
    assert_ptr_equal(carrier->kind, kind);
    assert_true(is_up(carrier));
    struct sequencer *sequencer = sequencer_create(STREAM, 7, 6, 42, carrier);
    assert_int_equal(sequencer_open_epoch(sequencer, "node-1", 1790133513739000), CARRIER_TAKEN);
    for (int64_t i = 0; i < RECORDS; i++) {
        char *body = sequencer_reserve(sequencer, "trade", 64);
        assert_non_null(body);
        int size = snprintf(body, 64, "\"body\":%lld}", (long long)sequencer_next(sequencer) * 7);
        assert_int_equal(sequencer_commit(sequencer, SLICE("binance:BTC-USDT"), (size_t)size),
                         CARRIER_TAKEN);
    }
    assert_int_equal(heard.records, RECORDS + 1);
    assert_int_equal(heard.barriers, 1);
    assert_int_equal(heard.last_barrier, 7);
    assert_int_equal(heard.next, 43 + RECORDS + 1);
    assert_int_equal(journal_epoch_at(heard.journal, 43), 7);
    sequencer_destroy(sequencer);
    kind->close(carrier);
    journal_destroy(heard.journal);
}

static void every_kind_gives_back_what_was_written(void **state)
{
    (void)state;
    assert_true(carrier_kind_count() > 0);
    for (size_t i = 0; i < carrier_kind_count(); i++) {
        const struct carrier_kind *kind = carrier_kind_at(i);
        assert_ptr_equal(carrier_kind_find(kind->name), kind);
        gives_back_what_was_written(kind);
    }
    assert_null(carrier_kind_find("pigeon"));
    assert_null(carrier_kind_at(carrier_kind_count()));
}

static void a_body_that_could_be_too_large_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct heard heard = {.journal = journal_create(STREAM, 1, 0)};
    struct carrier_reader reader = {.record = on_record, .barrier = on_barrier, .context = &heard};
    struct carrier *carrier =
        carrier_kind_at(0)->open(&(struct carrier_options){.reader = reader}, &err);
    struct sequencer *sequencer = sequencer_create(STREAM, 1, 0, 0, carrier);
    assert_null(sequencer_reserve(sequencer, "trade", LIMIT_RECORD));
    assert_null(sequencer_reserve(sequencer, "trade", SIZE_MAX));
    assert_int_equal(sequencer_next(sequencer), 1);
    assert_int_equal(sequencer_open_epoch(sequencer, "n", 1), CARRIER_TAKEN);
    assert_int_equal(journal_next(heard.journal), 2);
    sequencer_destroy(sequencer);
    carrier->kind->close(carrier);
    journal_destroy(heard.journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_gives_back_what_was_written),
        cmocka_unit_test(a_body_that_could_be_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
