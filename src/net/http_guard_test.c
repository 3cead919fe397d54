/* SPDX-License-Identifier: Apache-2.0 */
/* Counting by address, whose connection goes first, and rates. Time is a number here. */
#include "net/http_guard.h"

#include "base/limits.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MS 1000000

static struct address numbered(unsigned number)
{
    struct address address;
    char text[ADDRESS_TEXT];
    snprintf(text, sizeof(text), "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255,
             number & 255);
    assert_true(address_parse(slice_of(text), &address));
    return address;
}

static struct address named(const char *text)
{
    struct address address;
    assert_true(address_parse(slice_of(text), &address));
    return address;
}

static void sit(struct http_guard *guard, struct http_seat *seat, const struct address *address)
{
    assert_true(http_guard_enter(guard, seat, address, false));
    http_guard_wait(guard, seat);
}

static void test_the_biggest_goes_first(void **state)
{
    (void)state;
    const struct http_limits limits = {.handshake_rate = 0};
    struct http_guard *guard = http_guard_create(&limits);
    struct address small = named("192.0.2.1");
    struct address big = named("192.0.2.2");
    struct http_seat of_small[2];
    struct http_seat of_big[8];
    assert_null(http_guard_victim(guard));
    for (size_t i = 0; i < 2; i++)
        sit(guard, &of_small[i], &small);
    for (size_t i = 0; i < 8; i++)
        sit(guard, &of_big[i], &big);
    assert_ptr_equal(http_guard_victim(guard), &of_big[0]);
    http_guard_leave(guard, &of_big[0]);
    assert_ptr_equal(http_guard_victim(guard), &of_big[1]);
    http_guard_busy(guard, &of_big[1]); /* it has said a head */
    assert_ptr_equal(http_guard_victim(guard), &of_big[2]);
    http_guard_wait(guard, &of_big[1]); /* and waits for the next: behind the others */
    http_guard_wait(guard, &of_big[1]);
    assert_ptr_equal(http_guard_victim(guard), &of_big[2]);
    assert_int_equal(http_guard_count(guard, &big), 7);
    for (size_t i = 2; i < 8; i++)
        http_guard_leave(guard, &of_big[i]);
    /* Now the other has more, and is the first. */
    assert_ptr_equal(http_guard_victim(guard), &of_small[0]);
    http_guard_leave(guard, &of_small[0]);
    http_guard_leave(guard, &of_small[0]);
    http_guard_leave(guard, &of_small[1]);
    assert_ptr_equal(http_guard_victim(guard), &of_big[1]);
    http_guard_leave(guard, &of_big[1]);
    assert_null(http_guard_victim(guard));
    assert_int_equal(http_guard_count(guard, &big), 0);
    http_guard_destroy(guard);
    http_guard_destroy(NULL);
}

static void test_of_equals_the_oldest_goes_first(void **state)
{
    (void)state;
    const struct http_limits limits = {.handshake_rate = 0};
    struct http_guard *guard = http_guard_create(&limits);
    struct http_seat seats[100];
    for (unsigned i = 0; i < COUNT_OF(seats); i++) {
        struct address address = numbered(i);
        sit(guard, &seats[i], &address);
    }
    for (unsigned i = 0; i < COUNT_OF(seats); i++) {
        assert_ptr_equal(http_guard_victim(guard), &seats[i]);
        http_guard_leave(guard, &seats[i]);
    }
    http_guard_destroy(guard);
}

static void test_limit_of_an_address(void **state)
{
    (void)state;
    const struct http_limits limits = {.connections_per_address = 2};
    struct http_guard *guard = http_guard_create(&limits);
    struct address one = named("2001:db8:1:2::1");
    struct address neighbour = named("2001:db8:1:2::2");
    struct address other = named("2001:db8:1:3::1");
    struct http_seat seats[5];
    assert_true(http_guard_enter(guard, &seats[0], &one, false));
    assert_true(http_guard_enter(guard, &seats[1], &neighbour, false));
    assert_false(http_guard_enter(guard, &seats[2], &one, false));
    assert_true(http_guard_enter(guard, &seats[2], &one, true)); /* a proxy may */
    assert_true(http_guard_enter(guard, &seats[3], &other, false));
    http_guard_leave(guard, &seats[0]);
    assert_false(http_guard_enter(guard, &seats[0], &one, false));
    http_guard_leave(guard, &seats[1]);
    assert_true(http_guard_enter(guard, &seats[0], &one, false));
    http_guard_leave(guard, &seats[0]);
    http_guard_leave(guard, &seats[2]);
    http_guard_leave(guard, &seats[3]);
    http_guard_destroy(guard);
}

static void test_rates(void **state)
{
    (void)state;
    const struct http_limits limits = {
        .handshake_rate = 10, .handshake_burst = 3, .accept_rate = 1000, .accept_burst = 2};
    struct http_guard *guard = http_guard_create(&limits);
    struct address one = named("192.0.2.1");
    struct address other = named("192.0.2.2");
    for (size_t i = 0; i < 3; i++)
        assert_true(http_guard_handshake(guard, &one, 5 * MS));
    assert_false(http_guard_handshake(guard, &one, 5 * MS));
    assert_true(http_guard_handshake(guard, &other, 5 * MS));
    assert_false(http_guard_handshake(guard, &one, 104 * MS));
    assert_true(http_guard_handshake(guard, &one, 105 * MS));
    assert_false(http_guard_handshake(guard, &one, 105 * MS));
    for (size_t i = 0; i < 3; i++) /* rested: a whole burst again, and no more */
        assert_true(http_guard_handshake(guard, &one, (int64_t)60000 * MS));
    assert_false(http_guard_handshake(guard, &one, (int64_t)60000 * MS));
    assert_true(http_guard_accept(guard, MS));
    assert_true(http_guard_accept(guard, MS));
    assert_false(http_guard_accept(guard, MS));
    assert_true(http_guard_accept(guard, 2 * MS));
    http_guard_destroy(guard);
}

static void test_no_rates(void **state)
{
    (void)state;
    const struct http_limits limits = {.handshake_rate = 0};
    struct http_guard *guard = http_guard_create(&limits);
    struct address one = named("192.0.2.1");
    for (size_t i = 0; i < 100000; i++) {
        assert_true(http_guard_handshake(guard, &one, 0));
        assert_true(http_guard_accept(guard, 0));
    }
    http_guard_destroy(guard);
}

/* Three times as many addresses as the table has places for: each is still let in, and counted
 * down. Rates of those that hold nothing are forgotten, so a flood of addresses ends them. */
static void test_more_addresses_than_places(void **state)
{
    (void)state;
    enum { SEATS = 3 * LIMIT_HTTP_ADDRESSES };
    const struct http_limits limits = {.handshake_rate = 1};
    struct http_guard *guard = http_guard_create(&limits);
    struct http_seat *seats = memory_array(SEATS, sizeof(*seats));
    struct address held = named("192.0.2.1");
    struct http_seat seat;
    assert_true(http_guard_handshake(guard, &held, MS));
    sit(guard, &seat, &held);
    for (unsigned i = 0; i < SEATS; i++) {
        struct address address = numbered(i);
        sit(guard, &seats[i], &address);
    }
    assert_int_equal(http_guard_count(guard, &held) >= 1, true);
    assert_false(http_guard_handshake(guard, &held, 2 * MS)); /* not forgotten: it holds a seat */
    size_t victims = 0;
    for (struct http_seat *victim = http_guard_victim(guard); victim != NULL;
         victim = http_guard_victim(guard)) {
        http_guard_leave(guard, victim);
        victims++;
    }
    assert_int_equal(victims, SEATS + 1);
    memory_free(seats);
    http_guard_destroy(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_biggest_goes_first),
        cmocka_unit_test(test_of_equals_the_oldest_goes_first),
        cmocka_unit_test(test_limit_of_an_address),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_no_rates),
        cmocka_unit_test(test_more_addresses_than_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
