/* SPDX-License-Identifier: Apache-2.0 */
/* All messages are read and unescaped first, so that only decoding and encoding is timed. */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "bench/recorded.h"
#include "exchange/exchange.h"
#include "market/encode.h"

#include <errno.h>

#define CORPUS_MAX ((size_t)1024 * MEBIBYTE)
#define MESSAGES_MAX (16 * MEBIBYTE)
#define REPEAT_MAX 1000000000
#define INSTRUMENTS 4096
#define ENCODED_MAX ((size_t)2 * MEBIBYTE) /* the largest message, whatever its levels */

/* The messages, one behind the other with their padding. */
struct corpus {
    struct buffer text;
    struct slice *message; /* owned; into text */
    size_t count;
};

struct work {
    const struct exchange *exchange;
    struct instruments *instruments;
    struct event_batch *batch;
    void *state;
    struct slice name;
    char *encoded; /* owned; ENCODED_MAX bytes */
};

/* ---- the messages ---- */

static size_t lines_count(struct slice text)
{
    struct slice line;
    size_t count = 0;
    while (recorded_next_line(&text, &line))
        count += line.size > 0;
    return count;
}

/* Appends a message and its padding; its offset for now, as the text may still move. */
static bool corpus_add(struct corpus *corpus, struct slice line, struct buffer *message)
{
    struct slice text;
    int64_t i;
    if (!recorded_message(line, message, &text, &i))
        return false;
    corpus->message[corpus->count++] = (struct slice){.data = NULL, .size = text.size};
    buffer_append(&corpus->text, message->data, text.size + 1 + LIMIT_PADDING);
    return !corpus->text.overflowed;
}

static void corpus_point(struct corpus *corpus)
{
    const char *at = corpus->text.data;
    for (size_t i = 0; i < corpus->count; i++) {
        corpus->message[i].data = at;
        at += corpus->message[i].size + 1 + LIMIT_PADDING;
    }
}

static int corpus_fill(struct corpus *corpus, struct slice text, struct err *err)
{
    struct buffer message;
    struct slice line;
    size_t count = lines_count(text);
    if (count == 0 || count > MESSAGES_MAX)
        return err_set(err, -EINVAL, "a corpus has 1 to %d messages, one a line", MESSAGES_MAX);
    corpus->message = memory_array(count, sizeof(*corpus->message));
    buffer_init(&message, LIMIT_EXCHANGE_MESSAGE + LIMIT_PADDING + 1);
    bool good = true;
    while (good && recorded_next_line(&text, &line))
        good = line.size == 0 || corpus_add(corpus, line, &message);
    buffer_release(&message);
    if (!good)
        return err_set(err, -EINVAL, "message %zu cannot be read", corpus->count + 1);
    corpus_point(corpus);
    return 0;
}

static int corpus_load(struct corpus *corpus, const char *path, struct err *err)
{
    struct buffer file;
    buffer_init(&file, CORPUS_MAX);
    int result = recorded_load(path, &file) ? corpus_fill(corpus, buffer_slice(&file), err)
                                            : err_set(err, -ENOENT, "%s cannot be read", path);
    buffer_release(&file);
    return result;
}

/* ---- the work ---- */

/* Returns the bytes written. */
static size_t event_work(struct work *work, const struct event *event)
{
    if (event->type == EVENT_CANDLE || /* not part of the stream */
        event_encode_max(event, work->name) > ENCODED_MAX)
        return 0;
    return (size_t)(event_encode(work->encoded, event, work->name) - work->encoded);
}

static void corpus_work(struct work *work, const struct corpus *corpus,
                        struct bench_decode_result *result)
{
    struct decode_input input = {.received_us = 1, .instruments = work->instruments};
    struct event_batch *batch = work->batch;
    exchange_decode_fn *decode = work->exchange->decode;
    void *state = work->state;
    uint64_t errors = 0;
    uint64_t bytes = 0;
    uint64_t encoded = 0;
    for (size_t i = 0; i < corpus->count; i++) {
        input.text = corpus->message[i];
        errors += decode(state, &input, batch) == DECODE_MALFORMED;
        bytes += input.text.size;
        for (uint32_t e = 0; e < batch->event_count; e++)
            encoded += event_work(work, &batch->event[e]);
    }
    result->messages += corpus->count;
    result->errors += errors;
    result->bytes += bytes;
    result->encoded += encoded;
}

static void work_open(struct work *work, const struct exchange *exchange)
{
    work->exchange = exchange;
    work->instruments = instruments_create(INSTRUMENTS, true);
    work->batch = memory_alloc(sizeof(*work->batch));
    work->state = exchange->state_size == 0 ? NULL : memory_alloc(exchange->state_size);
    work->name = slice_of(exchange->name);
    work->encoded = memory_alloc(ENCODED_MAX);
}

static void work_close(struct work *work)
{
    memory_free(work->encoded);
    memory_free(work->state);
    memory_free(work->batch);
    instruments_destroy(work->instruments);
}

int bench_decode(const struct bench_decode_options *options, struct bench_decode_result *ret_result,
                 struct err *err)
{
    struct corpus corpus = {.count = 0};
    struct work work;
    struct bench_decode_result result = {.messages = 0};
    const struct exchange *exchange =
        exchange_find(slice_of(options->exchange), (unsigned)options->generation);
    if (exchange == NULL)
        return err_set(err, -EINVAL, "there is no exchange \"%s\" of that generation",
                       options->exchange);
    buffer_init(&corpus.text, CORPUS_MAX);
    int error = corpus_load(&corpus, options->path, err);
    if (error == 0) {
        work_open(&work, exchange);
        int64_t start_ns = clock_monotonic_ns();
        for (uint64_t i = 0; i < options->repeat; i++)
            corpus_work(&work, &corpus, &result);
        result.elapsed_ns = clock_monotonic_ns() - start_ns;
        work_close(&work);
        *ret_result = result;
    }
    memory_free(corpus.message);
    buffer_release(&corpus.text);
    return error;
}

/* ---- the command ---- */

static bool options_read(struct bench_decode_options *options, int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--exchange") == 0) {
            options->exchange = value;
        } else if (strcmp(argv[i], "--generation") == 0) {
            if (!slice_to_uint64(slice_of(value), 9, &options->generation))
                return false;
        } else if (strcmp(argv[i], "--repeat") == 0) {
            if (!slice_to_uint64(slice_of(value), REPEAT_MAX, &options->repeat))
                return false;
        } else {
            if (argv[i][0] == '-' || options->path != NULL)
                return false;
            options->path = argv[i];
            continue;
        }
        i++;
    }
    return options->path != NULL && options->exchange != NULL && options->repeat > 0;
}

int bench_decode_command(int argc, char **argv)
{
    struct bench_decode_options options = {.repeat = 1};
    struct bench_decode_result result = {0};
    struct err err = {0};
    if (!options_read(&options, argc, argv)) {
        fputs("usage: tickwire bench decode CORPUS_FILE --exchange NAME [--generation N] "
              "[--repeat N]\n",
              stderr);
        return 2;
    }
    if (bench_decode(&options, &result, &err) != 0) {
        fprintf(stderr, "bench decode: %s\n", err.text);
        return 1;
    }
    printf("{\"messages\":%llu,\"seconds\":%lld.%09lld,\"errors\":%llu,\"bytes\":%llu,"
           "\"encoded\":%llu}\n",
           (unsigned long long)result.messages, (long long)(result.elapsed_ns / 1000000000),
           (long long)(result.elapsed_ns % 1000000000), (unsigned long long)result.errors,
           (unsigned long long)result.bytes, (unsigned long long)result.encoded);
    return fflush(stdout) == 0 ? 0 : 1;
}
