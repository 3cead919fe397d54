/* SPDX-License-Identifier: Apache-2.0 */
#include "stream/notes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char barrier_text[] = "{\"type\":\"barrier\",\"stream\":\"tw-7f3a\",\"epoch\":4,"
                                   "\"start\":41,\"writer\":\"gw-1.4\",\"node\":\"gw-1\"}";
static const char beacon_text[] =
    "{\"type\":\"beacon\",\"stream\":\"tw-7f3a\",\"epoch\":4,\"seq\":120,\"record_epoch\":3,"
    "\"position\":991,\"barrier\":500,\"start\":{\"stream\":\"tw-7f3a\",\"epoch\":4,\"seq\":60,"
    "\"states\":4711,\"position\":700},\"node\":\"gw-1\"}";

static void a_barrier_is_written_and_read(void **state)
{
    (void)state;
    struct buffer out;
    struct note_barrier note;
    struct barrier barrier = {.stream = "tw-7f3a",
                              .epoch = 4,
                              .start = 41,
                              .writer = "gw-1.4",
                              .node = "gw-1",
                              .position = -1};
    buffer_init(&out, LIMIT_NOTE);
    note_write_barrier(&barrier, &out);
    assert_string_equal(out.data, barrier_text);
    assert_true(note_read_barrier(buffer_slice(&out), &note));
    assert_string_equal(note.barrier.stream, "tw-7f3a");
    assert_string_equal(note.barrier.writer, "gw-1.4");
    assert_string_equal(note.barrier.node, "gw-1");
    assert_int_equal(note.barrier.epoch, 4);
    assert_int_equal(note.barrier.start, 41);
    assert_int_equal(note.barrier.position, -1);
    buffer_clear(&out);
    barrier.start = -1;
    note_write_barrier(&barrier, &out);
    assert_string_equal(out.data, "{\"type\":\"barrier\",\"stream\":\"tw-7f3a\",\"epoch\":4,"
                                  "\"writer\":\"gw-1.4\",\"node\":\"gw-1\"}");
    assert_true(note_read_barrier(buffer_slice(&out), &note));
    assert_int_equal(note.barrier.start, -1);
    buffer_release(&out);
}

static void a_beacon_is_written_and_read(void **state)
{
    (void)state;
    struct buffer out;
    struct note_beacon note;
    struct beacon beacon = {
        .node = "gw-1",
        .now = {.stream = "tw-7f3a", .epoch = 4, .seq = 120, .record_epoch = 3, .position = 991},
        .start = {.stream = "tw-7f3a", .epoch = 4, .seq = 60, .states = 4711, .position = 700},
        .barrier = 500};
    buffer_init(&out, LIMIT_NOTE);
    note_write_beacon(&beacon, &out);
    assert_string_equal(out.data, beacon_text);
    assert_true(note_read_beacon(buffer_slice(&out), &note));
    assert_string_equal(note.beacon.node, "gw-1");
    assert_int_equal(note.beacon.now.seq, 120);
    assert_int_equal(note.beacon.now.record_epoch, 3);
    assert_int_equal(note.beacon.now.position, 991);
    assert_int_equal(note.beacon.barrier, 500);
    assert_string_equal(note.beacon.start.stream, "tw-7f3a");
    assert_int_equal(note.beacon.start.seq, 60);
    assert_int_equal(note.beacon.start.record_epoch, 0);
    assert_int_equal(note.beacon.start.states, 4711);
    assert_int_equal(note.beacon.start.position, 700);
    buffer_clear(&out);
    beacon.start.stream[0] = '\0';
    beacon.barrier = -1;
    note_write_beacon(&beacon, &out);
    assert_null(strstr(out.data, "start"));
    assert_true(note_read_beacon(buffer_slice(&out), &note));
    assert_string_equal(note.beacon.start.stream, "");
    assert_int_equal(note.beacon.barrier, -1);
    buffer_release(&out);
}

/* The longest there can be has room. */
static void the_longest_fit_the_limit(void **state)
{
    (void)state;
    struct buffer out;
    struct note_beacon note;
    char node[LIMIT_NODE_ID] = {0};
    struct checkpoint far = {"tw-0123456789abcdef0123456789ab",
                             LIMIT_NUMBER,
                             LIMIT_NUMBER,
                             LIMIT_NUMBER,
                             LIMIT_NUMBER,
                             LIMIT_NUMBER};
    memset(node, 'n', sizeof node - 1);
    struct beacon beacon = {.node = node, .now = far, .start = far, .barrier = LIMIT_NUMBER};
    buffer_init(&out, LIMIT_NOTE);
    note_write_beacon(&beacon, &out);
    assert_false(out.overflowed);
    assert_true(note_read_beacon(buffer_slice(&out), &note));
    assert_int_equal(note.beacon.start.position, LIMIT_NUMBER);
    buffer_clear(&out);
    note_write_barrier(&(struct barrier){.stream = far.stream,
                                         .epoch = LIMIT_NUMBER,
                                         .start = LIMIT_NUMBER,
                                         .writer = node,
                                         .node = node},
                       &out);
    assert_false(out.overflowed);
    buffer_release(&out);
}

static void what_others_add_is_passed_over(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{ \"epoch\" : 4 , \"node\":\"n\",\"type\":\"barrier\",\"stream\":\"s\",\"writer\":\"w\" }",
        "{\"x\":[1,{\"epoch\":9,\"y\":\"}\\\"]\"}],\"type\":\"barrier\",\"stream\":\"s\","
        "\"epoch\":4,\"writer\":\"w\",\"node\":\"n\",\"z\":null,\"u\":-1.5e3}",
        "{\"type\":\"barrier\",\"stream\":\"s\",\"epoch\":4,\"writer\":\"w\",\"node\":\"n\","
        "\"name\":\"\xc3\xa9\\u0041\"}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct note_barrier note;
        assert_true(note_read_barrier(slice_of(texts[i]), &note));
        assert_int_equal(note.barrier.epoch, 4);
        assert_string_equal(note.stream, "s");
    }
}

#define NOTE(members) "{\"type\":\"barrier\",\"writer\":\"w\",\"node\":\"n\"," members "}"

static void bad_barriers_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "{}",
        "{",
        NOTE("\"stream\":\"s\""),
        NOTE("\"stream\":\"s\",\"epoch\":0"),
        NOTE("\"stream\":\"s\",\"epoch\":-1"),
        NOTE("\"stream\":\"s\",\"epoch\":04"),
        NOTE("\"stream\":\"s\",\"epoch\":4.0"),
        NOTE("\"stream\":\"s\",\"epoch\":4e1"),
        NOTE("\"stream\":\"s\",\"epoch\":\"4\""),
        NOTE("\"stream\":\"s\",\"epoch\":9007199254740992"),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"epoch\":4"),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"start\":-1"),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"start\":null"),
        NOTE("\"stream\":\"\",\"epoch\":4"),
        NOTE("\"stream\":\"a.b\",\"epoch\":4"),
        NOTE("\"stream\":\"a\\u0062\",\"epoch\":4"),
        NOTE("\"stream\":\"0123456789012345678901234567890123456789\",\"epoch\":4"),
        NOTE("\"stream\":7,\"epoch\":4"),
        NOTE("\"stream\":\"s\",\"epoch\":4,"),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"x\":[}"),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"
             "]]]]]]]]]]]]]]]]]"),
        NOTE("\"stream\":\"s\",\"epoch\":4") " ",
        NOTE("\"stream\":\"s\",\"epoch\":4,\"x\":\"\x01\""),
        NOTE("\"stream\":\"s\",\"epoch\":4,\"x\":\"\xff\""),
        "{\"type\":\"beacon\",\"writer\":\"w\",\"node\":\"n\",\"stream\":\"s\",\"epoch\":4}",
        "{\"type\":\"barrier\",\"writer\":\"a b\",\"node\":\"n\",\"stream\":\"s\",\"epoch\":4}",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct note_barrier note;
        if (note_read_barrier(slice_of(texts[i]), &note))
            fail_msg("was taken: %s", texts[i]);
    }
    char nul[] = NOTE("\"stream\":\"s\",\"epoch\":4,\"x\":\"?\"");
    struct note_barrier note;
    assert_true(note_read_barrier(SLICE(nul), &note));
    *strchr(nul, '?') = '\0';
    assert_false(note_read_barrier(SLICE(nul), &note));
}

/* Cut anywhere it is none; and no cut reads beyond its end (seen by ASan). */
static void a_cut_beacon_is_none(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof beacon_text - 1; size++) {
        struct note_beacon note;
        struct buffer exact;
        buffer_init(&exact, LIMIT_NOTE);
        buffer_append(&exact, beacon_text, size);
        assert_false(note_read_beacon(buffer_slice(&exact), &note));
        buffer_release(&exact);
    }
}

static void clean_text_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool clean;
    } cases[] = {
        {"", true},
        {"plain, and long enough for the fast path \x7f", true},
        {"\xec\x97\x85\xeb\xb9\x84\xed\x8a\xb8 and \xf0\x9f\x98\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xed\xa0\x80", false},
        {"\xc0\x80", false},
        {"\xe0\x80\x80", false},
        {"\xf0\x80\x80\x80", false},
        {"\x80", false},
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\xc3(", false},
        {"01234567\n", false},
        {"0123\x1f"
         "56789012345",
         false},
        {"01234567890123\t5", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (note_is_clean(slice_of(cases[i].text)) != cases[i].clean)
            fail_msg("case %zu", i);
    char eight[17] = "0123456789abcdef";
    for (size_t i = 0; i < 16; i++) { /* wherever it is in the eight bytes */
        eight[i] = '\x1f';
        assert_false(note_is_clean((struct slice){eight, 16}));
        eight[i] = '0';
        assert_true(note_is_clean((struct slice){eight, 16}));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_barrier_is_written_and_read),
        cmocka_unit_test(a_beacon_is_written_and_read),
        cmocka_unit_test(the_longest_fit_the_limit),
        cmocka_unit_test(what_others_add_is_passed_over),
        cmocka_unit_test(bad_barriers_are_refused),
        cmocka_unit_test(a_cut_beacon_is_none),
        cmocka_unit_test(clean_text_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
