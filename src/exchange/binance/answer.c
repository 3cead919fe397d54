/* SPDX-License-Identifier: Apache-2.0 */
/* A value that is not of its kind counts as not given: an answer is told by its keys. */
#include "exchange/binance/answer.h"

#include "exchange/decoding.h"

static void mark_seen(struct answer *answer, bool *seen)
{
    answer->muddled |= *seen;
    *seen = true;
}

static void words_take(struct answer *answer, struct scan *scan)
{
    if (scan_peek(scan) == '"')
        answer->words = scan_text(scan);
    else
        scan_skip(scan);
}

static void code_take(struct answer *answer, struct scan *scan)
{
    bool is_number = scan_peek(scan) == '-' || (*scan->at >= '0' && *scan->at <= '9');
    const char *start = scan->at;
    scan_skip(scan);
    if (is_number && !scan->failed)
        answer->code = (struct slice){.data = start, .size = (size_t)(scan->at - start)};
}

/* Ours are numbers without a sign; any other id is passed over. */
static void id_take(struct answer *answer, struct scan *scan)
{
    uint64_t id;
    (void)scan_peek(scan);
    const char *start = scan->at;
    scan_skip(scan);
    struct slice digits = {.data = start, .size = (size_t)(scan->at - start)};
    if (!scan->failed && slice_to_uint64(digits, INT64_MAX, &id))
        answer->id = (int64_t)id;
}

/* "error":{"code":2,"msg":"..."} */
static void error_take(struct answer *answer, struct scan *scan)
{
    struct slice key;
    bool first = true;
    if (scan_peek(scan) != '{') {
        words_take(answer, scan);
        return;
    }
    scan_expect(scan, '{');
    while (scan_next_key(scan, &first, &key)) {
        if (text_is(key, SLICE("msg")))
            words_take(answer, scan);
        else if (text_is(key, SLICE("code")))
            code_take(answer, scan);
        else
            scan_skip(scan);
    }
}

bool answer_take(struct answer *answer, struct scan *scan, struct slice key)
{
    if (text_is(key, SLICE("error"))) {
        mark_seen(answer, &answer->has_error);
        error_take(answer, scan);
    } else if (text_is(key, SLICE("msg"))) { /* of the flat error */
        words_take(answer, scan);
    } else if (text_is(key, SLICE("code"))) {
        mark_seen(answer, &answer->has_code);
        code_take(answer, scan);
    } else if (text_is(key, SLICE("id"))) {
        mark_seen(answer, &answer->has_id);
        id_take(answer, scan);
    } else if (text_is(key, SLICE("result"))) {
        mark_seen(answer, &answer->has_result);
        scan_skip(scan);
    } else {
        return false;
    }
    return true;
}

static bool is_error(const struct answer *answer)
{
    return answer->has_error || (answer->has_code && answer->words.size > 0);
}

bool answer_is(const struct answer *answer, bool has_data)
{
    return is_error(answer) || (answer->has_result && !has_data);
}

enum decode_verdict answer_decode(const struct answer *answer, struct event_batch *batch)
{
    if (!is_error(answer))
        return answer->has_id ? DECODE_ACKNOWLEDGED : DECODE_MALFORMED;
    batch->note = answer->words;
    batch->refused_name = answer->code;
    batch->refused_id = answer->id;
    return DECODE_REFUSED;
}
