/* SPDX-License-Identifier: Apache-2.0 */
/* Books are checked against a plain table of integer prices: slow, and obviously right. */
#include "market/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <zlib.h>

#include <cmocka.h>

#define PRICES 64    /* prices of random books are 1 to PRICES - 1, in units of 0.1 */
#define ROUNDS 20000 /* random books compared */

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % bound;
}

/* value / 10, spelled at a random scale. */
static struct decimal tenths(int64_t value)
{
    struct decimal decimal = {value, -1};
    for (unsigned i = random_below(4); i > 0; i--) {
        decimal.mantissa *= 10;
        decimal.exponent--;
    }
    if (value % 10 == 0 && random_below(2) == 0)
        decimal = (struct decimal){value / 10, 0};
    return decimal;
}

static int64_t in_tenths(struct decimal decimal)
{
    for (; decimal.exponent < -1; decimal.exponent++)
        decimal.mantissa /= 10;
    return decimal.exponent == 0 ? decimal.mantissa * 10 : decimal.mantissa;
}

static struct level level_of(int64_t price, int64_t size)
{
    return (struct level){.price = tenths(price), .size = tenths(size)};
}

/* The levels of a table of sizes by price, best first. */
static uint32_t list_levels(const int64_t sizes[PRICES], bool descending, struct level *out)
{
    uint32_t count = 0;
    for (int i = 1; i < PRICES; i++) {
        int price = descending ? PRICES - i : i;
        if (sizes[price] != 0)
            out[count++] = level_of(price, sizes[price]);
    }
    return count;
}

static void assert_levels(const struct level *levels, uint32_t count, const int64_t sizes[PRICES],
                          bool descending)
{
    uint32_t at = 0;
    for (int i = 1; i < PRICES; i++) {
        int price = descending ? PRICES - i : i;
        if (sizes[price] == 0)
            continue;
        assert_true(at < count);
        assert_int_equal(in_tenths(levels[at].price), price);
        assert_int_equal(in_tenths(levels[at].size), sizes[price]);
        at++;
    }
    assert_int_equal(at, count);
}

static void random_sizes(int64_t sizes[PRICES])
{
    unsigned share = 1 + random_below(8);
    for (int i = 0; i < PRICES; i++)
        sizes[i] = random_below(share) == 0 ? 1 + (int64_t)random_below(3) : 0;
}

static void assert_side(const struct book_side *side, const int64_t sizes[PRICES])
{
    struct level top[PRICES];
    uint32_t count = book_side_top(side, PRICES, top);
    assert_int_equal(count, side->count);
    assert_levels(top, count, sizes, side->descending);
}

/* Random sets on a book that has room for all. */
static void test_set(void **state)
{
    (void)state;
    struct book book;
    book_init(&book, PRICES);
    struct book_side *sides[] = {&book.bids, &book.asks};
    for (int side = 0; side < 2; side++) {
        int64_t sizes[PRICES] = {0};
        for (int i = 0; i < ROUNDS; i++) {
            int price = 1 + (int)random_below(PRICES - 1);
            int64_t size = random_below(3) == 0 ? 0 : (int64_t)random_below(50);
            assert_true(book_side_set(sides[side], level_of(price, size)));
            sizes[price] = size;
            assert_side(sides[side], sizes);
        }
    }
    book_clear(&book);
    assert_int_equal(book.bids.count + book.asks.count, 0);
    book_release(&book);
    assert_null(book.bids.level);
}

/* A full side keeps the best levels only. */
static void test_set_when_full(void **state)
{
    (void)state;
    for (uint32_t capacity = 1; capacity < 6; capacity++) {
        struct book book;
        book_init(&book, capacity);
        int64_t sizes[PRICES] = {0};
        for (int i = 0; i < 2000; i++) {
            int price = 1 + (int)random_below(PRICES - 1);
            int64_t size = (int64_t)random_below(4);
            uint32_t count = 0;
            int worst = 0;
            for (int j = PRICES - 1; j > 0; j--) {
                count += sizes[j] != 0;
                worst = sizes[j] != 0 ? j : worst;
            }
            bool fits = size == 0 || sizes[price] != 0 || count < capacity || price > worst;
            assert_int_equal(book_side_set(&book.bids, level_of(price, size)), fits);
            if (fits && size != 0 && sizes[price] == 0 && count == capacity)
                sizes[worst] = 0;
            if (fits)
                sizes[price] = size;
            assert_side(&book.bids, sizes);
        }
        book_release(&book);
    }
}

static void test_mixed_scales_are_one_price(void **state)
{
    (void)state;
    struct book book;
    book_init(&book, 4);
    assert_true(book_side_set(&book.asks, (struct level){{1270, -1}, {1, 0}}));
    assert_true(book_side_set(&book.asks, (struct level){{127, 0}, {2, 0}}));
    assert_int_equal(book.asks.count, 1);
    assert_int_equal(book.asks.level[0].size.mantissa, 2);
    assert_true(book_side_set(&book.asks, (struct level){{12700000000, -8}, {0, -8}}));
    assert_int_equal(book.asks.count, 0);
    assert_true(book_side_set(&book.asks, (struct level){{127, 0}, {0, 40}}));
    assert_int_equal(book.asks.count, 0);
    book_release(&book);
}

static void test_apply(void **state)
{
    (void)state;
    const struct level bids[] = {{{30, 0}, {1, 0}}, {{20, 0}, {1, 0}}, {{10, 0}, {1, 0}}};
    const struct level asks[] = {{{40, 0}, {1, 0}}, {{50, 0}, {1, 0}}, {{60, 0}, {1, 0}}};
    struct book book;
    book_init(&book, 2);
    struct book_change change = {.action = BOOK_SNAPSHOT, .bids = {bids, 3}, .asks = {asks, 3}};
    book_apply(&book, &change);
    assert_int_equal(book.bids.count, 2); /* the best two */
    assert_int_equal(book_side_at(&book.bids, 0)->price.mantissa, 30);
    assert_int_equal(book_side_at(&book.bids, 1)->price.mantissa, 20);
    assert_int_equal(book_side_at(&book.asks, 0)->price.mantissa, 40);
    assert_int_equal(book_side_at(&book.asks, 1)->price.mantissa, 50);
    const struct level gone[] = {{{20, 0}, {0, 0}}, {{35, 0}, {7, 0}}};
    change = (struct book_change){.action = BOOK_UPDATE, .bids = {gone, 2}};
    book_apply(&book, &change);
    assert_int_equal(book.bids.count, 2);
    assert_int_equal(book_side_at(&book.bids, 0)->price.mantissa, 35);
    assert_int_equal(book.asks.count, 2);
    change = (struct book_change){.action = BOOK_SNAPSHOT};
    book_apply(&book, &change);
    assert_int_equal(book.bids.count + book.asks.count, 0);
    book_release(&book);
}

/* A snapshot that is not as its contract says is still made into a book. */
static void test_apply_unordered_snapshot(void **state)
{
    (void)state;
    const struct level bids[] = {
        {{10, 0}, {1, 0}}, {{30, 0}, {1, 0}}, {{20, 0}, {0, 0}}, {{30, 0}, {2, 0}}};
    struct book book;
    book_init(&book, 8);
    book_apply(&book, &(struct book_change){.action = BOOK_SNAPSHOT, .bids = {bids, 4}});
    assert_int_equal(book.bids.count, 2);
    assert_int_equal(book_side_at(&book.bids, 0)->price.mantissa, 30);
    assert_int_equal(book_side_at(&book.bids, 0)->size.mantissa, 2);
    book_release(&book);
}

/* Applying the difference of two views to the one gives the other, and nothing in it is idle. */
static void test_difference(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        bool descending = round % 2 == 0;
        int64_t old_sizes[PRICES];
        int64_t new_sizes[PRICES];
        struct level old_levels[PRICES];
        struct level new_levels[PRICES];
        struct level changes[2 * PRICES];
        random_sizes(old_sizes);
        random_sizes(new_sizes);
        uint32_t old_count = list_levels(old_sizes, descending, old_levels);
        uint32_t new_count = list_levels(new_sizes, descending, new_levels);
        uint32_t count =
            book_difference((struct levels){old_levels, old_count},
                            (struct levels){new_levels, new_count}, descending, changes);
        int64_t last = 0;
        for (uint32_t i = 0; i < count; i++) {
            int64_t price = in_tenths(changes[i].price);
            int64_t size = in_tenths(changes[i].size);
            assert_true(i == 0 || (descending ? price < last : price > last));
            assert_true(old_sizes[price] != size); /* something did change */
            old_sizes[price] = size;
            last = price;
        }
        assert_memory_equal(old_sizes + 1, new_sizes + 1, (PRICES - 1) * sizeof(int64_t));
    }
}

static void test_difference_of_spellings_is_none(void **state)
{
    (void)state;
    const struct level before[] = {{{1270, -1}, {50, -1}}};
    const struct level after[] = {{{127, 0}, {5, 0}}};
    struct level changes[2];
    assert_int_equal(
        book_difference((struct levels){before, 1}, (struct levels){after, 1}, true, changes), 0);
    assert_int_equal(
        book_difference((struct levels){NULL, 0}, (struct levels){NULL, 0}, true, changes), 0);
}

static uint32_t text_checksum(const char *text)
{
    return (uint32_t)crc32(0, (const Bytef *)text, (uInt)strlen(text));
}

static void test_checksum(void **state)
{
    (void)state;
    const struct level bids[] = {{{1270, -1}, {28046037885666, -8}}, {{126, 0}, {50000000, -8}}};
    const struct level asks[] = {{{99, -8}, {1, 3}}};
    struct levels none = {NULL, 0};
    assert_int_equal(book_checksum((struct levels){bids, 2}, (struct levels){asks, 1}),
                     text_checksum("127:280460.37885666|126:0.5#0.00000099:1000"));
    assert_int_equal(book_checksum(none, (struct levels){asks, 1}),
                     text_checksum("#0.00000099:1000"));
    assert_int_equal(book_checksum((struct levels){bids, 1}, none),
                     text_checksum("127:280460.37885666#"));
    assert_int_equal(book_checksum(none, none), text_checksum("#"));
    /* A known value of the algorithm itself (its check value). */
    assert_int_equal(text_checksum("123456789"), 0xcbf43926);
}

/* Longer than the pieces in which it is computed. */
static void test_checksum_of_many_levels(void **state)
{
    (void)state;
    enum { COUNT = 700 };
    struct level *levels = calloc(COUNT, sizeof(*levels));
    char *text = calloc(COUNT, 2 * DECIMAL_TEXT_MAX + 2);
    assert_true(levels != NULL && text != NULL);
    char *end = text;
    for (uint32_t i = 0; i < COUNT; i++) {
        levels[i] = (struct level){{-999999999999999999 + i, 40}, {999999999999999999, -40}};
        end = decimal_write(end, levels[i].price);
        *end++ = ':';
        end = decimal_write(end, levels[i].size);
        *end++ = '|';
    }
    end[-1] = '#';
    struct levels list = {levels, COUNT};
    assert_int_equal(book_checksum(list, (struct levels){NULL, 0}),
                     crc32(0, (const Bytef *)text, (uInt)(end - text)));
    free(levels);
    free(text);
}

static void test_ordered(void **state)
{
    (void)state;
    const struct level rising[] = {{{1, 0}, {1, 0}}, {{11, -1}, {1, 0}}, {{12, -1}, {1, 0}}};
    const struct level equal[] = {{{1, 0}, {1, 0}}, {{10, -1}, {1, 0}}};
    const struct level empty[] = {{{1, 0}, {0, 0}}};
    assert_true(levels_ordered((struct levels){rising, 3}, false));
    assert_false(levels_ordered((struct levels){rising, 3}, true));
    assert_false(levels_ordered((struct levels){equal, 2}, false));
    assert_false(levels_ordered((struct levels){equal, 2}, true));
    assert_false(levels_ordered((struct levels){empty, 1}, true));
    assert_true(levels_ordered((struct levels){NULL, 0}, true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_when_full),
        cmocka_unit_test(test_mixed_scales_are_one_price),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_apply_unordered_snapshot),
        cmocka_unit_test(test_difference),
        cmocka_unit_test(test_difference_of_spellings_is_none),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_checksum_of_many_levels),
        cmocka_unit_test(test_ordered),
    };
    return cmocka_run_group_tests_name("book", tests, NULL, NULL);
}
