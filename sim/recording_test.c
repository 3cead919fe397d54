/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: what lines say, in which wrappings, what is torn, and what is hostile. */
#include "sim/recording.h"

#include "sim/recording_fixture_test.h"

#include <errno.h>
#include <sys/resource.h>

#include <zlib.h>
#include <zstd.h>

static struct taken *take_text(struct slice text)
{
    char path[TEST_PATH];
    path_of("text", path);
    put_file(path, text);
    return take_file(path);
}

static void lines_say_what_they_say(void **state)
{
    (void)state;
    struct taken *taken = take_text(
        SLICE("{\"ts\":1790133513.000001,\"op\":\"binary\",\"raw\":\"a\\u0000\\\"\\n\"}\r\n"
              "\n"
              "{\"event\":\"connect\",\"raw\":\"no\"}\n"
              "{\"ts\":1790133513.999999,\"raw64\":\"AP/+\",\"exchange\":\"upbit\"}\n"
              "{\"ts\":1790133513,\"raw\":\"earlier\"}\n"
              "{\"ts\":null,\"raw\":\"\"}\n"
              "{\"event\":\"lost\",\"count\":12}\n"
              "{\"ts\":9007199254.740991,\"raw\":\"no time at all\"}\n"
              "{\"ts\":1790133514.5,\"raw\":\"no end\"}"));
    assert_false(taken->failed);
    assert_int_equal(taken->count, 6);
    assert_memory_equal(taken->texts.data,
                        "a\0\"\n\0\xff\xfe"
                        "earlierno time at allno end",
                        34);
    assert_int_equal(taken->texts.size, 34);
    const int64_t at_us[] = {0, 999998, 999998, 999998, 999998, 1499999};
    assert_memory_equal(taken->at_us, at_us, sizeof at_us);
    assert_int_equal(taken->ts_us[0], INT64_C(1790133513000001));
    assert_int_equal(taken->ts_us[1], INT64_C(1790133513999999));
    assert_int_equal(taken->ts_us[3], 0);
    assert_true(taken->binary[0] && !taken->binary[1]);
    assert_memory_equal(taken->exchange, "xuxxxx", 6);
    assert_int_equal(taken->loss.unrecorded, 12);
    assert_int_equal(taken->loss.files, 0);
    drop(taken);
}

/* Six digits are six digits, also where a double would have no room for them. */
static void times_are_exact(void **state)
{
    (void)state;
    struct buffer text;
    const int64_t from_us = INT64_C(1600000000000000), step_us = INT64_C(2187654321012);
    buffer_init(&text, MEBIBYTE);
    for (int64_t i = 0; i < 3000; i++) {
        int64_t us = from_us + i * step_us;
        buffer_append_format(&text, "{\"ts\":%lld.%06lld,\"raw\":\"\"}\n",
                             (long long)(us / 1000000), (long long)(us % 1000000));
    }
    struct taken *taken = take_text(buffer_slice(&text));
    assert_int_equal(taken->count, 3000);
    for (int64_t i = 0; i < 3000; i++)
        assert_int_equal(taken->ts_us[i], from_us + i * step_us);
    drop(taken);
    buffer_release(&text);
}

static void bad_lines_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"garbage\n", "text:1: not a line"},
        {"{\"raw\":\"a\"}\n\n[]\n", "text:3: not a line"},
        {"{\"exchanges\":[\"a\",\"raw\":\"b\"}\n", "text:1: not a line"},
        {"{\"raw64\":\"AAA\"}\n", "text:1: raw64"},
        {"{\"raw64\":\"AAB=\"}\n", "text:1: raw64"},
        {"{\"raw64\":\"=AAA\"}\n", "text:1: raw64"},
        {"{\"raw\":\"\xff\"}\n", "text:1: not a line"},
        {"{\"raw\":\"a\",\"exchange\":7}\n", "no exchange named"},
        {"{\"raw\":\"a\",\"exchange\":\"a-name-that-is-much-too-long-to-be-one\"}\n", "too long"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct taken *taken = take_text(slice_of(cases[i].text));
        assert_true(taken->failed);
        if (strstr(taken->err.text, cases[i].words) == NULL)
            fail_msg("%s: %s", cases[i].text, taken->err.text);
        drop(taken);
    }
}

static void only_one_exchange_from_a_time_on(void **state)
{
    (void)state;
    char path[TEST_PATH];
    const char *files[] = {path};
    path_of("three", path);
    put_file(
        path,
        SLICE("{\"ts\":10,\"exchange\":\"binance\",\"raw\":\"1\"}\n"
              "{\"ts\":11,\"exchange\":\"upbit\",\"raw\":\"\\\"exchange\\\":\\\"binance\\\"\"}\n"
              "{\"ts\":12,\"exchange\": \"binance\",\"raw\":\"2\"}\n"
              "{\"ts\":13,\"raw\":\"\\\"exchange\\\":\\\"upbit\\\"\",\"exchange\":\"binance\"}\n"
              "{\"ts\":14,\"raw\":\"3\"}\n"));
    struct recording_options options = {.files = files,
                                        .file_count = 1,
                                        .default_exchange = "binance",
                                        .only = "binance",
                                        .first_us = 9000000,
                                        .from_us = 2000000};
    struct taken *taken = take(&options);
    assert_int_equal(taken->count, 3);
    assert_memory_equal(taken->texts.data, "2\"exchange\":\"upbit\"3", 20);
    assert_int_equal(taken->at_us[0], 3000000);
    assert_int_equal(taken->at_us[2], 5000000);
    drop(taken);
    options.only = "upbit";
    taken = take(&options);
    assert_int_equal(taken->count, 1);
    drop(taken);
    struct recording_survey survey;
    assert_int_equal(recording_survey(&options, &survey, NULL), 0);
    assert_int_equal(survey.exchange_count, 2);
    assert_int_equal(survey.first_us, 10000000);
    assert_string_equal(survey.exchanges[1], "upbit");
}

/* ---- wrappings ---- */

static void gzip_is_read_and_its_torn_end(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct buffer bytes;
    path_of("text.gz", path);
    gzFile file = gzopen(path, "wb");
    for (int i = 0; i < 20000; i++)
        gzprintf(file, "{\"raw\":\"%d\"}\n", i * 7919);
    gzclose(file);
    struct taken *whole = take_file(path);
    assert_false(whole->failed);
    assert_int_equal(whole->count, 20000);
    assert_int_equal(whole->loss.files, 0);
    get_file(path, &bytes);
    put_file(path, (struct slice){.data = bytes.data, .size = bytes.size / 2});
    struct taken *torn = take_file(path);
    assert_false(torn->failed);
    assert_true(torn->count > 1000 && torn->count < 19000);
    assert_memory_equal(torn->texts.data, whole->texts.data, torn->texts.size);
    assert_int_equal(torn->loss.files, 1);
    drop(whole);
    drop(torn);
    buffer_release(&bytes);
}

static void pack_into(struct buffer *out, struct slice text, int level, int window_log)
{
    ZSTD_CCtx *zstd = ZSTD_createCCtx();
    size_t max = ZSTD_compressBound(text.size);
    char *room = buffer_reserve(out, max);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
    if (window_log > 0)
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_windowLog, window_log);
    size_t size = ZSTD_compress2(zstd, room, max, text.data, text.size);
    assert_false(ZSTD_isError(size));
    out->size += size;
    ZSTD_freeCCtx(zstd);
}

static void what_follows_whole_frames_is_lost_and_counted(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct buffer out;
    path_of("tail", path);
    buffer_init(&out, MEBIBYTE);
    pack_into(&out, SLICE("{\"raw\":\"a\"}\n"), 3, 0);
    pack_into(&out, SLICE("{\"raw\":\"b\"}\n{\"raw"), 3, 0);
    buffer_append(&out, "\0\0\0\0\0\0\0\0\0\0", 10); /* as file systems leave it after a crash */
    put_file(path, buffer_slice(&out));
    struct taken *taken = take_file(path);
    assert_false(taken->failed);
    assert_int_equal(taken->count, 2);
    assert_int_equal(taken->loss.files, 1);
    assert_int_equal(taken->loss.packed_bytes, 10);
    assert_int_equal(taken->loss.text_bytes, 5);
    drop(taken);
    buffer_release(&out);
}

/* A byte that changed within a frame is damage, not an end: nothing goes on behind it. */
static void damage_is_an_error(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct buffer out;
    size_t found = 0;
    path_of("damage", path);
    buffer_init(&out, MEBIBYTE);
    pack_into(&out, SLICE("{\"raw\":\"aaaa\"}\n"), 3, 0);
    size_t first = out.size;
    pack_into(&out, SLICE("{\"raw\":\"bcdefghijklmnop\"}\n"), 3, 0);
    for (size_t i = first + 5; i < out.size; i++) {
        out.data[i] ^= 0x10;
        put_file(path, buffer_slice(&out));
        struct taken *taken = take_file(path);
        assert_true(taken->failed || taken->loss.files == 1);
        assert_true(taken->count >= 1);
        found += taken->failed;
        out.data[i] ^= 0x10;
        drop(taken);
    }
    assert_true(found > 20);
    buffer_release(&out);
}

/* ---- hostile ---- */

static size_t memory_kib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (size_t)usage.ru_maxrss;
}

/* `count` frames of `text`, each inflating to 64 MiB of it. */
static void put_bomb(const char *path, char byte, unsigned count)
{
    struct buffer frame, out;
    size_t size = 64 * (size_t)MEBIBYTE;
    char *text = memory_alloc(size);
    memset(text, byte, size);
    buffer_init(&frame, 128 * MEBIBYTE);
    buffer_init(&out, 128 * MEBIBYTE);
    pack_into(&frame, (struct slice){.data = text, .size = size}, 1, 20);
    for (unsigned i = 0; i < count; i++)
        buffer_append_slice(&out, buffer_slice(&frame));
    put_file(path, buffer_slice(&out));
    assert_true(out.size < 2 * MEBIBYTE);
    buffer_release(&frame);
    buffer_release(&out);
    memory_free(text);
}

static void bombs_are_bounded(void **state)
{
    (void)state;
    char line[TEST_PATH], lines[TEST_PATH];
    path_of("line", line);
    path_of("lines", lines);
    put_bomb(line, 'a', 64); /* 4 GiB without an end of line */
    put_bomb(lines, '\n', 64);
    size_t before = memory_kib();
    struct taken *taken = take_file(line);
    assert_true(taken->failed);
    assert_non_null(strstr(taken->err.text, "line too long"));
    drop(taken);
    taken = take_file(lines);
    assert_true(taken->failed);
    assert_non_null(strstr(taken->err.text, "without a message"));
    drop(taken);
    assert_true(memory_kib() - before < 64 * 1024);
}

static void a_window_too_large_is_refused(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct buffer out;
    size_t size = 32 * (size_t)MEBIBYTE;
    char *text = memory_alloc(size);
    memset(text, '\n', size);
    path_of("window", path);
    buffer_init(&out, 64 * MEBIBYTE);
    pack_into(&out, (struct slice){.data = text, .size = size}, 1, 25);
    /* A frame in one segment says its content's size only: that is its window. */
    put_file(path, buffer_slice(&out));
    struct taken *taken = take_file(path);
    assert_true(taken->failed);
    assert_int_equal(taken->err.code, -EFBIG);
    assert_non_null(strstr(taken->err.text, "more than 8 MiB"));
    drop(taken);
    buffer_release(&out);
    memory_free(text);
}

static void a_message_too_long_is_refused(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text, 8 * MEBIBYTE);
    buffer_append_text(&text, "{\"raw\":\"");
    char *room = buffer_reserve(&text, LIMIT_EXCHANGE_MESSAGE + 1);
    memset(room, 'a', LIMIT_EXCHANGE_MESSAGE + 1);
    text.size += LIMIT_EXCHANGE_MESSAGE + 1;
    buffer_append_text(&text, "\"}\n");
    struct taken *taken = take_text(buffer_slice(&text));
    assert_true(taken->failed);
    assert_int_equal(taken->err.code, -EFBIG);
    drop(taken);
    buffer_release(&text);
}

static void what_is_not_there_is_said(void **state)
{
    (void)state;
    const char *missing = "/nowhere/at/all";
    struct recording_options options = {.files = &missing, .file_count = 1};
    struct recording_survey survey;
    struct err err = {0};
    assert_int_equal(recording_survey(&options, &survey, &err), -ENOENT);
    char path[TEST_PATH];
    const char *file = path;
    path_of("empty", path);
    put_file(path, SLICE(""));
    options.files = &file;
    assert_int_equal(recording_survey(&options, &survey, &err), -ENODATA);
    put_file(path, SLICE("{\"ts\":1,\"exchange\":\"\\u001b[31mred\",\"raw\":\"x\"}\n"));
    assert_int_equal(recording_survey(&options, &survey, &err), -EINVAL);
    assert_null(strchr(err.text, '\033')); /* whoever reads it has a terminal */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_say_what_they_say),
        cmocka_unit_test(times_are_exact),
        cmocka_unit_test(bad_lines_are_errors),
        cmocka_unit_test(only_one_exchange_from_a_time_on),
        cmocka_unit_test(gzip_is_read_and_its_torn_end),
        cmocka_unit_test(what_follows_whole_frames_is_lost_and_counted),
        cmocka_unit_test(damage_is_an_error),
        cmocka_unit_test(bombs_are_bounded),
        cmocka_unit_test(a_window_too_large_is_refused),
        cmocka_unit_test(a_message_too_long_is_refused),
        cmocka_unit_test(what_is_not_there_is_said),
    };
    make_folder();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder();
    return failed;
}
