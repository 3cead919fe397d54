/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of Binance asks for: streams in the path, and requests in JSON. Errors are wrapped,
 * as on the wire: {"error":{"code":2,"msg":"..."},"id":1}. */
#include "sim/venue_binance_priv.h"

#include "base/memory.h"

#include <jansson.h>

#define ACK_DELAY_MS 30 /* acks come late, behind data, as often as not */
#define ID_MAX 36
#define CODE_PROPERTY 0
#define CODE_TYPE 1
#define CODE_REQUEST 2
#define CODE_JSON 3
#define CLOSE_ILLEGAL 3001
#define CLOSE_POLICY 1008

bool binance_is_stream(struct slice path)
{
    return slice_is(path, "/ws") || slice_is(path, "/stream") ||
           slice_starts_with(path, SLICE("/ws/"));
}

/* ---- stream names ---- */

static bool interval_find(struct slice name, unsigned *ret_interval)
{
    for (unsigned i = 0; i < BINANCE_INTERVALS; i++)
        if (slice_is(name, binance_intervals[i])) {
            *ret_interval = i;
            return true;
        }
    return false;
}

/* "depth", "depth5", "depth@100ms", "depth20@1000ms". */
static void depth_read(struct binance_stream *stream, struct slice type, struct slice speed)
{
    struct slice levels = {type.data + 5, type.size - 5};
    if (!slice_is(speed, "") && !slice_is(speed, "100ms") && !slice_is(speed, "1000ms"))
        return;
    stream->fast = slice_is(speed, "100ms");
    if (levels.size == 0)
        stream->kind = BINANCE_DEPTH;
    else if (slice_is(levels, "5") || slice_is(levels, "10") || slice_is(levels, "20")) {
        uint64_t number = 0;
        stream->kind = slice_to_uint64(levels, 20, &number) ? BINANCE_PARTIAL : BINANCE_SILENT;
        stream->parameter = (unsigned)number;
    }
}

static const struct market *market_of(const struct exchange *exchange, struct slice lower)
{
    char native[2 * MARKET_NAME_MAX];
    if (lower.size >= sizeof native)
        return NULL;
    for (size_t i = 0; i < lower.size; i++) {
        char letter = lower.data[i];
        if (letter >= 'A' && letter <= 'Z')
            return NULL; /* stream names are lower case */
        native[i] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    return exchange_market(exchange, (struct slice){native, lower.size});
}

static void type_read(struct binance_stream *stream, struct slice type, struct slice rest)
{
    static const struct {
        const char *name;
        enum binance_kind kind;
    } types[] = {{"trade", BINANCE_TRADE},
                 {"aggTrade", BINANCE_AGG_TRADE},
                 {"ticker", BINANCE_TICKER},
                 {"miniTicker", BINANCE_MINI_TICKER},
                 {"bookTicker", BINANCE_BOOK_TICKER}};
    for (size_t i = 0; rest.size == 0 && i < COUNT_OF(types); i++)
        if (slice_is(type, types[i].name))
            stream->kind = types[i].kind;
    if (slice_starts_with(type, SLICE("depth")))
        depth_read(stream, type, rest);
    if (slice_starts_with(type, SLICE("kline_")) && rest.size == 0 &&
        interval_find((struct slice){type.data + 6, type.size - 6}, &stream->parameter))
        stream->kind = BINANCE_KLINE;
}

/* False: it is no name of a stream at all. */
static bool stream_read(const struct exchange *exchange, struct slice name,
                        struct binance_stream *ret_stream)
{
    struct slice rest, more;
    *ret_stream = (struct binance_stream){.kind = BINANCE_SILENT};
    if (name.size == 0 || memchr(name.data, '@', name.size) == NULL ||
        !slice_copy(name, ret_stream->name, sizeof ret_stream->name))
        return false;
    struct slice symbol = slice_split(name, '@', &rest);
    struct slice type = slice_split(rest, '@', &more);
    if (symbol.size == 0 || type.size == 0)
        return false;
    if (slice_is(name, "!miniTicker@arr"))
        ret_stream->kind = BINANCE_MINI_TICKERS;
    else if (slice_is(name, "!ticker@arr"))
        ret_stream->kind = BINANCE_TICKERS;
    ret_stream->market = market_of(exchange, symbol);
    if (ret_stream->market != NULL)
        type_read(ret_stream, type, more);
    return true;
}

/* ---- what a connection has ---- */

static size_t stream_find(const struct binance_connection *state, const char *name)
{
    size_t at = 0;
    while (at < state->count && strcmp(state->streams[at].name, name) != 0)
        at++;
    return at;
}

/* False: they were too many, and the connection is closed. */
static bool stream_add(struct venue_connection *connection, const struct binance_stream *stream)
{
    struct binance_connection *state = venue_connection_own(connection);
    if (stream_find(state, stream->name) < state->count)
        return true;
    if (!venue_connection_streams(connection, state->count + 1)) {
        venue_connection_close(connection, CLOSE_POLICY, "Too many streams", 0);
        return false;
    }
    if (state->count == state->capacity) {
        state->capacity = state->capacity == 0 ? 8 : 2 * state->capacity;
        state->streams = memory_resize(state->streams, state->capacity, sizeof *state->streams);
    }
    state->streams[state->count++] = *stream;
    return true;
}

static void stream_remove(struct venue_connection *connection, const char *name)
{
    struct binance_connection *state = venue_connection_own(connection);
    size_t at = stream_find(state, name);
    if (at == state->count)
        return;
    state->count--;
    memmove(&state->streams[at], &state->streams[at + 1],
            (state->count - at) * sizeof state->streams[0]);
    bool fits = venue_connection_streams(connection, state->count);
    (void)fits; /* fewer than before */
}

void binance_on_closed(struct venue_connection *connection)
{
    struct binance_connection *state = venue_connection_own(connection);
    memory_free(state->streams);
}

void binance_on_open(struct venue_connection *connection, struct slice path, struct slice query)
{
    struct binance_connection *state = venue_connection_own(connection);
    const struct exchange *exchange = venue_connection_run(connection)->exchange;
    char names[LIMIT_HTTP_TARGET] = "", unit[16] = "";
    bool there, good;
    state->combined = slice_is(path, "/stream");
    good = http_query_find(query, "timeUnit", unit, sizeof unit, &there);
    state->microseconds =
        good && (strcmp(unit, "MICROSECOND") == 0 || strcmp(unit, "microsecond") == 0);
    if (state->combined)
        good = http_query_find(query, "streams", names, sizeof names, &there);
    else if (path.size > 4)
        good =
            http_percent_decode((struct slice){path.data + 4, path.size - 4}, names, sizeof names);
    struct slice rest = slice_of(good ? names : "");
    while (rest.size > 0) {
        struct binance_stream stream;
        struct slice name = slice_split(rest, '/', &rest);
        if (stream_read(exchange, name, &stream) && !stream_add(connection, &stream))
            return;
    }
}

/* ---- answers ---- */

static void id_write(const json_t *id, struct buffer *out)
{
    if (json_is_integer(id))
        write_integer(out, json_integer_value(id));
    else if (json_is_string(id))
        write_text(out, (struct slice){json_string_value(id), json_string_length(id)});
    else
        buffer_append_text(out, "null");
}

static void answer(struct venue_connection *connection, const char *result, const json_t *id)
{
    struct venue_run *run = venue_connection_run(connection);
    buffer_clear(&run->scratch);
    buffer_append_format(&run->scratch, "{\"result\":%s,\"id\":", result);
    id_write(id, &run->scratch);
    buffer_append_text(&run->scratch, "}");
    uint32_t delay_ms = (uint32_t)flow_random_below(&run->random, ACK_DELAY_MS);
    venue_connection_answer(connection, buffer_slice(&run->scratch), false, delay_ms);
}

static void fail(struct venue_connection *connection, int code, const char *text, const json_t *id)
{
    struct venue_run *run = venue_connection_run(connection);
    bool swapped = flow_random_below(&run->random, 2) == 0;
    buffer_clear(&run->scratch);
    if (swapped) {
        buffer_append_text(&run->scratch, "{\"id\":");
        id_write(id, &run->scratch);
        buffer_append_text(&run->scratch, ",");
    } else
        buffer_append_text(&run->scratch, "{");
    buffer_append_format(&run->scratch, "\"error\":{\"code\":%d,\"msg\":\"%s\"}", code, text);
    if (!swapped) {
        buffer_append_text(&run->scratch, ",\"id\":");
        id_write(id, &run->scratch);
    }
    buffer_append_text(&run->scratch, "}");
    venue_bad_request(run);
    venue_connection_answer(connection, buffer_slice(&run->scratch), false, 0);
}

/* ---- requests ---- */

static bool names_check(struct venue_connection *connection, const json_t *params, const json_t *id)
{
    const struct exchange *exchange = venue_connection_run(connection)->exchange;
    size_t count = json_array_size(params);
    if (!json_is_array(params) || count == 0) {
        fail(connection, CODE_REQUEST, "Invalid request: missing field `params`", id);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(params, i);
        struct binance_stream stream;
        if (!json_is_string(name)) {
            fail(connection, CODE_REQUEST, "Invalid request: request ID or params of a wrong type",
                 id);
            return false;
        }
        if (!stream_read(exchange, slice_of(json_string_value(name)), &stream)) {
            fail(connection, CODE_REQUEST, "Invalid request: invalid stream", id);
            return false;
        }
    }
    return true;
}

/* All or nothing. Data may come before the ack. */
static void on_subscribe(struct venue_connection *connection, const json_t *params,
                         const json_t *id)
{
    const struct exchange *exchange = venue_connection_run(connection)->exchange;
    if (!names_check(connection, params, id))
        return;
    for (size_t i = 0; i < json_array_size(params); i++) {
        struct binance_stream stream;
        struct slice name = slice_of(json_string_value(json_array_get(params, i)));
        if (stream_read(exchange, name, &stream) && !stream_add(connection, &stream))
            return;
    }
    answer(connection, "null", id);
}

static void on_unsubscribe(struct venue_connection *connection, const json_t *params,
                           const json_t *id)
{
    if (!names_check(connection, params, id))
        return;
    for (size_t i = 0; i < json_array_size(params); i++)
        stream_remove(connection, json_string_value(json_array_get(params, i)));
    answer(connection, "null", id);
}

static void on_list(struct venue_connection *connection, const json_t *params, const json_t *id)
{
    struct binance_connection *state = venue_connection_own(connection);
    struct buffer list;
    (void)params;
    buffer_init(&list, LIMIT_REQUEST);
    buffer_append_text(&list, "[");
    for (size_t i = 0; i < state->count; i++) {
        buffer_append_text(&list, i == 0 ? "" : ",");
        write_text(&list, slice_of(state->streams[i].name));
    }
    buffer_append_text(&list, "]");
    /* Not by way of the format, whose text is short. */
    struct venue_run *run = venue_connection_run(connection);
    buffer_clear(&run->scratch);
    buffer_append_text(&run->scratch, "{\"result\":");
    buffer_append_slice(&run->scratch, buffer_slice(&list));
    buffer_append_text(&run->scratch, ",\"id\":");
    id_write(id, &run->scratch);
    buffer_append_text(&run->scratch, "}");
    venue_connection_answer(connection, buffer_slice(&run->scratch), false, 0);
    buffer_release(&list);
}

static bool is_combined(const json_t *name)
{
    return json_is_string(name) && strcmp(json_string_value(name), "combined") == 0;
}

static void on_set_property(struct venue_connection *connection, const json_t *params,
                            const json_t *id)
{
    struct binance_connection *state = venue_connection_own(connection);
    const json_t *value = json_array_get(params, 1);
    if (!is_combined(json_array_get(params, 0))) {
        fail(connection, CODE_PROPERTY, "Unknown property", id);
        return;
    }
    if (!json_is_boolean(value)) {
        fail(connection, CODE_TYPE, "Invalid value type: expected Boolean", id);
        return;
    }
    state->combined = json_is_true(value);
    answer(connection, "null", id);
}

static void on_get_property(struct venue_connection *connection, const json_t *params,
                            const json_t *id)
{
    const struct binance_connection *state = venue_connection_own(connection);
    if (is_combined(json_array_get(params, 0)))
        answer(connection, state->combined ? "true" : "false", id);
    else
        fail(connection, CODE_PROPERTY, "Unknown property", id);
}

static void dispatch(struct venue_connection *connection, const json_t *root)
{
    static const struct {
        const char *name;
        void (*handle)(struct venue_connection *, const json_t *params, const json_t *id);
    } methods[] = {{"SUBSCRIBE", on_subscribe},
                   {"UNSUBSCRIBE", on_unsubscribe},
                   {"LIST_SUBSCRIPTIONS", on_list},
                   {"SET_PROPERTY", on_set_property},
                   {"GET_PROPERTY", on_get_property}};
    const json_t *id = json_object_get(root, "id");
    const json_t *method = json_object_get(root, "method");
    bool good_id = id == NULL || json_is_null(id) || json_is_integer(id) ||
                   (json_is_string(id) && json_string_length(id) <= ID_MAX);
    if (!good_id) {
        fail(connection, CODE_REQUEST,
             "Invalid request: request ID must be an integer, a string of 36 characters, or null",
             NULL);
        return;
    }
    if (!json_is_string(method)) {
        fail(connection, CODE_REQUEST, "Invalid request: missing field `method`", id);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (strcmp(json_string_value(method), methods[i].name) == 0) {
            methods[i].handle(connection, json_object_get(root, "params"), id);
            return;
        }
    fail(connection, CODE_REQUEST,
         "Invalid request: unknown variant, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, "
         "`LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`",
         id);
}

void binance_on_message(struct venue_connection *connection, struct slice text)
{
    struct venue_run *run = venue_connection_run(connection);
    if (run->limits.request_size != 0 && text.size > run->limits.request_size) {
        venue_broken(run, BROKEN_STREAMS);
        venue_connection_close(connection, CLOSE_ILLEGAL, "illegal request", 0);
        return;
    }
    json_t *root = json_loadb(text.size == 0 ? "" : text.data, text.size, 0, NULL);
    if (root == NULL)
        fail(connection, CODE_JSON, "Invalid JSON: expected value at line 1 column 1", NULL);
    else if (!json_is_object(root))
        fail(connection, CODE_REQUEST, "Invalid request: expected struct Request", NULL);
    else
        dispatch(connection, root);
    json_decref(root);
}
