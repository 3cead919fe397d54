/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and ranges: spellings that are read, and those that are not. */
#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct spelling {
    const char *text;
    const char *written; /* NULL: not an address */
};

static const struct spelling plain[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:201", "192.0.2.1"},
    {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
    {"::", "::"},
    {"::1", "::1"},
    {"", NULL},
    {"192.0.2", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.01", NULL},
    {"192.0.2.1 ", NULL},
    {"192.0.2.1:80", NULL},
    {"[::1]", NULL},
    {"fe80::1%eth0", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"localhost", NULL},
    {"unknown", NULL},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2550", NULL},
};

static const struct spelling of_peers[] = {
    {"192.0.2.1:80", "192.0.2.1"},
    {"[2001:db8::1]:443", "2001:db8::1"},
    {"[::1]", "::1"},
    {"192.0.2.1", "192.0.2.1"},
    {"2001:db8::1", "2001:db8::1"},
    {"192.0.2.1:", NULL},
    {"192.0.2.1:65536", NULL},
    {"192.0.2.1:x", NULL},
    {"[::1]:", NULL},
    {"[::1]443", NULL},
    {"[::1", NULL},
    {"[192.0.2.1]:80", NULL},
    {"[]:80", NULL},
    {":80", NULL},
    {"_hidden", NULL},
    {"", NULL},
};

static void check(const struct spelling *spelling,
                  bool (*parse)(struct slice text, struct address *ret_address))
{
    struct address address;
    char written[ADDRESS_TEXT] = "none";
    if (parse(slice_of(spelling->text), &address))
        address_write(&address, written);
    const char *expected = spelling->written == NULL ? "none" : spelling->written;
    if (strcmp(written, expected) != 0)
        fail_msg("\"%s\" was read as %s", spelling->text, written);
}

static void test_spellings(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        check(&plain[i], address_parse);
    for (size_t i = 0; i < COUNT_OF(of_peers); i++)
        check(&of_peers[i], address_parse_peer);
}

static struct address read(const char *text)
{
    struct address address;
    assert_true(address_parse(slice_of(text), &address));
    return address;
}

static void test_longest(void **state)
{
    (void)state;
    struct address address = read("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255");
    char text[ADDRESS_TEXT];
    address_write(&address, text);
    assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_false(address_parse((struct slice){"1.2.3.4\0", 8}, &address));
}

static void test_order_and_hash(void **state)
{
    (void)state;
    struct address low = read("192.0.2.1");
    struct address same = read("::ffff:192.0.2.1");
    struct address high = read("192.0.2.2");
    assert_true(address_equal(&low, &same));
    assert_true(address_is_v4(&same));
    assert_true(address_compare(&low, &high) < 0);
    assert_true(address_compare(&high, &low) > 0);
    assert_int_equal(address_seeded_hash(&low, 1), address_seeded_hash(&same, 1));
    assert_int_not_equal(address_seeded_hash(&low, 1), address_seeded_hash(&high, 1));
    assert_int_not_equal(address_seeded_hash(&low, 1), address_seeded_hash(&low, 2));
}

static void test_groups(void **state)
{
    (void)state;
    struct address one = read("2001:db8:1:2::1");
    struct address neighbour = read("2001:db8:1:2:ffff::9");
    struct address other = read("2001:db8:1:3::1");
    struct address v4 = read("192.0.2.1");
    one = address_group(&one);
    neighbour = address_group(&neighbour);
    other = address_group(&other);
    struct address v4_group = address_group(&v4);
    assert_true(address_equal(&one, &neighbour));
    assert_false(address_equal(&one, &other));
    assert_true(address_equal(&v4, &v4_group));
}

struct range_case {
    const char *range;
    const char *inside;
    const char *outside;
};

static const struct range_case ranges[] = {
    {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
    {"10.0.0.0/8", "::ffff:10.1.2.3", "::a00:1"},
    {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
    {"192.0.2.1/32", "::ffff:192.0.2.1", "192.0.2.2"},
    {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
    {"0.0.0.0/0", "255.255.255.255", "::1"},
    {"::ffff:10.0.0.0/104", "10.1.1.1", "11.0.0.0"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
    {"::1", "::1", "::2"},
};

static void test_ranges(void **state)
{
    (void)state;
    struct err err;
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        struct address_range range;
        assert_int_equal(address_range_parse(slice_of(ranges[i].range), &range, &err), 0);
        struct address inside = read(ranges[i].inside);
        struct address outside = read(ranges[i].outside);
        assert_true(address_range_contains(&range, &inside));
        assert_false(address_range_contains(&range, &outside));
    }
    struct address_range all;
    struct address any = read("2001:db8::1");
    assert_int_equal(address_range_parse(SLICE("::/0"), &all, &err), 0);
    assert_true(address_range_contains(&all, &any));
}

static void test_bad_ranges(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "not an address"},
        {"10.0.0.0/", "0 to 32 bits"},
        {"10.0.0.0/33", "0 to 32 bits"},
        {"10.0.0.0/-1", "0 to 32 bits"},
        {"10.0.0.1/8", "bits behind"},
        {"::/129", "0 to 128 bits"},
        {"2001:db8::1/64", "bits behind"},
        {"10.0.0.0/8/8", "0 to 32 bits"},
        {"proxy.example", "not an address"},
        {"10.0.0.0:80", "not an address"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct address_range range;
        struct err err;
        assert_int_equal(address_range_parse(slice_of(bad[i][0]), &range, &err), -EINVAL);
        if (strstr(err.text, bad[i][1]) == NULL)
            fail_msg("%s: %s", bad[i][0], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),      cmocka_unit_test(test_longest),
        cmocka_unit_test(test_order_and_hash), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_bad_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
