/* SPDX-License-Identifier: Apache-2.0 */
/* Writing, and reading back what was written: whole, cut at each byte, in parts, on a full disk. */
#include "sim/recorder.h"

#include "base/clock.h"
#include "base/log.h"
#include "sim/recording_fixture_test.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <zstd.h>

#define START_US INT64_C(1790133513000001)

static const char *const exchanges[] = {"binance", "upbit", "bithumb"};

static struct recorder *open_at(const char *path, struct recorder_options options)
{
    struct recorder *recorder = NULL;
    struct err err = {0};
    options.file = path;
    options.exchanges = exchanges;
    options.exchange_count = COUNT_OF(exchanges);
    if (recorder_open(&options, &recorder, &err) < 0)
        fail_msg("%s", err.text);
    return recorder;
}

/* Message i: reproducible, of some length, text or not. */
static struct slice message_of(size_t i, char room[600])
{
    uint64_t bits = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    int size = snprintf(room, 600, "{\"e\":\"trade\",\"i\":%zu,\"p\":\"%llu\",\"q\":\"%llu\"}", i,
                        (unsigned long long)(bits >> 40), (unsigned long long)(bits & 0xffffff));
    for (size_t j = 0; j < bits % 300; j++)
        room[size++] = (char)('a' + (bits >> j % 50) % 26);
    if (i % 7 == 3)
        room[size++] = '\xff'; /* no UTF-8 */
    return (struct slice){.data = room, .size = (size_t)size};
}

static bool put_message(struct recorder *recorder, size_t i)
{
    char room[600];
    return recorder_put(
        recorder, &(struct recorder_entry){.kind = i % 2 == 0 ? RECORDER_TEXT : RECORDER_BINARY,
                                           .exchange = (uint8_t)(i % 3),
                                           .connection = (uint32_t)(i % 5),
                                           .wall_us = START_US + (int64_t)i * 1001,
                                           .text = message_of(i, room)});
}

static void assert_message(const struct taken *taken, size_t index, size_t i)
{
    char room[600];
    struct slice expected = message_of(i, room);
    assert_true(slice_equal(text_at(taken, index), expected));
    assert_int_equal(taken->ts_us[index], START_US + (int64_t)i * 1001);
    assert_int_equal(taken->binary[index], i % 2);
    assert_int_equal(taken->exchange[index], exchanges[i % 3][0]);
}

static void what_is_put_comes_back(void **state)
{
    (void)state;
    static const char odd[] = "\0\"\\\n\r\t\x1f\x7f \xc3\xa9 \xed\x95\x9c \xf0\x9f\x98\x80";
    char path[TEST_PATH];
    path_of("whole", path);
    struct recorder *recorder = open_at(path, (struct recorder_options){0});
    for (size_t i = 0; i < 5000; i++)
        assert_true(put_message(recorder, i));
    struct recorder_entry entry = {.wall_us = 1, .text = {.data = odd, .size = sizeof odd}};
    for (int kind = RECORDER_TEXT; kind <= RECORDER_CLOSE; kind++) {
        entry.kind = (enum recorder_kind)kind;
        assert_true(recorder_put(recorder, &entry));
    }
    /* Each byte, and pairs: what is no UTF-8 is exact as well. */
    char pair[2];
    entry.kind = RECORDER_TEXT;
    entry.text = (struct slice){.data = pair, .size = 2};
    for (unsigned i = 0; i < 65536; i += 3) {
        pair[0] = (char)(i >> 8);
        pair[1] = (char)i;
        assert_true(recorder_put(recorder, &entry));
    }
    assert_int_equal(recorder_close(recorder, NULL), 0);
    struct taken *taken = take_file(path);
    assert_false(taken->failed);
    assert_int_equal(taken->count, 5000 + 2 + 21846);
    for (size_t i = 0; i < 5000; i++)
        assert_message(taken, i, i);
    assert_true(slice_equal(text_at(taken, 5000), entry.text) == false);
    assert_memory_equal(text_at(taken, 5001).data, odd, sizeof odd);
    for (unsigned i = 0; i < 65536; i += 3) {
        const char *at = text_at(taken, 5002 + i / 3).data;
        assert_int_equal((uint8_t)at[0] << 8 | (uint8_t)at[1], i);
    }
    assert_int_equal(taken->loss.files, 0);
    drop(taken);
}

static void the_largest_messages_come_back(void **state)
{
    (void)state;
    char path[TEST_PATH];
    static const char fillings[] = {'a', '"', '\x01', '\xff'};
    char *text = memory_alloc(LIMIT_EXCHANGE_MESSAGE);
    path_of("large", path);
    struct recorder *recorder = open_at(path, (struct recorder_options){0});
    struct recorder_entry entry = {.text = {.data = text, .size = LIMIT_EXCHANGE_MESSAGE}};
    for (size_t i = 0; i < COUNT_OF(fillings); i++) {
        memset(text, fillings[i], LIMIT_EXCHANGE_MESSAGE);
        assert_true(recorder_put(recorder, &entry));
    }
    entry.text.size++; /* what no session gives */
    assert_false(recorder_put(recorder, &entry));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    struct taken *taken = take_file(path);
    assert_false(taken->failed);
    assert_int_equal(taken->count, COUNT_OF(fillings));
    assert_int_equal(taken->loss.unrecorded, 1);
    for (size_t i = 0; i < COUNT_OF(fillings); i++) {
        memset(text, fillings[i], LIMIT_EXCHANGE_MESSAGE);
        assert_int_equal(text_at(taken, i).size, LIMIT_EXCHANGE_MESSAGE);
        assert_memory_equal(text_at(taken, i).data, text, LIMIT_EXCHANGE_MESSAGE);
    }
    drop(taken);
    memory_free(text);
}

/* ---- torn ---- */

/* How many messages stand in the frames that are whole within `size` bytes: by the library alone.
 */
static size_t whole_messages(struct slice packed, size_t size, size_t *ret_end)
{
    size_t count = 0, at = 0;
    static char text[4 * MEBIBYTE];
    while (at < size) {
        size_t frame = ZSTD_findFrameCompressedSize(packed.data + at, size - at);
        if (ZSTD_isError(frame) != 0)
            break;
        size_t got = ZSTD_decompress(text, sizeof text, packed.data + at, frame);
        assert_false(ZSTD_isError(got));
        for (size_t i = 0; i + 5 < got; i++)
            count += memcmp(text + i, "\"op\":", 5) == 0;
        at += frame;
    }
    *ret_end = at;
    return count;
}

static void a_file_cut_anywhere_gives_a_prefix(void **state)
{
    (void)state;
    char path[TEST_PATH], cut[TEST_PATH];
    struct buffer bytes;
    path_of("cuttable", path);
    path_of("cut", cut);
    struct recorder *recorder = open_at(path, (struct recorder_options){0});
    for (size_t i = 0; i < 12; i++)
        assert_true(put_message(recorder, i));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    get_file(path, &bytes);
    struct buffer three;
    buffer_init(&three, MEBIBYTE);
    for (int i = 0; i < 3; i++)
        buffer_append_slice(&three, buffer_slice(&bytes));
    for (size_t size = 0; size <= three.size; size++) {
        size_t end = 0;
        size_t whole = whole_messages(buffer_slice(&three), size, &end);
        put_file(cut, (struct slice){.data = three.data, .size = size});
        struct taken *taken = take_file(cut);
        assert_false(taken->failed);
        assert_true(taken->count >= whole && taken->count <= 36);
        for (size_t i = 0; i < taken->count; i++)
            assert_message(taken, i, i % 12);
        assert_int_equal(taken->loss.files, end < size);
        assert_int_equal(taken->loss.packed_bytes, size - end);
        drop(taken);
    }
    buffer_release(&bytes);
    buffer_release(&three);
}

/* A last frame that is there in part gives its part, and the rest is known in bytes. */
static void a_torn_frame_gives_what_it_has(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct buffer bytes;
    path_of("torn", path);
    struct recorder *recorder = open_at(path, (struct recorder_options){0});
    for (size_t i = 0; i < 600; i++) /* about one frame of two blocks */
        assert_true(put_message(recorder, i));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    get_file(path, &bytes);
    put_file(path, (struct slice){.data = bytes.data, .size = bytes.size - 10});
    struct taken *taken = take_file(path);
    assert_false(taken->failed);
    assert_true(taken->count > 250 && taken->count < 600);
    assert_int_equal(taken->loss.files, 1);
    assert_true(taken->loss.text_bytes > 10000);
    for (size_t i = 0; i < taken->count; i++)
        assert_message(taken, i, i);
    drop(taken);
    buffer_release(&bytes);
}

/* ---- parts ---- */

static void assert_all_in(const char *const *files, size_t file_count, size_t first, size_t count)
{
    struct taken *taken =
        take(&(struct recording_options){.files = files, .file_count = file_count});
    assert_false(taken->failed);
    assert_int_equal(taken->count, count);
    for (size_t i = 0; i < count; i++)
        assert_message(taken, i, first + i);
    drop(taken);
}

#define PARTS 64

static size_t list_parts(const char *path, char paths[PARTS][TEST_PATH], const char *files[PARTS])
{
    size_t count = 0;
    for (unsigned i = 1; i < 1000 && count < PARTS; i++) {
        snprintf(paths[count], TEST_PATH, "%.*s.%04u", TEST_PATH - 10, path, i);
        if (access(paths[count], F_OK) == 0) {
            files[count] = paths[count];
            count++;
        }
    }
    return count;
}

static void rotation_loses_nothing(void **state)
{
    (void)state;
    static char paths[PARTS][TEST_PATH];
    const char *files[PARTS];
    char path[TEST_PATH];
    path_of("parts", path);
    struct recorder_options options = {.rotate_bytes = RECORDER_PART_MIN};
    struct recorder *recorder = open_at(path, options);
    for (size_t i = 0; i < 10000; i++)
        assert_true(put_message(recorder, i));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    size_t count = list_parts(path, paths, files);
    assert_true(count >= 5 && count < PARTS);
    assert_all_in(files, count, 0, 10000);
    for (size_t i = 0; i < count; i++) {
        struct stat status;
        assert_int_equal(stat(files[i], &status), 0);
        /* A frame of 256 KiB is the least that a file holds, and these pack badly. */
        assert_true(status.st_size <= RECORDER_PART_MIN + 192 * KIBIBYTE);
    }
    /* The next run goes on behind, and touches nothing that is there. */
    recorder = open_at(path, options);
    for (size_t i = 10000; i < 10100; i++)
        assert_true(put_message(recorder, i));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    assert_int_equal(list_parts(path, paths, files), count + 1);
    assert_all_in(files, count + 1, 0, 10100);

    struct recording_survey survey;
    struct recording_options all = {.files = files, .file_count = count + 1};
    assert_int_equal(recording_survey(&all, &survey, NULL), 0);
    assert_int_equal(survey.exchange_count, 3);
    assert_int_equal(survey.first_us, START_US);
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    static char paths[PARTS][TEST_PATH];
    const char *files[PARTS];
    char path[TEST_PATH], stranger[TEST_PATH];
    path_of("kept", path);
    path_of("kept.12", stranger); /* no part: too few digits */
    put_file(stranger, SLICE("x"));
    struct recorder *recorder =
        open_at(path, (struct recorder_options){.rotate_bytes = RECORDER_PART_MIN, .keep = 2});
    for (size_t i = 0; i < 10000; i++)
        assert_true(put_message(recorder, i));
    assert_int_equal(recorder_close(recorder, NULL), 0);
    assert_int_equal(list_parts(path, paths, files), 2);
    assert_int_equal(access(stranger, F_OK), 0);
    struct taken *taken = take(&(struct recording_options){.files = files, .file_count = 2});
    assert_true(taken->count > 100);
    for (size_t i = 0; i < taken->count; i++)
        assert_message(taken, i, 10000 - taken->count + i);
    drop(taken);
}

static void nothing_is_overwritten(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct recorder *recorder = NULL;
    struct err err = {0};
    path_of("there", path);
    put_file(path, SLICE("precious"));
    struct recorder_options options = {.file = path, .exchanges = exchanges, .exchange_count = 1};
    assert_int_equal(recorder_open(&options, &recorder, &err), -EEXIST);
    struct buffer bytes;
    get_file(path, &bytes);
    assert_true(slice_is(buffer_slice(&bytes), "precious"));
    buffer_release(&bytes);
    options.file = "/nowhere/at/all";
    assert_int_equal(recorder_open(&options, &recorder, &err), -ENOENT);
}

/* ---- a disk that is full, or slow ---- */

static void a_full_disk_ends_it_with_whole_frames(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct rlimit before, limited;
    struct err err = {0};
    size_t put = 0;
    path_of("full", path);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limited = before;
    limited.rlim_cur = 300000;
    setrlimit(RLIMIT_FSIZE, &limited);
    struct recorder *recorder = open_at(path, (struct recorder_options){0});
    int64_t deadline_ns = clock_monotonic_ns() + INT64_C(20000000000);
    while (recorder_check(recorder, &err) == 0 && clock_monotonic_ns() < deadline_ns)
        put += put_message(recorder, put);
    assert_int_equal(recorder_check(recorder, &err), -EFBIG);
    assert_int_equal(recorder_close(recorder, &err), -EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(err.text, "full: File too large; the file ends with the last whole"));
    struct taken *taken = take_file(path);
    assert_false(taken->failed);
    assert_int_equal(taken->loss.files, 0);
    assert_true(taken->count > 1000 && taken->count < put);
    for (size_t i = 0; i < taken->count; i++)
        assert_message(taken, i, i);
    drop(taken);
}

/* What has no room is left out, counted, and said where it is missing; nothing waits. */
static void a_full_queue_is_told(void **state)
{
    (void)state;
    char path[TEST_PATH];
    struct recorder_totals totals;
    size_t accepted = 0, next = 0;
    static bool kept[100000];
    path_of("slow", path);
    struct recorder *recorder =
        open_at(path, (struct recorder_options){.queue_size = 16 * KIBIBYTE});
    for (size_t i = 0; i < 100000; i++) {
        kept[i] = put_message(recorder, i);
        accepted += kept[i];
    }
    recorder_describe(recorder, &totals);
    assert_int_equal(totals.entries, 100000);
    assert_int_equal(totals.lost, 100000 - accepted);
    assert_true(totals.lost > 0);
    assert_int_equal(recorder_close(recorder, NULL), 0);
    struct taken *taken = take_file(path);
    assert_int_equal(taken->count, accepted);
    assert_int_equal(taken->loss.unrecorded, 100000 - accepted);
    for (size_t i = 0; i < 100000; i++)
        if (kept[i])
            assert_message(taken, next++, i);
    drop(taken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_back),
        cmocka_unit_test(the_largest_messages_come_back),
        cmocka_unit_test(a_file_cut_anywhere_gives_a_prefix),
        cmocka_unit_test(a_torn_frame_gives_what_it_has),
        cmocka_unit_test(rotation_loses_nothing),
        cmocka_unit_test(only_the_newest_are_kept),
        cmocka_unit_test(nothing_is_overwritten),
        cmocka_unit_test(a_full_disk_ends_it_with_whole_frames),
        cmocka_unit_test(a_full_queue_is_told),
    };
    make_folder();
    log_configure(LOG_ERROR, LOG_LOGFMT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_folder();
    return failed;
}
