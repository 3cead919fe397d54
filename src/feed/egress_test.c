/* SPDX-License-Identifier: Apache-2.0 */
#include "feed/egress.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define WALL INT64_C(1700000000000000)
#define CONNECTS 300
#define CONNECTS_WINDOW (INT64_C(300000) * MS)
#define WINDOW (INT64_C(60000) * MS)
#define SLACK (EGRESS_SLACK_MS * MS)
#define MESSAGE_SLACK (EGRESS_MESSAGE_SLACK_MS * MS)

/* As Binance, as Upbit, and one of which nothing is known. */
static const struct exchange weighted = {.name = "weighted",
                                         .limits = {.connects = {CONNECTS, 300000},
                                                    .rest = {6000, 60000},
                                                    .messages = {{5, 1000}, {100, 60000}}}};
static const struct exchange by_kind = {
    .name = "by_kind", .limits = {.connects = {5, 1000}, .rest = {10, 1000}, .rest_by_kind = true}};
static const struct exchange unlimited = {.name = "unlimited"};

static uint64_t random_state;

static uint32_t next_below(uint32_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

static struct rest_request request_of(uint32_t weight)
{
    return (struct rest_request){.weight = weight};
}

static void each_budget_is_its_own(void **state)
{
    (void)state;
    struct egress *egress = egress_create(&by_kind, "");
    struct rest_request request = request_of(0); /* one at least */
    for (int i = 0; i < 10; i++)
        egress_request(egress, &request, REST_BOOK, i);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_BOOK, 10), SECOND + SLACK - 10);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_TRADES, 10), 0);
    assert_int_equal(egress_connect_wait_ns(egress, 10), 0);
    egress_used(egress, 10, 10);
    assert_true(egress_request_wait_ns(egress, &request, REST_TRADES, 10) > 0);
    egress_destroy(egress);

    egress = egress_create(&weighted, "");
    request = request_of(5990);
    egress_request(egress, &request, REST_BOOK, 0);
    request = request_of(20);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_TICKERS, 0), WINDOW + SLACK);
    request = request_of(7000); /* more than there is waits for all of it, not for ever */
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_TICKERS, 0), WINDOW + SLACK);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_TICKERS, WINDOW + SLACK), 0);
    egress_destroy(egress);
    egress_destroy(NULL);

    egress = egress_create(&unlimited, "");
    for (int i = 0; i < 1000; i++)
        egress_connect(egress, 0);
    egress_used(egress, UINT32_MAX, 0);
    assert_int_equal(egress_connect_wait_ns(egress, 0), 0);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_MARKETS, 0), 0);
    egress_destroy(egress);
}

static void more_than_we_know_of_is_believed(void **state)
{
    (void)state;
    struct egress *egress = egress_create(&weighted, "");
    struct rest_request request = request_of(100);
    egress_request(egress, &request, REST_BOOK, 0);
    egress_used(egress, 50, SECOND); /* less */
    request = request_of(5900);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_BOOK, SECOND), 0);
    egress_used(egress, 101, SECOND);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_BOOK, SECOND),
                     WINDOW + SLACK - SECOND);
    egress_used(egress, 6000, 2 * SECOND);
    assert_int_equal(egress_request_wait_ns(egress, &request, REST_BOOK, 2 * SECOND),
                     WINDOW + SLACK);
    egress_destroy(egress);
}

static void pauses_double_within_an_hour(void **state)
{
    (void)state;
    struct egress *egress = egress_create(&weighted, "");
    struct rest_request request = request_of(1);
    assert_int_equal(egress_paused_until_ns(egress, 0), 0);
    static const int64_t minutes[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    int64_t now = SECOND;
    for (size_t i = 0; i < COUNT_OF(minutes); i++) {
        int64_t until = now + minutes[i] * 60 * SECOND;
        assert_int_equal(egress_pause(egress, 429, -1, now), until);
        /* Answers to what was under way when it came double nothing. */
        assert_int_equal(egress_pause(egress, 429, -1, now), until);
        assert_int_equal(egress_pause(egress, 429, 0, now + 1), until);
        assert_int_equal(egress_paused_until_ns(egress, until - 1), until);
        assert_int_equal(egress_paused_until_ns(egress, until), 0);
        assert_int_equal(egress_pause_status(egress), 429);
        assert_int_equal(egress_connect_wait_ns(egress, now), until - now);
        assert_int_equal(egress_request_wait_ns(egress, &request, REST_BOOK, until - 1), 1);
        assert_int_equal(egress_connect_wait_ns(egress, until), 0);
        now = until;
    }
    now += 3600 * SECOND;
    assert_int_equal(egress_pause(egress, 403, -1, now), now + 60 * SECOND);
    assert_int_equal(egress_pause(egress, 418, -1, now + SECOND), now + 121 * SECOND);
    assert_int_equal(egress_pause_status(egress), 418);
    egress_destroy(egress);
}

static void what_the_exchange_says_is_the_least(void **state)
{
    (void)state;
    struct egress *egress = egress_create(&weighted, "");
    assert_int_equal(egress_pause(egress, 429, 7, 0), 7 * SECOND);
    assert_int_equal(egress_pause(egress, 429, 3, SECOND), 7 * SECOND); /* never shorter */
    assert_int_equal(egress_pause(egress, 429, 7, 7 * SECOND), 21 * SECOND);
    assert_int_equal(egress_pause(egress, 418, 7200, 21 * SECOND), 7221 * SECOND);
    assert_int_equal(egress_pause(egress, 418, INT64_MAX, 21 * SECOND),
                     (21 + EGRESS_PAUSE_MAX_S) * SECOND);
    egress_destroy(egress);
    egress = egress_create(&weighted, "");
    assert_int_equal(egress_pause(egress, 503, 0, 0), SECOND);
    egress_destroy(egress);
}

/* Whoever asks before each step never breaks a limit, at random times and weights. */
static void nobody_who_asks_breaks_a_limit(void **state)
{
    (void)state;
    static int64_t when[1200];
    static uint32_t weight[1200];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        random_state = seed;
        struct egress *egress = egress_create(&weighted, "");
        int64_t now = -5 * SECOND;
        size_t first = 0;
        uint64_t sum = 0;
        for (size_t i = 0; i < COUNT_OF(when); i++) {
            struct rest_request request = request_of(weight[i] = 1 + next_below(250));
            now += egress_request_wait_ns(egress, &request, REST_BOOK, now);
            egress_request(egress, &request, REST_BOOK, when[i] = now);
            sum += weight[i];
            while (now - when[first] >= WINDOW + SLACK)
                sum -= weight[first++];
            assert_true(sum <= 6000);
            now += next_below(2000) * MS;
        }
        for (size_t i = 0; i < COUNT_OF(when); i++) {
            now += egress_connect_wait_ns(egress, now);
            egress_connect(egress, when[i] = now);
            if (i >= CONNECTS)
                assert_true(when[i] - when[i - CONNECTS] >= CONNECTS_WINDOW + SLACK);
            now += next_below(1500) * MS;
        }
        egress_destroy(egress);
    }
}

/* ---- written down and taken over ---- */

static int read_text(struct egress *egress, const char *text)
{
    struct err err;
    return egress_read(egress, slice_of(text), 0, WALL, &err);
}

static void it_is_one_line_of_json(void **state)
{
    (void)state;
    struct egress *egress = egress_create(&weighted, "proxy \"a\"\\\x01");
    struct rest_request request = request_of(40);
    struct buffer out;
    buffer_init(&out, EGRESS_TEXT_MAX);
    egress_connect(egress, 1 * SECOND);
    egress_request(egress, &request, REST_BOOK, 2 * SECOND + 999);
    egress_pause(egress, 418, 10, 3 * SECOND + 1);
    egress_write(egress, 4 * SECOND, WALL, &out);
    assert_string_equal(out.data,
                        "{\"exchange\":\"weighted\",\"address\":\"proxy \\\"a\\\"\\\\\\u0001\","
                        "\"paused_until\":1700000009000001,\"status\":418,\"strikes\":0,"
                        "\"connects\":[[1699999997000000,1]],\"rest\":[[[1699999998000001,40]]]}");
    struct egress *same = egress_create(&weighted, "proxy \"a\"\\\x01");
    struct egress *other = egress_create(&weighted, "proxy");
    struct egress *stranger = egress_create(&unlimited, "proxy \"a\"\\\x01");
    struct egress *kinds = egress_create(&by_kind, "proxy \"a\"\\\x01"); /* other books */
    struct err err;
    assert_int_equal(egress_read(same, buffer_slice(&out), 0, WALL, &err), 0);
    assert_int_equal(egress_read(other, buffer_slice(&out), 0, WALL, &err), -ENOENT);
    assert_int_equal(egress_read(stranger, buffer_slice(&out), 0, WALL, &err), -ENOENT);
    assert_int_equal(egress_read(kinds, buffer_slice(&out), 0, WALL, &err), -ENOENT);
    assert_int_equal(egress_paused_until_ns(same, 0), 9 * SECOND + 1000);
    assert_int_equal(egress_pause_status(same), 418);
    assert_int_equal(egress_paused_until_ns(other, 0), 0);
    egress_destroy(egress);
    egress_destroy(same);
    egress_destroy(other);
    egress_destroy(stranger);
    egress_destroy(kinds);
    buffer_release(&out);
}

/* A predecessor, and a successor of another monotonic origin that may have begun before it reads:
 * together they stay within the limit, however often and whenever the state is handed over. */
static void a_successor_stays_within_the_limit_with_its_predecessor(void **state)
{
    (void)state;
    static int64_t when[4000];
    for (uint64_t seed = 1; seed <= 40; seed++) {
        random_state = seed;
        int64_t origin = (int64_t)next_below(1000000) * SECOND - 500000 * SECOND;
        struct egress *before = egress_create(&weighted, ""), *after = egress_create(&weighted, "");
        struct buffer out;
        buffer_init(&out, EGRESS_TEXT_MAX);
        int64_t now = 0;
        size_t count = 0;
        uint32_t early = next_below(CONNECTS / 2), spent = next_below(CONNECTS - early + 1);
        for (uint32_t i = 0; i < early; i++) /* of its own, before it knows */
            egress_connect(after, (when[count++] = now += next_below(400) * MS) + origin);
        for (uint32_t i = 0; i < spent; i++)
            egress_connect(before, when[count++] = now += next_below(400) * MS);
        struct err err;
        for (uint32_t i = 0; i <= next_below(5); i++) { /* again and again */
            buffer_clear(&out);
            egress_write(before, now, WALL + now / 1000, &out);
            assert_true(!out.overflowed && out.size < 16 * KIBIBYTE);
            now += next_below(3000) * MS;
            assert_int_equal(
                egress_read(after, buffer_slice(&out), now + origin, WALL + now / 1000, &err), 0);
        }
        for (int i = 0; i < 1000; i++) {
            now += egress_connect_wait_ns(after, now + origin);
            egress_connect(after, (when[count++] = now) + origin);
        }
        for (size_t i = CONNECTS; i < count; i++)
            assert_true(when[i] - when[i - CONNECTS] >= CONNECTS_WINDOW);
        /* Stricter, but not by much: a thousand take three windows and a bit. */
        assert_true(now < 5 * CONNECTS_WINDOW);
        egress_destroy(before);
        egress_destroy(after);
        buffer_release(&out);
    }
}

static void the_stricter_of_both_pauses_counts(void **state)
{
    (void)state;
    struct egress *one = egress_create(&weighted, ""), *two = egress_create(&weighted, "");
    struct buffer out;
    struct err err;
    buffer_init(&out, EGRESS_TEXT_MAX);
    egress_pause(one, 429, 100, 0);
    egress_pause(two, 418, 50, 0);
    egress_write(two, 0, WALL, &out);
    assert_int_equal(egress_read(one, buffer_slice(&out), 0, WALL, &err), 0);
    assert_int_equal(egress_paused_until_ns(one, 0), 100 * SECOND);
    assert_int_equal(egress_pause_status(one), 429);
    buffer_clear(&out);
    egress_write(one, 0, WALL, &out);
    assert_int_equal(egress_read(two, buffer_slice(&out), SECOND, WALL + 1000000, &err), 0);
    assert_int_equal(egress_paused_until_ns(two, 0), 100 * SECOND);
    assert_int_equal(egress_pause_status(two), 429);
    /* A pause that is over makes the next one longer, there as here. */
    struct egress *third = egress_create(&weighted, "");
    assert_int_equal(egress_read(third, buffer_slice(&out), 200 * SECOND, WALL + 200000000, &err),
                     0);
    assert_int_equal(egress_connect_wait_ns(third, 200 * SECOND), 0);
    assert_int_equal(egress_pause(third, 429, -1, 200 * SECOND), 320 * SECOND);
    egress_destroy(one);
    egress_destroy(two);
    egress_destroy(third);
    buffer_release(&out);
}

#define HEAD "{\"exchange\":\"weighted\",\"address\":\"\",\"paused_until\":0,\"status\":0,"

static void hostile_text_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "{",
        "{}",
        "null",
        "[]",
        "nonsense",
        HEAD,
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[[]]",
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[[]]}}",
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[]}",
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[[],[]]}",
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[[],[],[],[],[],[],[],[]]}",
        HEAD "\"strikes\":17,\"connects\":[],\"rest\":[[]]}",
        HEAD "\"strikes\":-1,\"connects\":[],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"strikes\":0,\"connects\":[],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[],\"rest\":[[]],\"more\":1}",
        HEAD "\"strikes\":0,\"connects\":[[1700000000000000,300]],\"rest\":[[[1]]]}",
        HEAD "\"strikes\":0,\"connects\":[[2,1],[1,1]],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[[1,4294967296]],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[[9223372036854775808,1]],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[[-5,1]],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[[1.5,1]],\"rest\":[[]]}",
        HEAD "\"strikes\":0,\"connects\":[[1,1,1]],\"rest\":[[]]}",
    };
    struct egress *egress = egress_create(&weighted, "");
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_int_equal(read_text(egress, refused[i]), -EINVAL);
    assert_int_equal(egress_read(egress, (struct slice){.data = NULL, .size = 0}, 0, WALL, NULL),
                     -EINVAL);
    assert_int_equal(egress_connect_wait_ns(egress, 0), 0);
    /* The far future is now; more than there is is all of it; a pause has a limit; order is free.
     */
    assert_int_equal(
        read_text(egress,
                  " {\"rest\":[[]],\"connects\":[[1,4294967295],[9007199254740991,4294967295],"
                  "[9007199254740991,4294967295]],\"strikes\":16,\"status\":999,\"exchange\""
                  ":\"weighted\",\"address\":\"\",\"paused_until\":9007199254740991}"),
        0);
    assert_int_equal(egress_paused_until_ns(egress, 0), EGRESS_PAUSE_MAX_S * SECOND);
    int64_t later = EGRESS_PAUSE_MAX_S * SECOND;
    assert_int_equal(egress_connect_wait_ns(egress, later), 0);
    egress_destroy(egress);
}

/* Bytes changed, cut and repeated at random: taken or refused, never broken. */
static void no_text_breaks_it(void **state)
{
    (void)state;
    struct egress *source = egress_create(&weighted, "");
    struct rest_request request = request_of(30);
    for (int i = 0; i < 40; i++) {
        egress_connect(source, i * 2 * SECOND);
        egress_request(source, &request, REST_BOOK, i * 2 * SECOND);
    }
    struct buffer out;
    struct err err;
    buffer_init(&out, EGRESS_TEXT_MAX);
    egress_write(source, 80 * SECOND, WALL, &out);
    static char text[EGRESS_TEXT_MAX];
    int taken = 0;
    for (int run = 0; run < 20000; run++) {
        random_state = (uint64_t)run;
        size_t size = out.size;
        memcpy(text, out.data, size);
        for (uint32_t i = 0; i <= next_below(4); i++)
            text[next_below((uint32_t)size)] =
                next_below(2) == 0 ? (char)next_below(256) : "0123456789[]{},\""[next_below(16)];
        if (next_below(4) == 0)
            size = next_below((uint32_t)size);
        struct egress *egress = egress_create(&weighted, "");
        int result = egress_read(egress, (struct slice){text, size}, 0, WALL, &err);
        assert_true(result == 0 || result == -EINVAL || result == -ENOENT);
        if (result != 0)
            assert_int_equal(egress_connect_wait_ns(egress, 0), 0);
        assert_true(egress_connect_wait_ns(egress, 0) <= EGRESS_PAUSE_MAX_S * SECOND);
        taken += result == 0;
        egress_destroy(egress);
    }
    assert_true(taken > 0 && taken < 20000);
    egress_destroy(source);
    buffer_release(&out);
}

static void messages_have_all_their_windows(void **state)
{
    (void)state;
    static int64_t when[500];
    struct message_budget budget;
    message_budget_init(&budget, &weighted);
    int64_t now = 0;
    for (size_t i = 0; i < COUNT_OF(when); i++) {
        now += message_budget_wait_ns(&budget, now);
        message_budget_spend(&budget, when[i] = now);
        if (i >= 5)
            assert_true(when[i] - when[i - 5] >= SECOND + MESSAGE_SLACK);
        if (i >= 100)
            assert_true(when[i] - when[i - 100] >= WINDOW + MESSAGE_SLACK);
    }
    assert_true(now < 5 * (WINDOW + MESSAGE_SLACK));
    message_budget_release(&budget);
    message_budget_init(&budget, &unlimited);
    for (int i = 0; i < 200; i++)
        message_budget_spend(&budget, 0);
    assert_int_equal(message_budget_wait_ns(&budget, 0), 0);
    message_budget_release(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_budget_is_its_own),
        cmocka_unit_test(more_than_we_know_of_is_believed),
        cmocka_unit_test(pauses_double_within_an_hour),
        cmocka_unit_test(what_the_exchange_says_is_the_least),
        cmocka_unit_test(nobody_who_asks_breaks_a_limit),
        cmocka_unit_test(it_is_one_line_of_json),
        cmocka_unit_test(a_successor_stays_within_the_limit_with_its_predecessor),
        cmocka_unit_test(the_stricter_of_both_pauses_counts),
        cmocka_unit_test(hostile_text_is_refused_and_changes_nothing),
        cmocka_unit_test(no_text_breaks_it),
        cmocka_unit_test(messages_have_all_their_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
