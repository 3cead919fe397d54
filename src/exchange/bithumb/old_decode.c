/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bithumb's first generation: {"type","content"} and {"status","resmsg"}. The content is passed
 * over once and read when the whole is known to be JSON and its type known, wherever that stood:
 * simpler than one pass, and this API is not where speed is needed.
 */
#include "exchange/bithumb/old_decode.h"

#include "exchange/bithumb/old_content.h"

struct envelope {
    struct slice type, status, words;
    const char *content; /* where it begins; NULL: there is none */
    bool muddled;        /* a key came twice, or is no text where it must be */
};

static void text_take(struct envelope *envelope, struct scan *scan, struct slice *text)
{
    envelope->muddled |= text->data != NULL || scan_peek(scan) != '"';
    if (envelope->muddled)
        scan_skip(scan);
    else
        *text = scan_text(scan);
}

static void key_take(struct envelope *envelope, struct scan *scan, struct slice key)
{
    if (slice_equal(key, SLICE("type"))) {
        text_take(envelope, scan, &envelope->type);
    } else if (slice_equal(key, SLICE("status"))) {
        text_take(envelope, scan, &envelope->status);
    } else if (slice_equal(key, SLICE("resmsg"))) {
        text_take(envelope, scan, &envelope->words);
    } else if (slice_equal(key, SLICE("content"))) {
        envelope->muddled |= envelope->content != NULL || scan_peek(scan) != '{';
        envelope->content = scan->at;
        scan_skip(scan);
    } else {
        scan_skip(scan);
    }
}

static bool envelope_read(struct envelope *envelope, struct slice text)
{
    struct scan scan = scan_begin(text);
    struct slice key;
    bool first = true;
    scan_expect(&scan, '{');
    while (scan_next_key(&scan, &first, &key))
        key_take(envelope, &scan, key);
    return scan_finish(&scan) && !envelope->muddled;
}

/* "0000" is what all goes well with; the greeting and the answers differ by their words only. */
static enum decode_verdict status_decode(const struct envelope *envelope, struct event_batch *batch)
{
    static const struct slice greeting = {.data = "Connected", .size = 9};
    if (!slice_equal(envelope->status, SLICE("0000"))) {
        batch->note = envelope->words.size > 0 ? envelope->words : envelope->status;
        batch->refused_name = envelope->status;
        return DECODE_REFUSED;
    }
    return slice_starts_with(envelope->words, greeting) ? DECODE_KEPT_ALIVE : DECODE_ACKNOWLEDGED;
}

typedef enum decode_verdict content_read_fn(struct old_decoding *decoding, struct scan *scan);

static content_read_fn *content_reader(struct slice type)
{
    if (slice_equal(type, SLICE("transaction")))
        return old_transactions_read;
    if (slice_equal(type, SLICE("orderbooksnapshot")))
        return old_snapshot_read;
    if (slice_equal(type, SLICE("orderbookdepth")))
        return old_depth_read;
    if (slice_equal(type, SLICE("ticker")))
        return old_ticker_read;
    return NULL;
}

static enum decode_verdict content_decode(const struct envelope *envelope,
                                          const struct decode_input *input,
                                          struct event_batch *batch)
{
    content_read_fn *read = content_reader(envelope->type);
    if (read == NULL)
        return DECODE_UNKNOWN_TYPE;
    if (envelope->content == NULL)
        return DECODE_MALFORMED;
    struct old_decoding decoding = {.input = input, .batch = batch};
    struct scan scan = {.at = envelope->content, .end = input->text.data + input->text.size};
    enum decode_verdict verdict = read(&decoding, &scan);
    if (verdict != DECODE_EVENTS || batch->event_count > 0)
        return verdict;
    return decoding.unknown_symbol ? DECODE_UNKNOWN_SYMBOL : DECODE_NOTHING;
}

static enum decode_verdict message_decode(const struct decode_input *input,
                                          struct event_batch *batch)
{
    struct envelope envelope = {.content = NULL};
    struct scan scan = scan_begin(input->text);
    if (scan_peek(&scan) != '{')
        return unknown_or_malformed(input->text);
    if (!envelope_read(&envelope, input->text))
        return DECODE_MALFORMED;
    if (envelope.type.data != NULL)
        return content_decode(&envelope, input, batch);
    if (envelope.status.data != NULL)
        return status_decode(&envelope, batch);
    return DECODE_UNKNOWN_TYPE;
}

enum decode_verdict bithumb1_decode(void *state, const struct decode_input *input,
                                    struct event_batch *batch)
{
    (void)state;
    batch_begin(batch);
    return batch_finish(batch, message_decode(input, batch));
}
