/* SPDX-License-Identifier: Apache-2.0 */
/* Heads as the sequencer writes them, and everything that only looks like one. */
#include "stream/record.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* From memory of its own, of exactly its size: a sanitizer sees who reads behind it. */
static bool read_head(const char *text, size_t size, char key[LIMIT_KEY], struct record *ret_record)
{
    char *exact = memory_alloc(size == 0 ? 1 : size);
    memcpy(exact, text, size);
    bool read = record_read_head((struct slice){.data = exact, .size = size}, key, ret_record);
    size_t type_size = read ? ret_record->type.size : 0;
    assert_true(type_size <= size);
    memory_free(exact);
    return read;
}

static bool is_head(const char *text)
{
    char key[LIMIT_KEY];
    struct record record = {0};
    return read_head(text, strlen(text), key, &record);
}

static void check(const char *text, const char *type, int64_t seq, const char *key)
{
    char made[LIMIT_KEY];
    struct record record = {.stream = "kept", .epoch = 7};
    assert_true(record_read_head(slice_of(text), made, &record));
    assert_true(slice_is(record.type, type));
    assert_true(slice_is(record.key, key));
    assert_string_equal(made, key);
    assert_int_equal(record.seq, seq);
    assert_string_equal(record.stream, "kept");
    assert_int_equal(record.epoch, 7);
    assert_int_equal(record.text.size, 0);
}

static void reads_type_number_and_key(void **state)
{
    (void)state;
    check("{\"type\":\"trade\",\"seq\":42,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"ts\":1}",
          "trade", 42, "upbit:BTC-KRW");
    check("{\"type\":\"status\",\"seq\":1,\"exchange\":\"upbit\",\"state\":\"live\"}", "status", 1,
          "upbit");
    check("{\"type\":\"epoch\",\"seq\":9007199254740991,\"recv\":1}", "epoch", LIMIT_NUMBER,
          "tickwire");
    check("{\"type\":\"\",\"seq\":5", "", 5, "tickwire"); /* of the rest nothing is asked */
}

/* A symbol counts only right behind an exchange that is right behind the number. */
static void takes_nothing_from_elsewhere(void **state)
{
    (void)state;
    check("{\"type\":\"x\",\"seq\":5,\"a\":1,\"exchange\":\"upbit\"}", "x", 5, "tickwire");
    check("{\"type\":\"x\",\"seq\":5,\"exchange\":\"upbit\",\"a\":1,\"symbol\":\"S\"}", "x", 5,
          "upbit");
    check("{\"type\":\"x\",\"seq\":5,\"exchange\":\"upbit\",\"symbol\":\"\"}", "x", 5, "upbit");
}

static void refuses_what_is_not_ours(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "",
        "{",
        "[\"type\"]",
        "{\"seq\":1,\"type\":\"x\"}",
        "{ \"type\":\"x\",\"seq\":1}",
        "{\"type\":\"x\"}",
        "{\"type\":\"x",
        "{\"type\":\"x\",\"seq\":",
        "{\"type\":\"x\",\"seq\":}",
        "{\"type\":\"x\",\"seq\":0}",
        "{\"type\":\"x\",\"seq\":-1}",
        "{\"type\":\"x\",\"seq\":+1}",
        "{\"type\":\"x\",\"seq\":\"1\"}",
        "{\"type\":\"x\",\"seq\":007}",
        "{\"type\":\"x\",\"seq\":9007199254740992}",
        "{\"type\":\"x\",\"seq\":99999999999999999999999999}",
        "{\"type\":\"a\\\"b\",\"seq\":1}",
        "{\"type\":\"x\",\"seq\":1,\"exchange\":\"upbit",
        "{\"type\":\"x\",\"seq\":1,\"exchange\":\"\"}",
        "{\"type\":\"x\",\"seq\":1,\"exchange\":\"\",\"symbol\":\"S\"}",
        "{\"type\":\"x\",\"seq\":1,\"exchange\":\"up\\u0062it\"}",
        "{\"type\":\"x\",\"seq\":1,\"exchange\":\"upbit\",\"symbol\":\"BTC",
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        if (is_head(heads[i]))
            fail_msg("taken for one of ours: %s", heads[i]);
}

static void a_key_has_its_limit(void **state)
{
    (void)state;
    char text[2 * LIMIT_KEY + 64], name[LIMIT_KEY + 1];
    for (size_t size = LIMIT_KEY - 8; size <= LIMIT_KEY; size++) {
        memset(name, 'a', size);
        name[size] = '\0';
        snprintf(text, sizeof text, "{\"type\":\"x\",\"seq\":1,\"exchange\":\"%s\"}", name);
        assert_int_equal(is_head(text), size < LIMIT_KEY);
        snprintf(text, sizeof text,
                 "{\"type\":\"x\",\"seq\":1,\"exchange\":\"e\",\"symbol\":\"%s\"}", name);
        assert_int_equal(is_head(text), size + 2 < LIMIT_KEY);
    }
}

/* Cut anywhere it is refused or read, never read beyond. */
static void survives_every_cut(void **state)
{
    (void)state;
    static const char whole[] =
        "{\"type\":\"trade\",\"seq\":42,\"exchange\":\"upbit\",\"symbol\":\"BTC-KRW\",\"ts\":1}";
    char key[LIMIT_KEY];
    struct record record;
    size_t number = strlen("{\"type\":\"trade\",\"seq\":");
    for (size_t size = 0; size < sizeof whole; size++) {
        bool read = read_head(whole, size, key, &record);
        if (size <= number)
            assert_false(read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_type_number_and_key), cmocka_unit_test(takes_nothing_from_elsewhere),
        cmocka_unit_test(refuses_what_is_not_ours),  cmocka_unit_test(a_key_has_its_limit),
        cmocka_unit_test(survives_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
