/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same messages in the same process by other means, for the ratios of times within one run:
 *
 *     ours      decode and encode, as the product does
 *     jansson   json_loadb into a tree, numbers of JSON kept as it keeps them
 *     exact     jansson's tree, and every number (quoted ones too) made exact by GMP's mpq
 *
 * Prints one JSON line; built only where jansson and gmp are. Not part of the product.
 *
 *     compare_decode CORPUS_FILE --exchange NAME [--repeat N]
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "bench/recorded.h"

#include <gmp.h>
#include <jansson.h>
#include <stdlib.h>

#define STACK_MAX 64
#define FILE_MAX ((size_t)256 * MEBIBYTE)
#define DIGITS_MAX 64

/* Turns "84000.10000000" into an exact fraction, the way that a library of numbers offers. */
static bool exact_read(const char *text, mpq_t number)
{
    char digits[DIGITS_MAX];
    size_t count = 0;
    unsigned long scale = 0;
    bool fraction = false;
    if (*text == '-')
        digits[count++] = *text++;
    for (; *text != '\0'; text++) {
        if (*text == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (*text < '0' || *text > '9' || count + 1 == DIGITS_MAX)
            return false;
        digits[count++] = *text;
        scale += fraction;
    }
    digits[count] = '\0';
    if (mpz_set_str(mpq_numref(number), digits, 10) != 0)
        return false;
    mpz_ui_pow_ui(mpq_denref(number), 10, scale);
    mpq_canonicalize(number);
    return true;
}

static unsigned value_exact(const json_t *value, mpq_t number)
{
    char text[DIGITS_MAX];
    if (json_is_string(value))
        return exact_read(json_string_value(value), number);
    if (!json_is_number(value))
        return 0;
    snprintf(text, sizeof(text), "%.17g", json_number_value(value));
    return exact_read(text, number);
}

/* All scalars of a tree, without recursion. */
static unsigned tree_exact(json_t *root, mpq_t number)
{
    json_t *stack[STACK_MAX];
    unsigned depth = 0;
    unsigned numbers = 0;
    stack[depth++] = root;
    while (depth > 0) {
        json_t *at = stack[--depth];
        const char *key;
        json_t *value;
        size_t index;
        json_object_foreach(at, key, value)
        {
            numbers += value_exact(value, number);
            if ((json_is_object(value) || json_is_array(value)) && depth < STACK_MAX)
                stack[depth++] = value;
        }
        json_array_foreach(at, index, value)
        {
            numbers += value_exact(value, number);
            if ((json_is_object(value) || json_is_array(value)) && depth < STACK_MAX)
                stack[depth++] = value;
        }
    }
    return numbers;
}

struct tally {
    uint64_t messages;
    uint64_t numbers;
    uint64_t unread;
};

static void line_do(struct slice line, bool exact, mpq_t number, struct tally *tally)
{
    json_t *root = json_loadb(line.data, line.size, 0, NULL);
    tally->messages++;
    if (root == NULL) {
        tally->unread++;
        return;
    }
    if (exact)
        tally->numbers += tree_exact(root, number);
    json_decref(root);
}

static int64_t others_ns(struct slice text, uint64_t repeat, bool exact, struct tally *tally)
{
    mpq_t number;
    mpq_init(number);
    int64_t start_ns = clock_monotonic_ns();
    for (uint64_t i = 0; i < repeat; i++) {
        struct slice rest = text;
        struct slice line;
        while (recorded_next_line(&rest, &line))
            if (line.size > 0)
                line_do(line, exact, number, tally);
    }
    int64_t elapsed_ns = clock_monotonic_ns() - start_ns;
    mpq_clear(number);
    return elapsed_ns;
}

/* The messages of the corpus as raw lines, whatever it was. */
static bool raw_lines(const char *path, struct buffer *out)
{
    struct buffer file;
    struct buffer message;
    struct slice line;
    struct slice text;
    int64_t i;
    buffer_init(&file, FILE_MAX);
    buffer_init(&message, FILE_MAX);
    bool good = recorded_load(path, &file);
    struct slice rest = buffer_slice(&file);
    while (good && recorded_next_line(&rest, &line)) {
        good = recorded_message(line, &message, &text, &i);
        buffer_append_slice(out, text);
        buffer_append(out, "\n", 1);
    }
    buffer_release(&message);
    buffer_release(&file);
    return good && !out->overflowed;
}

static double per_message_ns(int64_t elapsed_ns, uint64_t messages)
{
    return messages == 0 ? 0 : (double)elapsed_ns / (double)messages;
}

int main(int argc, char **argv)
{
    struct bench_decode_options options = {.repeat = 1000};
    struct bench_decode_result ours;
    struct buffer raw;
    struct err err;
    struct tally plain = {.messages = 0};
    struct tally exact = {.messages = 0};
    if (argc < 4 || strcmp(argv[2], "--exchange") != 0) {
        fputs("usage: compare_decode CORPUS_FILE --exchange NAME [--repeat N]\n", stderr);
        return 2;
    }
    options.path = argv[1];
    options.exchange = argv[3];
    if (argc == 6 && !slice_to_uint64(slice_of(argv[5]), 1000000000, &options.repeat))
        return 2;
    if (bench_decode(&options, &ours, &err) != 0) {
        fprintf(stderr, "compare_decode: %s\n", err.text);
        return 1;
    }
    buffer_init(&raw, FILE_MAX);
    if (!raw_lines(options.path, &raw))
        return 1;
    int64_t plain_ns = others_ns(buffer_slice(&raw), options.repeat, false, &plain);
    int64_t exact_ns = others_ns(buffer_slice(&raw), options.repeat, true, &exact);
    printf("{\"messages\":%llu,\"numbers\":%llu,\"ours_ns\":%.1f,\"jansson_ns\":%.1f,"
           "\"exact_ns\":%.1f}\n",
           (unsigned long long)ours.messages, (unsigned long long)exact.numbers,
           per_message_ns(ours.elapsed_ns, ours.messages), per_message_ns(plain_ns, plain.messages),
           per_message_ns(exact_ns, exact.messages));
    buffer_release(&raw);
    return plain.unread == 0 ? 0 : 1;
}
