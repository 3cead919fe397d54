/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void records_come_out_whole_and_in_order(void **state)
{
    (void)state;
    struct ring *ring = ring_create(64);
    struct slice record;
    assert_false(ring_peek(ring, &record));
    /* Sizes that are no multiple of 8, so that the end of the memory is met at every offset. */
    for (unsigned i = 0; i < 1000; i++) {
        char first[24];
        size_t size = i % 25;
        memset(first, (int)('a' + i % 26), sizeof first);
        assert_true(ring_write(ring, (struct slice){.data = first, .size = size}));
        assert_true(ring_peek(ring, &record));
        assert_true(ring_peek(ring, &record)); /* looking twice changes nothing */
        assert_true(slice_equal(record, (struct slice){.data = first, .size = size}));
        ring_release(ring);
        assert_false(ring_peek(ring, &record));
    }
    ring_destroy(ring);
    ring_destroy(NULL);
}

static void full_ring_refuses(void **state)
{
    (void)state;
    struct ring *ring = ring_create(64);
    struct slice record;
    for (int i = 0; i < 4; i++)
        assert_true(ring_write(ring, SLICE("12345678"))); /* 16 each */
    assert_false(ring_write(ring, SLICE("")));
    assert_true(ring_peek(ring, &record));
    assert_false(ring_write(ring, SLICE(""))); /* looked at is not given back */
    ring_release(ring);
    assert_true(ring_write(ring, SLICE("last")));
    assert_false(ring_write(ring, SLICE("")));
    for (int i = 0; i < 3; i++) {
        assert_true(ring_peek(ring, &record));
        assert_true(slice_is(record, "12345678"));
        ring_release(ring);
    }
    assert_true(ring_peek(ring, &record));
    assert_true(slice_is(record, "last"));
    ring_destroy(ring);
}

static void record_of_more_than_half_never_fits(void **state)
{
    (void)state;
    struct ring *ring = ring_create(64);
    char bytes[25] = {0};
    assert_false(ring_write(ring, (struct slice){.data = bytes, .size = 25}));
    assert_true(ring_write(ring, (struct slice){.data = bytes, .size = 24}));
    ring_destroy(ring);
}

#define RECORDS 200000u

static void *write_all(void *context)
{
    struct ring *ring = context;
    uint32_t number[8];
    for (uint32_t i = 0; i < RECORDS; i++) {
        for (size_t j = 0; j < COUNT_OF(number); j++)
            number[j] = i;
        size_t size = sizeof number[0] * (1 + i % COUNT_OF(number));
        while (!ring_write(ring, (struct slice){.data = (const char *)number, .size = size}))
            sched_yield();
    }
    return NULL;
}

static void two_threads_lose_nothing(void **state)
{
    (void)state;
    struct ring *ring = ring_create(1024);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_all, ring), 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        struct slice record;
        while (!ring_peek(ring, &record))
            sched_yield();
        uint32_t number[8];
        assert_int_equal(record.size, sizeof number[0] * (1 + i % COUNT_OF(number)));
        memcpy(number, record.data, record.size);
        for (size_t j = 0; j < record.size / sizeof number[0]; j++)
            assert_int_equal(number[j], i);
        ring_release(ring);
    }
    pthread_join(writer, NULL);
    ring_destroy(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_whole_and_in_order),
        cmocka_unit_test(full_ring_refuses),
        cmocka_unit_test(record_of_more_than_half_never_fits),
        cmocka_unit_test(two_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
