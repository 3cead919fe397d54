/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each read is the same walk: the query, what there is, its entity tag, and only when the asker has
 * not got it already, the body. A tag of market data is the stream's id, the epoch that the log
 * is in (by which a seq names one message, as in tokens), and the seq at which the data last
 * changed (and how many messages there are, as a node that started later keeps fewer); what does
 * not come from the stream is tagged by a hash of its bytes.
 */
#include "admin/rest.h"

#include "admin/json_text.h"
#include "admin/rest_query.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define ETAG_MAX (LIMIT_STREAM_ID + 64)
#define NO_CACHE "Cache-Control: no-cache\r\n"
#define NO_STORE "Cache-Control: no-store\r\n"
#define PROBLEM_TEXT_MAX (LIMIT_REASON + 200)

#define PATH_EXCHANGES "/api/v1/exchanges"
#define PATH_MARKETS "/api/v1/markets"
#define PATH_TICKERS "/api/v1/tickers"
#define PATH_TRADES "/api/v1/trades/"
#define PATH_BOOKS "/api/v1/books/"

struct rest {
    struct admin_options options;
};

/* One request on its way. */
struct asked {
    struct rest *rest;
    struct http_connection *connection;
    const struct http_head *request;
    struct rest_query query;
};

/* ---- answers ---- */

static void answer_problem(const struct asked *asked, unsigned status, const char *detail)
{
    http_answer_problem_with(asked->connection, status, NO_STORE, detail);
}

static void answer_err(const struct asked *asked, const struct err *err)
{
    answer_problem(asked, err->code == -ENOENT ? 404 : 400, err->text);
}

static void write_headers(char out[ETAG_MAX + 64], const char *etag)
{
    snprintf(out, ETAG_MAX + 64, NO_CACHE "ETag: %s\r\n", etag);
}

/* True when the asker has it already, and has been told so. */
static bool answered_unchanged(const struct asked *asked, const char *etag)
{
    char headers[ETAG_MAX + 64];
    if (!http_etag_matches(asked->request, slice_of(etag)))
        return false;
    write_headers(headers, etag);
    http_answer(asked->connection, 304, NULL, headers, (struct slice){.data = NULL});
    return true;
}

static void answer_json(const struct asked *asked, const char *etag, const struct buffer *body)
{
    char headers[ETAG_MAX + 64];
    if (body->overflowed) {
        answer_problem(asked, 500, "the answer is too large: ask for less, as of one exchange");
        return;
    }
    write_headers(headers, etag);
    http_answer(asked->connection, 200, "application/json", headers, buffer_slice(body));
}

static void write_etag(char out[ETAG_MAX], const struct rest *rest, int64_t seq, uint32_t count)
{
    snprintf(out, ETAG_MAX, "\"%s.%lld.%lld.%u\"", rest->options.stream,
             (long long)keeper_epoch(rest->options.keeper), (long long)seq, count);
}

/* How every answer begins. */
static void append_start(struct buffer *out, const struct rest *rest)
{
    buffer_append_format(out, "{\"stream\":\"%s\",%s", rest->options.stream,
                         rest->options.simulated ? "\"simulated\":true," : "");
}

/* Of what is no part of the stream. */
static void answer_hashed(const struct asked *asked, const struct buffer *body)
{
    char etag[ETAG_MAX];
    snprintf(etag, sizeof etag, "\"%s-%016llx\"", asked->rest->options.stream,
             (unsigned long long)slice_hash(buffer_slice(body)));
    if (body->overflowed || !answered_unchanged(asked, etag))
        answer_json(asked, etag, body);
}

/* ---- what is asked ---- */

/* False when it has been refused. */
static bool read_query(struct asked *asked, const struct rest_parameter *parameters, size_t count)
{
    struct err err = {0};
    if (rest_query_read(asked->request->query, parameters, count, &asked->query, &err) == 0)
        return true;
    answer_err(asked, &err);
    return false;
}

static bool read_pair(struct asked *asked, const char *prefix)
{
    struct err err = {0};
    struct slice path = asked->request->path;
    size_t size = strlen(prefix);
    assert(path.size >= size);
    path = (struct slice){.data = path.data + size, .size = path.size - size};
    if (rest_pair_read(path, &asked->query, &err) == 0)
        return true;
    answer_err(asked, &err);
    return false;
}

static struct keeper_pair pair_of(const struct rest_query *query)
{
    return (struct keeper_pair){.exchange = slice_of(query->exchange),
                                .symbol = symbol_slice(&query->symbol)};
}

/* ---- what is collected ---- */

static void append_channels(struct buffer *out, const char *const *channels)
{
    buffer_append_text(out, "\"channels\":[");
    for (size_t i = 0; channels[i] != NULL; i++)
        buffer_append_format(out, "%s\"%s\"", i == 0 ? "" : ",", channels[i]);
    buffer_append_text(out, "]");
}

static void append_exchange(struct buffer *out, const struct admin_exchange *exchange)
{
    buffer_append_format(out, "{\"name\":\"%s\",\"state\":\"%s\",\"since\":%lld,\"age_ms\":",
                         exchange->name, exchange->state, (long long)exchange->since_us);
    if (exchange->age_ms < 0)
        buffer_append_text(out, "null");
    else
        buffer_append_format(out, "%lld", (long long)exchange->age_ms);
    buffer_append_format(out, ",\"connections\":%u,", exchange->connections);
    append_channels(out, exchange->channels);
    buffer_append_format(out, ",\"symbols\":%zu,\"stale\":%u,\"quarantined\":%u,\"reason\":",
                         exchange->symbol_count, exchange->stale, exchange->quarantined);
    json_append_text(out, exchange->reason[0] == '\0' ? NULL : exchange->reason);
    buffer_append_text(out, "}");
}

static void rest_exchanges(void *context, struct http_connection *connection,
                           const struct http_head *request)
{
    struct asked asked = {.rest = context, .connection = connection, .request = request};
    const struct admin_options *options = &asked.rest->options;
    if (!read_query(&asked, NULL, 0))
        return;
    struct admin_health health = {0};
    options->fill(options->context, &health);
    struct buffer out;
    buffer_init(&out, LIMIT_HTTP_RESPONSE);
    append_start(&out, asked.rest);
    buffer_append_text(&out, "\"exchanges\":[");
    for (size_t i = 0; i < health.exchange_count; i++) {
        buffer_append_text(&out, i == 0 ? "" : ",");
        append_exchange(&out, &health.exchanges[i]);
    }
    buffer_append_text(&out, "]}\n");
    answer_hashed(&asked, &out);
    buffer_release(&out);
}

static void append_comma(struct buffer *out)
{
    assert(out->size > 0);
    if (out->data[out->size - 1] != '[')
        buffer_append_text(out, ",");
}

/* Neither spelling needs escaping: symbol_read and the adapters' own rules see to that. */
static void append_market(void *context, const struct admin_market *market)
{
    struct buffer *out = context;
    append_comma(out);
    buffer_append_format(out, "{\"exchange\":\"%s\",\"symbol\":\"%s\",", market->exchange,
                         market->symbol);
    if (market->native != NULL)
        buffer_append_format(out, "\"native\":\"%s\",", market->native);
    append_channels(out, market->channels);
    buffer_append_text(out, "}");
}

static void rest_markets(void *context, struct http_connection *connection,
                         const struct http_head *request)
{
    struct asked asked = {.rest = context, .connection = connection, .request = request};
    const struct admin_options *options = &asked.rest->options;
    if (!read_query(&asked, NULL, 0))
        return;
    struct buffer out;
    buffer_init(&out, LIMIT_HTTP_RESPONSE);
    append_start(&out, asked.rest);
    buffer_append_text(&out, "\"markets\":[");
    options->markets(options->context, append_market, &out);
    buffer_append_text(&out, "]}\n");
    answer_hashed(&asked, &out);
    buffer_release(&out);
}

struct collected { /* a search for one pair */
    const struct rest_query *query;
    bool found;
    bool book; /* channel book as well */
};

static void match_market(void *context, const struct admin_market *market)
{
    struct collected *collected = context;
    if (strcmp(market->exchange, collected->query->exchange) != 0 ||
        strcmp(market->symbol, collected->query->symbol.text) != 0)
        return;
    collected->found = true;
    for (size_t i = 0; market->channels[i] != NULL; i++)
        collected->book = collected->book || strcmp(market->channels[i], "book") == 0;
}

static struct collected find_collected(const struct asked *asked)
{
    const struct admin_options *options = &asked->rest->options;
    struct collected collected = {.query = &asked->query};
    options->markets(options->context, match_market, &collected);
    return collected;
}

static void answer_unknown(const struct asked *asked)
{
    char text[PROBLEM_TEXT_MAX];
    snprintf(text, sizeof text, "%s of %s is not collected here: " PATH_MARKETS " has what is",
             asked->query.symbol.text, asked->query.exchange);
    answer_problem(asked, 404, text);
}

/* ---- last values ---- */

static void append_message(void *context, struct slice message)
{
    struct buffer *out = context;
    append_comma(out);
    buffer_append_slice(out, message);
}

static void rest_tickers(void *context, struct http_connection *connection,
                         const struct http_head *request)
{
    static const struct rest_parameter parameters[] = {
        {.name = "exchange", .kind = REST_EXCHANGE},
        {.name = "symbol", .kind = REST_SYMBOL},
    };
    struct asked asked = {.rest = context, .connection = connection, .request = request};
    const struct admin_options *options = &asked.rest->options;
    char etag[ETAG_MAX];
    if (!read_query(&asked, parameters, COUNT_OF(parameters)))
        return;
    struct keeper_pair pair = pair_of(&asked.query);
    struct keeper_found found = keeper_find_tickers(options->keeper, &pair, NULL, NULL);
    write_etag(etag, asked.rest, found.seq, found.count);
    if (answered_unchanged(&asked, etag))
        return;
    struct buffer out;
    buffer_init(&out, LIMIT_HTTP_RESPONSE);
    append_start(&out, asked.rest);
    buffer_append_format(&out, "\"seq\":%lld,\"tickers\":[", (long long)found.seq);
    keeper_find_tickers(options->keeper, &pair, append_message, &out);
    buffer_append_text(&out, "]}\n");
    answer_json(&asked, etag, &out);
    buffer_release(&out);
}

static void append_trades(const struct asked *asked, uint32_t limit, struct buffer *out)
{
    const struct admin_options *options = &asked->rest->options;
    const struct rest_query *query = &asked->query;
    struct keeper_pair pair = pair_of(query);
    append_start(out, asked->rest);
    buffer_append_format(out, "\"exchange\":\"%s\",\"symbol\":\"%s\",", query->exchange,
                         query->symbol.text);
    struct keeper_found found = keeper_find_trades(options->keeper, &pair, limit, NULL, NULL);
    buffer_append_format(out, "\"seq\":%lld,", (long long)found.seq);
    if (found.left_out > 0)
        buffer_append_format(out, "\"left_out\":%u,", found.left_out);
    buffer_append_text(out, "\"trades\":[");
    keeper_find_trades(options->keeper, &pair, limit, append_message, out);
    buffer_append_text(out, "]}\n");
}

static void rest_trades(void *context, struct http_connection *connection,
                        const struct http_head *request)
{
    static const struct rest_parameter parameters[] = {
        {.name = "limit", .kind = REST_NUMBER, .max = LIMIT_KEEPER_TRADES},
    };
    struct asked asked = {.rest = context, .connection = connection, .request = request};
    struct keeper *keeper = asked.rest->options.keeper;
    char etag[ETAG_MAX];
    if (!read_pair(&asked, PATH_TRADES) || !read_query(&asked, parameters, COUNT_OF(parameters)))
        return;
    struct keeper_pair pair = pair_of(&asked.query);
    if (!keeper_knows(keeper, &pair) && !find_collected(&asked).found) {
        answer_unknown(&asked);
        return;
    }
    uint32_t limit = asked.query.number == 0 ? LIMIT_KEEPER_TRADES : asked.query.number;
    struct keeper_found found = keeper_find_trades(keeper, &pair, limit, NULL, NULL);
    write_etag(etag, asked.rest, found.seq, found.count);
    if (answered_unchanged(&asked, etag))
        return;
    struct buffer out;
    buffer_init(&out, LIMIT_HTTP_RESPONSE);
    append_trades(&asked, limit, &out);
    answer_json(&asked, etag, &out);
    buffer_release(&out);
}

/* ---- books ---- */

static void answer_no_book(const struct asked *asked, const struct keeper_pair *pair)
{
    char text[PROBLEM_TEXT_MAX];
    struct collected collected = find_collected(asked);
    if (!collected.found && !keeper_knows(asked->rest->options.keeper, pair)) {
        answer_unknown(asked);
        return;
    }
    snprintf(text, sizeof text, "there is no book of %s of %s: %s", asked->query.symbol.text,
             asked->query.exchange,
             collected.found && !collected.book ? "channel book is not collected"
                                                : "none has come yet");
    answer_problem(asked, 404, text);
}

static void answer_lost_book(const struct asked *asked, const char *reason)
{
    char text[PROBLEM_TEXT_MAX];
    snprintf(text, sizeof text, "the book of %s of %s cannot be vouched for now: %s",
             asked->query.symbol.text, asked->query.exchange, reason);
    answer_problem(asked, 404, text);
}

static void answer_book(const struct asked *asked, const struct keeper_pair *pair, int64_t seq)
{
    const struct admin_options *options = &asked->rest->options;
    uint32_t depth = asked->query.number;
    char etag[ETAG_MAX];
    if (depth == 0)
        depth = keeper_book_depth(options->keeper);
    write_etag(etag, asked->rest, seq, depth);
    if (answered_unchanged(asked, etag))
        return;
    struct buffer out;
    buffer_init(&out, LIMIT_HTTP_RESPONSE);
    append_start(&out, asked->rest);
    buffer_append_format(&out, "\"seq\":%lld,\"book\":", (long long)seq);
    keeper_append_book(options->keeper, pair, depth, &out);
    buffer_append_text(&out, "}\n");
    answer_json(asked, etag, &out);
    buffer_release(&out);
}

static void rest_books(void *context, struct http_connection *connection,
                       const struct http_head *request)
{
    struct asked asked = {.rest = context, .connection = connection, .request = request};
    const struct keeper *keeper = asked.rest->options.keeper;
    const struct rest_parameter depth = {
        .name = "depth", .kind = REST_NUMBER, .max = keeper_book_depth(keeper)};
    struct keeper_book book;
    if (!read_pair(&asked, PATH_BOOKS) || !read_query(&asked, &depth, 1))
        return;
    struct keeper_pair pair = pair_of(&asked.query);
    switch (keeper_find_book(keeper, &pair, &book)) {
    case KEEPER_BOOK_FOUND:
        answer_book(&asked, &pair, book.seq);
        return;
    case KEEPER_BOOK_NONE:
        answer_no_book(&asked, &pair);
        return;
    case KEEPER_BOOK_LOST:
        answer_lost_book(&asked, book.reason);
        return;
    }
}

/* ---- life ---- */

struct rest *rest_create(const struct admin_options *options)
{
    struct rest *rest = memory_alloc(sizeof *rest);
    rest->options = *options;
    const struct http_route routes[] = {
        {.path = PATH_EXCHANGES, .handler = rest_exchanges, .context = rest},
        {.path = PATH_MARKETS, .handler = rest_markets, .context = rest},
        {.path = PATH_TICKERS, .handler = rest_tickers, .context = rest},
        {.path = PATH_TRADES, .handler = rest_trades, .context = rest, .prefix = true},
        {.path = PATH_BOOKS, .handler = rest_books, .context = rest, .prefix = true},
    };
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        http_server_route(options->server, &routes[i]);
    return rest;
}

void rest_destroy(struct rest *rest)
{
    memory_free(rest);
}
