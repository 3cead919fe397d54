/* SPDX-License-Identifier: Apache-2.0 */
/* What POST /sim/fault says, field by field; a field that the kind does not know is an error. And
 * the garbage that fits no exchange. */
#include "sim/fault.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>

#define LEAVING_MS 1000
#define DELAY_MS_MAX 60000
#define SHIFT_MS_MAX 86400000
#define DEEP 2000

enum field {
    FIELD_SYMBOL = 1,
    FIELD_CHANNEL = 2,
    FIELD_MS = 4,
    FIELD_COUNT = 8,
    FIELD_STATUS = 16,
    FIELD_RETRY = 32,
    FIELD_CODE = 64,
    FIELD_DELAY = 128,
    FIELD_CONNECTIONS = 256,
};

static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"symbol", FIELD_SYMBOL}, {"channel", FIELD_CHANNEL}, {"ms", FIELD_MS},
    {"count", FIELD_COUNT},   {"status", FIELD_STATUS},   {"retry_after", FIELD_RETRY},
    {"code", FIELD_CODE},     {"delay", FIELD_DELAY},     {"connections", FIELD_CONNECTIONS},
};

/* What each kind knows, and what it must have. */
static const struct {
    unsigned known, needed;
} rules[FAULT_KINDS] = {
    [FAULT_DISCONNECT] = {FIELD_MS | FIELD_CODE, 0},
    [FAULT_STALL] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_MS | FIELD_CONNECTIONS, FIELD_MS},
    [FAULT_BAN] = {FIELD_MS | FIELD_STATUS | FIELD_RETRY, 0},
    [FAULT_GARBAGE] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_COUNT, 0},
    [FAULT_GAP] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_COUNT | FIELD_CONNECTIONS, 0},
    [FAULT_SLOW] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_MS | FIELD_DELAY | FIELD_CONNECTIONS,
                    FIELD_MS | FIELD_DELAY},
    [FAULT_REORDER] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_COUNT | FIELD_CONNECTIONS, 0},
    [FAULT_DUPLICATE] = {FIELD_SYMBOL | FIELD_CHANNEL | FIELD_COUNT | FIELD_CONNECTIONS, 0},
    [FAULT_CLOCK] = {FIELD_MS, FIELD_MS},
    [FAULT_MAINTENANCE] = {FIELD_MS, FIELD_MS},
    [FAULT_LEAVING] = {FIELD_MS, 0},
    [FAULT_HALT] = {FIELD_SYMBOL | FIELD_MS, FIELD_MS},
};

static struct slice text_of(const json_t *value)
{
    return (struct slice){.data = json_string_value(value), .size = json_string_length(value)};
}

static enum field field_of(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (slice_is(slice_of(name), fields[i].name))
            return fields[i].field;
    return 0;
}

static int number_read(json_t *root, const char *name, int64_t least, int64_t most,
                       int64_t *ret_value, struct err *err)
{
    const json_t *value = json_object_get(root, name);
    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return err_set(err, -EINVAL, "`%s` is an integer from %lld to %lld", name, (long long)least,
                       (long long)most);
    *ret_value = json_integer_value(value);
    return 0;
}

static int names_check(json_t *root, enum fault_kind kind, struct err *err)
{
    const char *name;
    json_t *value;
    unsigned there = 0;
    json_object_foreach(root, name, value)
    {
        enum field field = field_of(name);
        there |= field;
        if ((field & rules[kind].known) == 0 && !slice_is(slice_of(name), "exchange") &&
            !slice_is(slice_of(name), "kind"))
            return err_set(err, -EINVAL, "a fault `%s` has no field `%s`", fault_kind_name(kind),
                           name);
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if ((rules[kind].needed & ~there & fields[i].field) != 0)
            return err_set(err, -EINVAL, "a fault `%s` needs `%s`", fault_kind_name(kind),
                           fields[i].name);
    return 0;
}

static int scope_read(json_t *root, struct fault *fault, struct err *err)
{
    const json_t *symbol = json_object_get(root, "symbol");
    const json_t *channel = json_object_get(root, "channel");
    const json_t *connections = json_object_get(root, "connections");
    for (size_t i = 0; symbol != NULL && i < fault->exchange->market_count; i++)
        if (slice_is(text_of(symbol), fault->exchange->markets[i].symbol))
            fault->market = &fault->exchange->markets[i];
    if (symbol != NULL && fault->market == NULL)
        return err_set(err, -EINVAL, "`symbol`: %s has no such market; see /sim/markets",
                       fault->exchange->name);
    enum channel number;
    if (channel != NULL) {
        if (!channel_parse(text_of(channel), &number))
            return err_set(err, -EINVAL, "`channel` is trade, ticker, book, quote or other");
        fault->channel = (int)number;
    }
    if (connections == NULL || slice_is(text_of(connections), "all"))
        return 0;
    if (slice_is(text_of(connections), "old"))
        fault->connections = FAULT_OLD;
    else if (slice_is(text_of(connections), "one"))
        fault->connections = FAULT_ONE;
    else
        return err_set(err, -EINVAL, "`connections` is all, old or one");
    return 0;
}

/* Numbers, with what each kind takes when they are missing. */
static int numbers_read(json_t *root, struct fault *fault, struct err *err)
{
    int64_t ms = 0, count = 1, status = 429, retry = 1, code = 0, delay = 0;
    bool counts = (rules[fault->kind].known & FIELD_COUNT) != 0;
    bool shifts = fault->kind == FAULT_CLOCK;
    if (number_read(root, "ms", shifts ? -SHIFT_MS_MAX : 1, shifts ? SHIFT_MS_MAX : FAULT_MS_MAX,
                    &ms, err) < 0 ||
        number_read(root, "count", 1, FAULT_COUNT_MAX, &count, err) < 0 ||
        number_read(root, "status", 400, 599, &status, err) < 0 ||
        number_read(root, "retry_after", 1, FAULT_MS_MAX / 1000, &retry, err) < 0 ||
        number_read(root, "code", 1000, 4999, &code, err) < 0 ||
        number_read(root, "delay", 1, DELAY_MS_MAX, &delay, err) < 0)
        return -EINVAL;
    if (fault->kind == FAULT_BAN && ms == 0)
        ms = retry * 1000;
    if (fault->kind == FAULT_LEAVING && ms == 0)
        ms = LEAVING_MS;
    fault->count = counts ? count : -1;
    if ((fault->kind == FAULT_DISCONNECT || fault->kind == FAULT_CLOCK) && ms == 0)
        fault->count = 0; /* done at once */
    fault->shift_us = shifts ? ms * 1000 : 0;
    fault->ms = shifts ? 0 : (uint32_t)ms;
    fault->status = (uint32_t)status;
    fault->retry_after_s = (uint32_t)retry;
    fault->code = (uint16_t)code;
    fault->delay_ms = (uint32_t)delay;
    return 0;
}

static int root_read(json_t *root, fault_find_fn *find, void *context, struct fault *fault,
                     struct err *err)
{
    if (!json_is_object(root))
        return err_set(err, -EINVAL, "the body is no JSON object");
    fault->exchange = find(context, text_of(json_object_get(root, "exchange")));
    if (fault->exchange == NULL)
        return err_set(err, -EINVAL, "`exchange` is binance, upbit or bithumb");
    if (!fault_kind_parse(text_of(json_object_get(root, "kind")), &fault->kind))
        return err_set(err, -EINVAL,
                       "`kind` is disconnect, stall, ban, garbage, gap, slow, reorder, duplicate, "
                       "clock, maintenance, leaving or halt");
    if (names_check(root, fault->kind, err) < 0 || scope_read(root, fault, err) < 0)
        return -EINVAL;
    return numbers_read(root, fault, err);
}

int fault_read(struct slice json, fault_find_fn *find, void *context, struct fault *ret_fault,
               struct err *err)
{
    *ret_fault = (struct fault){.channel = -1};
    json_t *root =
        json_loadb(json.size == 0 ? "" : json.data, json.size, JSON_REJECT_DUPLICATES, NULL);
    int result = root_read(root, find, context, ret_fault, err);
    json_decref(root);
    return result;
}

static void random_bytes_append(uint64_t *random, struct buffer *out)
{
    int64_t size = 1 + flow_random_below(random, 300);
    for (int64_t i = 0; i < size; i++) {
        char byte = (char)flow_random(random);
        buffer_append(out, &byte, 1);
    }
}

void fault_garbage(unsigned kind, uint64_t *random, struct buffer *out, bool *ret_binary)
{
    static const char *const texts[FAULT_GARBAGE_KINDS - 2] = {
        "",
        "{",
        "null",
        "[]",
        "{\"e\":\"somethingNew\",\"type\":\"somethingNew\",\"x\":[1,2,3]}",
        "{\"error\":{\"name\":\"SOMETHING_ELSE\",\"message\":\"?\",\"code\":-1}}",
        "\"just a text\"",
        "{\"stream\":5,\"data\":\"?\",\"type\":[],\"e\":{}}"};
    assert(kind < FAULT_GARBAGE_KINDS);
    *ret_binary = false;
    if (kind < COUNT_OF(texts))
        buffer_append_text(out, texts[kind]);
    else if (kind == COUNT_OF(texts)) {
        for (int i = 0; i < DEEP; i++)
            buffer_append_text(out, "[");
    } else {
        random_bytes_append(random, out);
        *ret_binary = true;
    }
}
