/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what a client of a quotation venue asks for. */
#include "sim/quotation_request.h"
#include "base/memory.h"
#include "sim/write.h"

#include <string.h>

#define CODE_MAX 64
#define LIST_ENTRIES_MAX 64   /* of types in one request */
#define LEVEL_SCALED_MAX 1e15 /* a group of prices is no price: a double has it exactly */
#define LEVEL_STEPS 3         /* 10, 100 and 1,000 ticks */

static const struct {
    const char *name;
    int64_t seconds;
} candle_kinds[QUOTATION_CANDLES] = {
    {"candle.1s", 1},       {"candle.1m", 60},    {"candle.3m", 180},   {"candle.5m", 300},
    {"candle.10m", 600},    {"candle.15m", 900},  {"candle.30m", 1800}, {"candle.60m", 3600},
    {"candle.240m", 14400}, {"candle.1d", 86400},
};

static const struct {
    const char *name, *message;
} error_texts[] = {
    [QUOTATION_GOOD] = {"", ""},
    [QUOTATION_WRONG_FORMAT] = {"WRONG_FORMAT", "Format이 맞지 않습니다."},
    [QUOTATION_NO_TICKET] = {"NO_TICKET", "티켓이 존재하지 않거나 유효하지 않습니다."},
    [QUOTATION_NO_TYPE] = {"NO_TYPE", "type 필드가 존재하지 않습니다."},
    [QUOTATION_NO_CODES] = {"NO_CODES", "codes 필드가 존재하지 않습니다."},
    [QUOTATION_INVALID_PARAM] = {"INVALID_PARAM", "지원하지 않는 파라미터입니다."},
};

const char *quotation_candle_name(unsigned candle)
{
    assert(candle < QUOTATION_CANDLES);
    return candle_kinds[candle].name;
}

int64_t quotation_candle_seconds(unsigned candle)
{
    assert(candle < QUOTATION_CANDLES);
    return candle_kinds[candle].seconds;
}

/* 0: there is no such type. */
static unsigned stream_of(const struct quotation_style *style, const char *type)
{
    if (strcmp(type, "trade") == 0)
        return QUOTATION_TRADE;
    if (strcmp(type, "ticker") == 0)
        return QUOTATION_TICKER;
    if (strcmp(type, "orderbook") == 0)
        return QUOTATION_BOOK;
    for (unsigned i = 0; style->candles && i < QUOTATION_CANDLES; i++)
        if (strcmp(type, candle_kinds[i].name) == 0)
            return (unsigned)QUOTATION_CANDLE << i;
    return 0;
}

static bool flag_of(const json_t *object, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (json_is_true(json_object_get(object, names[i])))
            return true;
    return false;
}

int64_t quotation_level_ticks(const struct market *market, const json_t *level,
                              int64_t level_default)
{
    if (level == NULL)
        return 1;
    double scaled = json_number_value(level) * (double)write_power(market->price_scale);
    if (!json_is_number(level) || !(scaled >= 0 && scaled < LEVEL_SCALED_MAX))
        return 0;
    int64_t asked = (int64_t)(scaled + 0.5);
    if (asked == level_default * write_power(market->price_scale))
        return 1;
    if (strcmp(market->quote, "KRW") != 0)
        return 0;
    int64_t group = 1;
    for (int i = 0; i < LEVEL_STEPS; i++) {
        group *= 10;
        if (market_price(market, group) == asked)
            return group;
    }
    return 0;
}

/* What stands behind the point of a code, as a number of units. */
static unsigned units_of(const struct quotation_style *style, struct slice suffix)
{
    uint64_t asked = 0;
    if (!slice_to_uint64(suffix, UINT32_MAX, &asked) || asked == 0)
        return style->units_max;
    for (size_t i = 0; style->unit_counts[i] != 0; i++)
        if (style->unit_counts[i] == asked)
            return (unsigned)asked;
    bool listed = style->unit_counts[0] != 0;
    return listed || asked > style->units_max ? style->units_max : (unsigned)asked;
}

/* Unknown codes are passed over without a word. */
static enum quotation_error code_add(const struct quotation_style *style,
                                     const struct exchange *exchange, const json_t *entry,
                                     struct slice code, struct quotation_subscription *subscription)
{
    unsigned stream = stream_of(style, json_string_value(json_object_get(entry, "type")));
    struct slice suffix = {0};
    struct slice name = stream == QUOTATION_BOOK ? slice_split(code, '.', &suffix) : code;
    const struct market *market = exchange_market(exchange, name);
    if (market == NULL)
        return QUOTATION_GOOD;
    int64_t level =
        quotation_level_ticks(market, json_object_get(entry, "level"), style->level_default);
    if (stream == QUOTATION_BOOK && level == 0)
        return style->level_strict ? QUOTATION_WRONG_FORMAT : QUOTATION_GOOD;
    struct quotation_wish *wish = &subscription->wishes[market->index];
    if ((wish->live & stream) == 0)
        subscription->streams++;
    if (!flag_of(entry, style->only_snapshot))
        wish->live = (uint16_t)(wish->live | stream);
    if (!flag_of(entry, style->only_realtime))
        wish->once = (uint16_t)(wish->once | stream);
    if (stream == QUOTATION_BOOK) {
        wish->units = (uint8_t)units_of(style, suffix);
        wish->level = level;
    }
    return QUOTATION_GOOD;
}

static enum quotation_error type_read(const struct quotation_style *style,
                                      const struct exchange *exchange, const json_t *entry,
                                      struct quotation_subscription *subscription)
{
    const char *type = json_string_value(json_object_get(entry, "type"));
    const json_t *codes = json_object_get(entry, "codes");
    if (type == NULL)
        return style->no_type;
    if (stream_of(style, type) == 0)
        return QUOTATION_INVALID_PARAM;
    if (json_array_size(codes) == 0)
        return style->no_codes;
    enum quotation_error error = QUOTATION_GOOD;
    for (size_t i = 0; error == QUOTATION_GOOD && i < json_array_size(codes); i++) {
        const char *code = json_string_value(json_array_get(codes, i));
        error = code == NULL ? QUOTATION_WRONG_FORMAT
                             : code_add(style, exchange, entry, slice_of(code), subscription);
    }
    return error;
}

static enum quotation_error format_read(const struct quotation_style *style, const json_t *value,
                                        struct quotation_request *request)
{
    static const char *const names[] = {"DEFAULT", "SIMPLE", "JSON_LIST", "SIMPLE_LIST"};
    const char *name = json_string_value(value);
    size_t known = style->lists ? COUNT_OF(names) : 2;
    for (size_t i = 0; name != NULL && i < known; i++) {
        if (strcmp(name, names[i]) != 0)
            continue;
        request->subscription.format = (enum quotation_format)i;
        request->has_format = true;
        return QUOTATION_GOOD;
    }
    return style->format_strict ? QUOTATION_INVALID_PARAM : QUOTATION_GOOD;
}

/* Objects come in any order; one may say several things. */
static enum quotation_error object_read(const struct quotation_style *style,
                                        const struct exchange *exchange, const json_t *object,
                                        struct quotation_request *request, bool *typed)
{
    const json_t *format = json_object_get(object, "format");
    const json_t *method = json_object_get(object, "method");
    if (!json_is_object(object))
        return QUOTATION_WRONG_FORMAT;
    if (format != NULL)
        return format_read(style, format, request);
    if (method != NULL) {
        const char *name = json_string_value(method);
        request->list = name != NULL && strcmp(name, "LIST_SUBSCRIPTIONS") == 0;
        return request->list ? QUOTATION_GOOD : QUOTATION_INVALID_PARAM;
    }
    if (json_object_get(object, "ticket") != NULL && json_object_get(object, "type") == NULL)
        return QUOTATION_GOOD;
    *typed = true;
    return type_read(style, exchange, object, &request->subscription);
}

static bool ticket_read(const json_t *array, struct quotation_request *request)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *ticket = json_object_get(json_array_get(array, i), "ticket");
        if (json_is_string(ticket) && json_string_length(ticket) > 0)
            return slice_copy(slice_of(json_string_value(ticket)), request->ticket,
                              sizeof request->ticket);
    }
    return false;
}

static enum quotation_error array_read(const struct quotation_style *style,
                                       const struct exchange *exchange, const json_t *array,
                                       struct quotation_request *request)
{
    bool typed = false;
    if (!json_is_array(array) || json_array_size(array) > LIST_ENTRIES_MAX)
        return QUOTATION_WRONG_FORMAT;
    if (!ticket_read(array, request))
        return QUOTATION_NO_TICKET;
    for (size_t i = 0; i < json_array_size(array); i++) {
        enum quotation_error error =
            object_read(style, exchange, json_array_get(array, i), request, &typed);
        if (error != QUOTATION_GOOD)
            return error;
    }
    return typed || request->list ? QUOTATION_GOOD : style->no_type;
}

enum quotation_error quotation_request_read(const struct quotation_style *style,
                                            const struct exchange *exchange, struct slice text,
                                            struct quotation_request *ret_request)
{
    struct quotation_request request = {0};
    request.subscription.wishes =
        memory_array(exchange->market_count + 1, sizeof *request.subscription.wishes);
    request.subscription.request = json_loadb(text.data, text.size, 0, NULL);
    enum quotation_error error =
        array_read(style, exchange, request.subscription.request, &request);
    if (error == QUOTATION_GOOD)
        *ret_request = request;
    else
        quotation_subscription_release(&request.subscription);
    return error;
}

void quotation_subscription_release(struct quotation_subscription *subscription)
{
    memory_free(subscription->wishes);
    json_decref(subscription->request);
    *subscription = (struct quotation_subscription){0};
}

static void list_entry_write(const json_t *entry, bool simple, struct buffer *out)
{
    const json_t *codes = json_object_get(entry, "codes");
    buffer_append_text(out, simple ? "{\"ty\":" : "{\"type\":");
    write_text(out, slice_of(json_string_value(json_object_get(entry, "type"))));
    buffer_append_text(out, simple ? ",\"cds\":[" : ",\"codes\":[");
    for (size_t i = 0; i < json_array_size(codes); i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        write_text(out, slice_of(json_string_value(json_array_get(codes, i))));
    }
    buffer_append_text(out, simple ? "],\"lv\":" : "],\"level\":");
    write_integer(out, json_integer_value(json_object_get(entry, "level")));
    buffer_append_text(out, ".0}");
}

void quotation_list_write(const struct quotation_subscription *subscription, const char *ticket,
                          struct buffer *out)
{
    bool simple =
        subscription->format == QUOTATION_SIMPLE || subscription->format == QUOTATION_SIMPLE_LIST;
    const char *separator = "";
    buffer_append_text(out, simple ? "{\"mthd\":\"LIST_SUBSCRIPTIONS\",\"rslt\":["
                                   : "{\"method\":\"LIST_SUBSCRIPTIONS\",\"result\":[");
    for (size_t i = 0; i < json_array_size(subscription->request); i++) {
        const json_t *entry = json_array_get(subscription->request, i);
        if (json_object_get(entry, "type") == NULL)
            continue;
        buffer_append_text(out, separator);
        list_entry_write(entry, simple, out);
        separator = ",";
    }
    buffer_append_text(out, simple ? "],\"tckt\":" : "],\"ticket\":");
    write_text(out, slice_of(ticket));
    buffer_append_text(out, "}");
}

void quotation_error_write(enum quotation_error error, bool message_first, struct buffer *out)
{
    const char *name = error_texts[error].name;
    const char *message = error_texts[error].message;
    if (message_first)
        buffer_append_format(out, "{\"error\":{\"message\":\"%s\",\"name\":\"%s\"}}", message,
                             name);
    else
        buffer_append_format(out, "{\"error\":{\"name\":\"%s\",\"message\":\"%s\"}}", name,
                             message);
}
