/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers are checked against a reference that knows no integers: it keeps a number as a string of
 * digits and a point, the way one does it on paper.
 */
#include "market/decimal.h"

#include "base/limits.h"
#include "market/digits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define REFERENCE_MAX 400 /* characters of a spelling, and digits of a reference */

/* A number as text: significant digits without zeros at either end, "" for zero; the place of the
 * last of them. */
struct reference {
    bool negative;
    char digits[REFERENCE_MAX];
    long place; /* the value is digits * 10^place */
};

static struct reference reference_of(const char *text)
{
    struct reference reference = {.negative = *text == '-'};
    size_t count = 0;
    bool fraction = false;
    if (*text == '-' || *text == '+')
        text++;
    for (; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            fraction = true;
            continue;
        }
        reference.digits[count++] = *text;
        reference.place -= fraction;
    }
    if (*text != '\0')
        reference.place += strtol(text + 1, NULL, 10);
    while (count > 0 && reference.digits[count - 1] == '0') {
        count--;
        reference.place++;
    }
    reference.digits[count] = '\0';
    size_t zeros = strspn(reference.digits, "0");
    memmove(reference.digits, reference.digits + zeros, count - zeros + 1);
    if (reference.digits[0] == '\0')
        reference = (struct reference){.negative = false};
    return reference;
}

/* The rule of decimal.h: at most 18 digits, and an exponent within bounds can be found. */
static bool reference_fits(const struct reference *reference)
{
    long count = (long)strlen(reference->digits);
    if (count == 0)
        return true;
    if (count > DECIMAL_DIGITS_MAX || reference->place < -DECIMAL_EXPONENT_MAX)
        return false;
    return count + reference->place <= DECIMAL_DIGITS_MAX + DECIMAL_EXPONENT_MAX;
}

static void reference_write(const struct reference *reference, char *out)
{
    long count = (long)strlen(reference->digits);
    long whole = count + reference->place;
    if (count == 0) {
        memcpy(out, "0", 2);
        return;
    }
    if (reference->negative)
        *out++ = '-';
    if (whole <= 0)
        *out++ = '0';
    for (long i = whole < 0 ? whole : 0; i < count || i < whole; i++) {
        if (i == whole || (whole <= 0 && i == whole))
            *out++ = '.';
        *out++ = i < 0 || i >= count ? '0' : reference->digits[i];
    }
    *out = '\0';
}

/* Compares as text: first the sign, then the place of the first digit, then digit by digit. */
static int reference_compare(const struct reference *left, const struct reference *right)
{
    bool left_zero = left->digits[0] == '\0';
    bool right_zero = right->digits[0] == '\0';
    int sign = left->negative ? -1 : 1;
    if (left_zero && right_zero)
        return 0;
    if (left_zero)
        return right->negative ? 1 : -1;
    if (right_zero)
        return sign;
    if (left->negative != right->negative)
        return sign;
    long left_front = (long)strlen(left->digits) + left->place;
    long right_front = (long)strlen(right->digits) + right->place;
    if (left_front != right_front)
        return left_front > right_front ? sign : -sign;
    int order = strcmp(left->digits, right->digits); /* neither has zeros at its end */
    return order == 0 ? 0 : order > 0 ? sign : -sign;
}

/* Reads from memory that ends where the contract says it may, so that ASan sees one byte more. */
static enum decimal_verdict read_exact(const char *text, size_t *ret_size, struct decimal *ret)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 1 + 16);
    assert_non_null(copy);
    memcpy(copy, text, size + 1);
    memset(copy + size + 1, '7', 16); /* digits: nothing may run on into them */
    const char *end = copy;
    enum decimal_verdict verdict = decimal_read(copy, &end, ret);
    *ret_size = (size_t)(end - copy);
    free(copy);
    return verdict;
}

static void write_exact(struct decimal value, char out[DECIMAL_TEXT_MAX + 1])
{
    char *room = malloc(DECIMAL_TEXT_MAX);
    assert_non_null(room);
    char *end = decimal_write(room, value);
    assert_true(end > room && end <= room + DECIMAL_TEXT_MAX);
    memcpy(out, room, (size_t)(end - room));
    out[end - room] = '\0';
    free(room);
}

static void check_spelling(const char *text)
{
    struct reference reference = reference_of(text);
    struct decimal value = {.mantissa = 77, .exponent = 7};
    size_t size = 0;
    enum decimal_verdict verdict = read_exact(text, &size, &value);
    if (size != strlen(text) ||
        verdict != (reference_fits(&reference) ? DECIMAL_OK : DECIMAL_TOO_LONG))
        fail_msg("%s: verdict %d, %zu bytes", text, (int)verdict, size);
    if (verdict != DECIMAL_OK) {
        assert_true(value.mantissa == 77 && value.exponent == 7); /* set on success only */
        return;
    }
    char wanted[REFERENCE_MAX + 2];
    char written[DECIMAL_TEXT_MAX + 1];
    reference_write(&reference, wanted);
    write_exact(value, written);
    if (strcmp(wanted, written) != 0)
        fail_msg("%s: %s, not %s", text, written, wanted);
    assert_true(llabs(value.mantissa) < 1000000000000000000);
}

static uint64_t random_state = 88172645463325252u;

static unsigned random_below(unsigned bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % bound;
}

static char *random_digits(char *at, unsigned count)
{
    unsigned kind = random_below(4);
    for (unsigned i = 0; i < count; i++) {
        bool zero = (kind == 1 && i > count / 3) || (kind == 2 && i < 2 * count / 3) || kind == 3;
        *at++ = (char)('0' + (zero && random_below(12) != 0 ? 0 : random_below(10)));
    }
    return at;
}

static void random_spelling(char *at)
{
    unsigned sign = random_below(6);
    if (sign < 2)
        *at++ = sign == 0 ? '-' : '+';
    at = random_digits(at, 1 + random_below(random_below(8) == 0 ? 60 : 19));
    if (random_below(4) != 0) {
        *at++ = '.';
        at = random_digits(at, 1 + random_below(random_below(8) == 0 ? 60 : 19));
    }
    if (random_below(4) == 0) {
        *at++ = random_below(2) == 0 ? 'e' : 'E';
        int exponent = (int)random_below(120) - 60;
        at += snprintf(at, 16, random_below(2) == 0 ? "%+d" : "%+04d", exponent);
    }
    *at = '\0';
}

static void test_random_spellings(void **state)
{
    (void)state;
    char text[REFERENCE_MAX];
    for (int i = 0; i < 300000; i++) {
        random_spelling(text);
        check_spelling(text);
    }
}

static const char *const spellings[] = {
    "0",
    "-0",
    "+0",
    "0.0",
    "-0.00000000",
    "000",
    "0e999",
    "0e-999",
    "0.000e+0000000000000000000000000000",
    "1",
    "9",
    "10",
    "12345678",
    "99999999",
    "100000000",
    "123456789",
    "9999999999999999",
    "10000000000000000",
    "99999999999999999",
    "999999999999999999",
    "-999999999999999999",
    "1000000000000000000",
    "1000000000000000001",
    "123456789012345678900000000000",
    "1234567890123456789",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999999",
    "0.1",
    "0.10",
    "127.0",
    "0.33988000",
    "1500.00000000",
    "12345678.12345678",
    "123456789.12345678",
    "1234567890.12345678",
    "12345678901.12345678",
    "0.123456789012345",
    "0.1234567890123456",
    "0.12345678901234567",
    "0.123456789012345678",
    "0.1234567890123456789",
    "0.0000000000000000001",
    "0.0000000000000000000000000000000000000001",
    "0.00000000000000000000000000000000000000001",
    "0.00000000000000000000000000000000000000010",
    "123456789012345678.0",
    "12345678901234567.80",
    "1.000000000000000000000000000000",
    "1.000000000000000000000000000001",
    "100000000000000000000000000000.0",
    "00000000000000000000000001.5",
    "00000000.00000001",
    "9.9E-7",
    "9.9e-7",
    "1e0",
    "1e40",
    "1e41",
    "1e57",
    "1e58",
    "123e55",
    "123e56",
    "999999999999999999e40",
    "999999999999999999e41",
    "1e-40",
    "1e-41",
    "10e-41",
    "1000e-43",
    "999999999999999999e-40",
    "999999999999999999e-41",
    "1.5e+3",
    "150E-00000000000000000001",
};

static void test_spellings_at_the_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(spellings); i++)
        check_spelling(spellings[i]);
}

static void test_exponents_do_not_overflow(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum decimal_verdict verdict;
    } rows[] = {
        {"1e999999999999", DECIMAL_TOO_LONG},
        {"1e-999999999999", DECIMAL_TOO_LONG},
        {"1e99999999999999999999999999999999999999999", DECIMAL_TOO_LONG},
        {"1e-99999999999999999999999999999999999999999", DECIMAL_TOO_LONG},
        {"1e4294967296", DECIMAL_TOO_LONG},
        {"1e18446744073709551616", DECIMAL_TOO_LONG},
        {"1e-18446744073709551616", DECIMAL_TOO_LONG},
        {"0e99999999999999999999999999999999999999999", DECIMAL_OK},
        {"0.0e-18446744073709551617", DECIMAL_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct decimal value = {0};
        size_t size;
        assert_int_equal(read_exact(rows[i].text, &size, &value), rows[i].verdict);
        assert_int_equal(size, strlen(rows[i].text));
        assert_int_equal(value.mantissa, 0);
    }
    /* A point shifted by hundreds of zeros, and back. */
    char text[REFERENCE_MAX];
    snprintf(text, sizeof(text), "0.%0300d%s", 7, "e301");
    check_spelling(text);
    snprintf(text, sizeof(text), "7%0300de-300", 0);
    check_spelling(text);
}

static void test_scale_is_kept_as_sent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t mantissa;
        int exponent;
    } rows[] = {
        {"127.0", 1270, -1},
        {"127", 127, 0},
        {"-0.50", -50, -2},
        {"0.00000000", 0, -8},
        {"1e5", 1, 5},
        {"9.9E-7", 99, -8},
        {"1500.00000000", 150000000000, -8},
        {"999999999999999999", 999999999999999999, 0},
        {"9999999999.00000000", 999999999900000000, -8},
        {"99999999999.00000000", 999999999990000000, -7}, /* 19 digits: one zero goes */
        {"1000000000000000000", 100000000000000000, 1},
        {"0e999", 0, 40},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct decimal value = {0};
        size_t size;
        assert_int_equal(read_exact(rows[i].text, &size, &value), DECIMAL_OK);
        if (value.mantissa != rows[i].mantissa || value.exponent != rows[i].exponent)
            fail_msg("%s: %lld e %d", rows[i].text, (long long)value.mantissa, value.exponent);
    }
}

static void test_what_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "-",   "+",    "--1",  "+-1",  "-+1", ".",    ".5",
                                        "-.5", "5.",  "5.e1", "1e",   "1e+",  "1e-", "1.5e", "e5",
                                        "x",   "NaN", "inf",  " 1",   "-e1",  ",",   "/",    ":",
                                        "1e.", "1.x", "1.-5", "1e 5", "\x80", "\xb0"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct decimal value = {.mantissa = 5};
        size_t size = 0;
        if (read_exact(texts[i], &size, &value) != DECIMAL_INVALID || size != 0)
            fail_msg("%s is taken for a number", texts[i]);
        assert_int_equal(value.mantissa, 5);
    }
}

static void test_end_stands_behind_the_number(void **state)
{
    (void)state;
    /* Each byte that is no digit ends a number, at every length. */
    for (int byte = 0; byte < 256; byte++) {
        if ((byte >= '0' && byte <= '9') || byte == '.' || byte == 'e' || byte == 'E')
            continue;
        for (int count = 1; count <= 18; count++) {
            char text[64] = "";
            memcpy(text, "123456789123456789", (size_t)count);
            text[count] = (char)byte;
            memset(text + count + 1, '9', 30);
            const char *end;
            struct decimal value;
            assert_int_equal(decimal_read(text, &end, &value), DECIMAL_OK);
            assert_ptr_equal(end, text + count);
            assert_int_equal(value.mantissa,
                             (int64_t)(123456789123456789 / (int64_t)digits_powers[18 - count]));
            memmove(text + 2, text, 40);
            memcpy(text, "1.", 2);
            if (count == 18)
                continue;
            assert_int_equal(decimal_read(text, &end, &value), DECIMAL_OK);
            assert_ptr_equal(end, text + count + 2);
            assert_int_equal(value.exponent, -count);
        }
    }
    const char *end;
    struct decimal value;
    const char second_point[40] = "1.5.5";
    assert_int_equal(decimal_read(second_point, &end, &value), DECIMAL_OK);
    assert_ptr_equal(end, second_point + 3);
}

static void test_write_every_scale(void **state)
{
    (void)state;
    /* Every exponent with mantissas around each power of ten, against the reference. */
    for (int exponent = -DECIMAL_EXPONENT_MAX; exponent <= DECIMAL_EXPONENT_MAX; exponent++) {
        for (int power = 0; power <= 18; power++) {
            for (int offset = -2; offset <= 2; offset++) {
                int64_t mantissa = (int64_t)digits_powers[power] + offset;
                if (mantissa >= (int64_t)digits_powers[18])
                    continue;
                char spelling[64];
                char wanted[REFERENCE_MAX];
                char written[DECIMAL_TEXT_MAX + 1];
                snprintf(spelling, sizeof(spelling), "%llde%d", (long long)mantissa, exponent);
                struct reference reference = reference_of(spelling);
                reference_write(&reference, wanted);
                write_exact((struct decimal){mantissa, (int8_t)exponent}, written);
                assert_string_equal(written, wanted);
            }
        }
    }
}

static void test_write_plain_values(void **state)
{
    (void)state;
    static const struct {
        struct decimal value;
        const char *text;
    } rows[] = {
        {{0, 0}, "0"},
        {{0, -8}, "0"},
        {{0, 40}, "0"},
        {{33988000, -8}, "0.33988"},
        {{150000000000, -8}, "1500"},
        {{-5, -1}, "-0.5"},
        {{99, -8}, "0.00000099"},
        {{1, 3}, "1000"},
        {{1234, -2}, "12.34"},
        {{168341000, -1}, "16834100"},
        {{999999999999999999, 0}, "999999999999999999"},
        {{-999999999999999999, -9}, "-999999999.999999999"},
        {{100000000000000000, -17}, "1"},
        {{1, -40}, "0.0000000000000000000000000000000000000001"},
        {{-999999999999999999, 40}, "-9999999999999999990000000000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char written[DECIMAL_TEXT_MAX + 1];
        write_exact(rows[i].value, written);
        assert_string_equal(written, rows[i].text);
    }
}

static void test_compare_against_paper(void **state)
{
    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct decimal pair[2];
        struct reference reference[2];
        for (int side = 0; side < 2; side++) {
            char spelling[64];
            char digits[24] = "";
            *random_digits(digits, 1 + random_below(18)) = '\0';
            int exponent = (int)random_below(81) - 40;
            if (side == 1 && random_below(2) == 0) {
                /* The same value at another scale, or nearly. */
                exponent = pair[0].exponent - (int)random_below(3);
                if (exponent < -40)
                    exponent = -40;
                snprintf(digits, sizeof(digits), "%.15lld",
                         llabs(pair[0].mantissa % 1000000000000000));
            }
            snprintf(spelling, sizeof(spelling), "%s%se%d", random_below(2) == 0 ? "-" : "", digits,
                     exponent);
            int64_t mantissa = strtoll(spelling, NULL, 10);
            pair[side] = (struct decimal){mantissa, (int8_t)exponent};
            reference[side] = reference_of(spelling);
        }
        int wanted = reference_compare(&reference[0], &reference[1]);
        assert_int_equal(decimal_compare(pair[0], pair[1]), wanted);
        assert_int_equal(decimal_compare(pair[1], pair[0]), -wanted);
        assert_int_equal(decimal_equal(pair[0], pair[1]), wanted == 0);
    }
}

static void test_compare_pairs(void **state)
{
    (void)state;
    static const struct {
        struct decimal left, right;
        int order;
    } rows[] = {
        {{1270, -1}, {127, 0}, 0},
        {{0, 40}, {0, -40}, 0},
        {{0, 40}, {1, -40}, -1},
        {{0, -40}, {-1, -40}, 1},
        {{999999999999999999, -40}, {1, 40}, -1},
        {{999999999999999999, 40}, {1, -40}, 1},
        {{-999999999999999999, 40}, {-1, -40}, -1},
        {{1, 18}, {999999999999999999, 0}, 1},
        {{1, 17}, {999999999999999999, 0}, -1},
        {{100000000000000000, 0}, {1, 17}, 0},
        {{10, 17}, {999999999999999999, 0}, 1},
        {{-1, 0}, {1, 5}, -1},
        {{999999999999999999, 0}, {999999999999999998, 1}, -1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(decimal_compare(rows[i].left, rows[i].right), rows[i].order);
        assert_int_equal(decimal_compare(rows[i].right, rows[i].left), -rows[i].order);
    }
}

static void test_digit_words(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 100000000; value += value < 200000 ? 1 : 9973) {
        char text[16];
        snprintf(text, sizeof(text), "%08llu", (unsigned long long)value);
        assert_true(digits_word(value) + DIGITS_ZEROS == word_load(text));
        assert_true(digits_value(word_load(text) ^ DIGITS_ZEROS) == value);
    }
    static const uint64_t edges[] = {99999999,   100000000, 9999999999999999, 10000000000000000,
                                     UINT64_MAX, INT64_MAX, 1234567800000000};
    for (size_t i = 0; i < COUNT_OF(edges); i++) {
        char wanted[32];
        char written[INTEGER_TEXT_MAX];
        int size = snprintf(wanted, sizeof(wanted), "%llu", (unsigned long long)edges[i]);
        assert_int_equal(digits_write(written, edges[i]) - written, size);
        assert_memory_equal(written, wanted, (size_t)size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digit_words),
        cmocka_unit_test(test_spellings_at_the_limits),
        cmocka_unit_test(test_random_spellings),
        cmocka_unit_test(test_exponents_do_not_overflow),
        cmocka_unit_test(test_scale_is_kept_as_sent),
        cmocka_unit_test(test_what_is_no_number),
        cmocka_unit_test(test_end_stands_behind_the_number),
        cmocka_unit_test(test_write_every_scale),
        cmocka_unit_test(test_write_plain_values),
        cmocka_unit_test(test_compare_against_paper),
        cmocka_unit_test(test_compare_pairs),
    };
    return cmocka_run_group_tests_name("decimal", tests, NULL, NULL);
}
