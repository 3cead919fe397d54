/* SPDX-License-Identifier: Apache-2.0 */
/* Frames made by hand, given to a connection whose other end the test holds. */
#include "bench/load_priv.h"

#include "base/frame.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

static struct tally tally;
static struct load load;
static struct connection connection;
static const char *ended; /* why, or NULL */
static int other_end;
static char bytes[4096];
static size_t bytes_size;

/* Instead of load.c's, which closes sockets. */
void connection_end(struct load *of, struct connection *which, const char *why)
{
    (void)of;
    which->phase = CONNECTION_ENDED;
    ended = why;
}

static int setup(void **state)
{
    (void)state;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || !tally_init(&tally, "seq", "recv"))
        return -1;
    tally.counting = true;
    load = (struct load){.options.tally = &tally};
    connection = (struct connection){.channel.fd = pair[0], .last = -1, .phase = CONNECTION_OPEN};
    other_end = pair[1];
    ended = NULL;
    bytes_size = 0;
    memset(bytes, 0, sizeof bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    inflater_destroy(load.inflater);
    close(connection.channel.fd);
    close(other_end);
    return 0;
}

static void add(unsigned head, const void *payload, size_t size)
{
    uint8_t header[FRAME_HEADER_MAX] = {0};
    size_t header_size = frame_header_write(header, 1, size);
    header[0] = (uint8_t)head;
    memcpy(bytes + bytes_size, header, header_size);
    memcpy(bytes + bytes_size + header_size, payload, size);
    bytes_size += header_size + size;
}

static void add_text(const char *text)
{
    add(0x81, text, strlen(text));
}

static size_t take(void)
{
    return connection_frames(&load, &connection, bytes, bytes_size);
}

static void test_cut_anywhere(void **state)
{
    (void)state;
    char long_text[300];
    add_text("{\"seq\":1,\"recv\":1}");
    size_t first = bytes_size;
    memset(long_text, ' ', sizeof long_text);
    memcpy(long_text, "{\"seq\":2,\"recv\":1}", 18);
    add(0x81, long_text, sizeof long_text);
    size_t whole = bytes_size;
    for (bytes_size = 0; bytes_size < whole; bytes_size++) {
        connection.last = -1;
        assert_int_equal(take(), bytes_size < first ? 0 : first);
        assert_int_equal(connection.last, bytes_size < first ? -1 : 1);
    }
    assert_int_equal(take(), whole);
    assert_int_equal(connection.last, 2);
    assert_null(ended);
}

static void test_lines(void **state)
{
    (void)state;
    load.options.lines = true;
    add_text("{\"seq\":1,\"recv\":1}\n{\"seq\":2,\"recv\":1}\n\n{}");
    add_text("{\"seq\":3,\"recv\":1}\n");
    assert_int_equal(take(), bytes_size);
    assert_int_equal(tally.delivered, 3);
    assert_int_equal(tally.others, 1);
    assert_int_equal(tally.frames, 2);
    assert_int_equal(tally.gaps, 0);
}

static void test_compressed(void **state)
{
    (void)state;
    static const char text[] = "{\"seq\":5,\"recv\":1}\n{\"seq\":6,\"recv\":1}";
    Bytef room[200] = {0};
    z_stream stream = {0};
    deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = sizeof text - 1;
    stream.next_out = room;
    stream.avail_out = sizeof room;
    deflate(&stream, Z_SYNC_FLUSH);
    size_t size = sizeof room - stream.avail_out - 4;
    deflateEnd(&stream);
    load.inflater = inflater_create();
    load.options.lines = true;
    add(0xc1, room, size);
    add_text("{\"seq\":7,\"recv\":1}"); /* a server may leave one plain */
    assert_int_equal(take(), bytes_size);
    assert_int_equal(connection.last, 7);
    assert_int_equal(tally.compressed, 1);
    assert_int_equal(tally.frames, 2);
    add(0x41, room, size); /* in fragments */
    take();
    assert_non_null(ended);
}

static void test_compressed_unasked(void **state)
{
    (void)state;
    add(0xc1, "x", 1);
    assert_int_equal(take(), 0);
    assert_non_null(ended);
}

static void test_ping_is_answered(void **state)
{
    (void)state;
    char got[32];
    add(0x89, "ab", 2);
    assert_int_equal(take(), bytes_size);
    assert_int_equal(recv(other_end, got, sizeof got, MSG_DONTWAIT), 8);
    assert_memory_equal(got, "\x8a\x82\0\0\0\0ab", 8);
}

static void test_ends(void **state)
{
    (void)state;
    static const char masked[] = "\x81\x81\0\0\0\0x";
    static const char huge[] = "\x81\x7f\x01\0\0\0\0\0\0\0";
    assert_int_equal(connection_frames(&load, &connection, masked, sizeof masked - 1), 0);
    assert_non_null(ended);
    ended = NULL;
    assert_int_equal(connection_frames(&load, &connection, huge, sizeof huge - 1), 0);
    assert_non_null(ended);
    ended = NULL;
    add(0x88, "", 0);
    take();
    assert_string_equal(ended, "the server closed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_cut_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed_unasked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ping_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
