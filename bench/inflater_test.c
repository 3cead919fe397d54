/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/inflater.h"

#include "base/memory.h"
#include "bench/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

static struct inflater *inflater;
static char room[200000];

static int setup(void **state)
{
    (void)state;
    inflater = inflater_create();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    inflater_destroy(inflater);
    return 0;
}

/* As a server does it: one message, flushed, without its last four bytes. */
static struct slice deflated(struct slice text, int flush)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.size;
    stream.next_out = (Bytef *)room;
    stream.avail_out = sizeof room;
    deflate(&stream, flush);
    size_t size = sizeof room - stream.avail_out;
    deflateEnd(&stream);
    if (flush == Z_SYNC_FLUSH)
        size -= 4;
    return (struct slice){.data = room, .size = size};
}

static void check(struct slice text)
{
    struct slice inflated;
    assert_true(inflater_message(inflater, deflated(text, Z_SYNC_FLUSH), &inflated));
    assert_true(slice_equal(inflated, text));
    (void)(inflated.data[inflated.size + TALLY_PADDING - 1] == 'x'); /* readable, says ASan */
}

static void test_messages(void **state)
{
    (void)state;
    check(SLICE("{\"seq\":1}"));
    check(SLICE("{\"seq\":2}"));
    check(SLICE("{\"seq\":1}"));
}

static void test_large(void **state)
{
    (void)state;
    size_t size = 3000000;
    char *text = memory_alloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = (char)('a' + i / 100 % 26);
    check((struct slice){.data = text, .size = size});
    memory_free(text);
}

static void test_last_block(void **state)
{
    (void)state;
    struct slice inflated;
    assert_true(inflater_message(inflater, deflated(SLICE("abc"), Z_FINISH), &inflated));
    assert_true(slice_is(inflated, "abc"));
}

static void test_malformed(void **state)
{
    (void)state;
    struct slice inflated;
    assert_false(inflater_message(inflater, SLICE("\xff\xff\xff\xff"), &inflated));
    assert_false(inflater_message(inflater, SLICE("\xff\xff\xff\xff"), &inflated)); /* not kept */
    check(SLICE("{\"seq\":3}"));
}

static void test_bomb(void **state)
{
    (void)state;
    struct slice inflated;
    char *text = memory_alloc(2 * INFLATER_TEXT_MAX);
    struct slice bomb = {.data = text, .size = 2 * INFLATER_TEXT_MAX};
    assert_false(inflater_message(inflater, deflated(bomb, Z_SYNC_FLUSH), &inflated));
    memory_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),   cmocka_unit_test(test_large),
        cmocka_unit_test(test_last_block), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_bomb),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
