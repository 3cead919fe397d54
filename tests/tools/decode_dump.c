/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes messages from stdin, one a line, recorded ({"i","raw"}) or raw, and prints what became
 * of each as one JSON line {"i","verdict","events":[...]}: the means by which scripts compare the
 * decoders with what others make of the same bytes.
 *
 *     decode_dump --exchange NAME [--generation N] [--learn] < lines
 */
#include "bench/recorded.h"
#include "tests/tools/dump.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

#define INSTRUMENTS 4096
#define TEXT_MAX ((size_t)256 * MEBIBYTE)

struct options {
    const char *exchange;
    uint64_t generation;
    bool learn;
};

static bool options_read(struct options *options, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--learn") == 0)
            options->learn = true;
        else if (strcmp(argv[i], "--exchange") == 0 && has_value)
            options->exchange = argv[++i];
        else if (strcmp(argv[i], "--generation") != 0 || !has_value ||
                 !slice_to_uint64(slice_of(argv[++i]), 9, &options->generation))
            return false;
    }
    return options->exchange != NULL;
}

static void stdin_load(struct buffer *text)
{
    char chunk[65536];
    size_t count;
    while ((count = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
        buffer_append(text, chunk, count);
    size_t size = text->size;
    memset(chunk, 0, sizeof(chunk));
    buffer_append(text, chunk, LIMIT_PADDING + 1);
    text->size = size;
}

static void symbols_add(struct instruments *instruments, const struct exchange *exchange)
{
    for (const char *const *name = exchange->symbols; *name != NULL; name++) {
        struct symbol symbol;
        char native[LIMIT_NATIVE_SYMBOL];
        if (!symbol_read(slice_of(*name), &symbol) || !exchange->to_native(&symbol, native) ||
            instruments_add(instruments, &symbol, slice_of(native)) == NULL)
            abort();
    }
}

static void line_decode(const struct exchange *exchange, struct instruments *instruments,
                        struct slice line, struct event_batch *batch, void *state)
{
    struct buffer message_text;
    struct buffer out;
    struct decode_input input = {.received_us = 0, .instruments = instruments};
    int64_t i;
    buffer_init(&message_text, LIMIT_EXCHANGE_MESSAGE + LIMIT_PADDING + 1);
    buffer_init(&out, TEXT_MAX);
    if (recorded_message(line, &message_text, &input.text, &i)) {
        dump_batch(&out, exchange->decode(state, &input, batch), batch);
        printf("{\"i\":%lld,%s\n", (long long)i, out.data + 1);
    } else {
        printf("{\"i\":%lld,\"verdict\":\"unreadable\"}\n", (long long)i);
    }
    buffer_release(&message_text);
    buffer_release(&out);
}

int main(int argc, char **argv)
{
    struct options options = {.exchange = NULL};
    if (!options_read(&options, argc, argv)) {
        fputs("usage: decode_dump --exchange NAME [--generation N] [--learn]\n", stderr);
        return 2;
    }
    const struct exchange *exchange =
        exchange_find(slice_of(options.exchange), (unsigned)options.generation);
    if (exchange == NULL) {
        fputs("decode_dump: no such exchange\n", stderr);
        return 2;
    }
    struct buffer text;
    buffer_init(&text, TEXT_MAX);
    stdin_load(&text);
    struct instruments *instruments = instruments_create(INSTRUMENTS, options.learn);
    symbols_add(instruments, exchange);
    struct event_batch *batch = memory_alloc(sizeof(*batch));
    void *state = exchange->state_size == 0 ? NULL : memory_alloc(exchange->state_size);
    struct slice rest = buffer_slice(&text);
    struct slice line;
    while (recorded_next_line(&rest, &line))
        if (line.size > 0)
            line_decode(exchange, instruments, line, batch, state);
    memory_free(state);
    memory_free(batch);
    instruments_destroy(instruments);
    buffer_release(&text);
    return ferror(stdin) || fflush(stdout) != 0 ? 1 : 0;
}
