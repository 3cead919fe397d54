/* SPDX-License-Identifier: Apache-2.0 */
/* Cut first, unescape then: an escaped separator is part of a value, where no value may have it. */
#include "admin/rest_query.h"

#include "base/buffer.h"
#include "net/http.h"

#include <assert.h>
#include <errno.h>

#define ECHO_MAX 40      /* bytes of somebody's input that go into a sentence */
#define EXPECTED_MAX 120 /* bytes of the list of what is expected */

static struct slice cut(struct slice text)
{
    return (struct slice){.data = text.data, .size = text.size < ECHO_MAX ? text.size : ECHO_MAX};
}

/* ---- values ---- */

static bool exchange_read(const char *text, struct rest_query *query)
{
    for (const char *at = text; *at != '\0'; at++) {
        bool letter = *at >= 'a' && *at <= 'z';
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && !digit && *at != '_')
            return false;
    }
    return text[0] != '\0' && slice_copy(slice_of(text), query->exchange, sizeof query->exchange);
}

static bool number_read(const char *text, uint32_t max, struct rest_query *query)
{
    uint64_t number;
    if (text[0] == '0' || !slice_to_uint64(slice_of(text), max, &number))
        return false;
    query->number = (uint32_t)number;
    return true;
}

/* raw: as sent. False, and nothing changed, when it is none of this kind. */
static bool value_read(enum rest_kind kind, uint32_t max, struct slice raw,
                       struct rest_query *query)
{
    char text[LIMIT_SYMBOL];
    static_assert(sizeof text > REST_EXCHANGE_MAX, "the longest value fits");
    if (!http_percent_decode(raw, text, sizeof text))
        return false;
    switch (kind) {
    case REST_EXCHANGE:
        return exchange_read(text, query);
    case REST_SYMBOL:
        return symbol_read(slice_of(text), &query->symbol);
    case REST_NUMBER:
        return number_read(text, max, query);
    }
    return false;
}

static int refuse_value(enum rest_kind kind, uint32_t max, struct slice raw, struct err *err)
{
    struct slice echo = cut(raw);
    switch (kind) {
    case REST_EXCHANGE:
        return err_set(err, -EINVAL, "`%.*s`: expected an exchange, 1 to %u of a-z, 0-9 and _",
                       (int)echo.size, echo.data, REST_EXCHANGE_MAX);
    case REST_SYMBOL:
        return err_set(err, -EINVAL, "`%.*s`: expected a symbol, BASE-QUOTE in upper case",
                       (int)echo.size, echo.data);
    case REST_NUMBER:
        return err_set(err, -EINVAL, "`%.*s`: expected a whole number, 1 to %u", (int)echo.size,
                       echo.data, max);
    }
    return -EINVAL;
}

/* ---- queries ---- */

static int refuse_name(struct slice name, const struct rest_parameter *parameters, size_t count,
                       struct err *err)
{
    struct buffer expected;
    struct slice echo = cut(name);
    buffer_init(&expected, EXPECTED_MAX);
    for (size_t i = 0; i < count; i++)
        buffer_append_format(&expected, "%s%s", i == 0 ? "" : ", ", parameters[i].name);
    int result = err_set(err, -EINVAL, "unknown parameter `%.*s`: expected %s", (int)echo.size,
                         echo.data, count == 0 ? "none" : expected.data);
    buffer_release(&expected);
    return result;
}

static int part_read(struct slice part, const struct rest_parameter *parameters, size_t count,
                     uint32_t *seen, struct rest_query *query, struct err *err)
{
    struct slice value;
    struct slice name = slice_split(part, '=', &value);
    size_t index = 0;
    while (index < count && !slice_is(name, parameters[index].name))
        index++;
    if (index == count)
        return refuse_name(name, parameters, count, err);
    const struct rest_parameter *parameter = &parameters[index];
    uint32_t bit = 1u << index;
    if ((*seen & bit) != 0)
        return err_set(err, -EINVAL, "`%s` is given twice: expected once", parameter->name);
    *seen |= bit;
    if (value_read(parameter->kind, parameter->max, value, query))
        return 0;
    refuse_value(parameter->kind, parameter->max, value, err);
    return err_wrap(err, parameter->name);
}

int rest_query_read(struct slice query, const struct rest_parameter *parameters, size_t count,
                    struct rest_query *ret_query, struct err *err)
{
    assert(count < 32);
    struct slice rest = query;
    uint32_t seen = 0;
    bool more = query.size > 0;
    while (more) {
        size_t before = rest.size;
        struct slice part = slice_split(rest, '&', &rest);
        more = part.size < before; /* an '&' stood behind it: another part follows, if empty */
        int result = part_read(part, parameters, count, &seen, ret_query, err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* ---- paths ---- */

int rest_pair_read(struct slice path, struct rest_query *ret_query, struct err *err)
{
    struct slice symbol;
    struct slice exchange = slice_split(path, '/', &symbol);
    if (exchange.size == 0 || symbol.size == 0 || memchr(symbol.data, '/', symbol.size) != NULL)
        return err_set(err, -ENOENT, "expected {exchange}/{symbol} at the end of this path");
    if (!value_read(REST_EXCHANGE, 0, exchange, ret_query))
        return refuse_value(REST_EXCHANGE, 0, exchange, err);
    if (!value_read(REST_SYMBOL, 0, symbol, ret_query))
        return refuse_value(REST_SYMBOL, 0, symbol, err);
    return 0;
}
