/* SPDX-License-Identifier: Apache-2.0 */
/* REST of the quotation venues: one function for each path. */
#include "sim/quotation_rest.h"
#include "sim/quotation_message.h"
#include "sim/quotation_request.h"
#include "sim/write.h"

#include <ctype.h>
#include <string.h>

#define MARKETS_TEXT_MAX 16384
#define TRADES_MAX 500
#define SHARED_ID_UNIT 10000 /* ids of REST trades where they are made of the time */
#define US_PER_MS 1000

typedef void path_fn(struct venue_run *run, const struct rest_request *request,
                     struct rest_answer *answer);

struct path {
    const char *path;
    path_fn *answer;
    enum quotation_group group;
    bool upbit_only;
};

static struct quotation_view rest_view(struct venue_run *run, const struct market *market)
{
    const struct quotation_market *own = market_own(run, market);
    return (struct quotation_view){
        .style = quotation_style_of(run),
        .market = market,
        .rest = true,
        .units = QUOTATION_UNITS_MAX,
        .level = 1,
        .now_us = exchange_now_us(run->exchange),
        .book_us = own->book_us,
    };
}

/* Upbit names errors by number and by status; Bithumb by number, with status 200. */
static void error_answer(struct venue_run *run, struct rest_answer *answer, unsigned status,
                         const char *message)
{
    buffer_clear(answer->body);
    answer->status = quotation_style_of(run)->rest_errors_200 ? 200 : status;
    buffer_append_format(answer->body, "{\"error\":{\"name\":%u,\"message\":\"%s\"}}", status,
                         message);
    venue_bad_request(run);
}

/* ---- market lists ---- */

static void markets_answer(struct venue_run *run, const struct rest_request *request,
                           struct rest_answer *answer)
{
    bool upbit = quotation_style_of(run)->best;
    char details[8] = "";
    bool present = false;
    bool asked = http_query_find(request->query, upbit ? "is_details" : "isDetails", details,
                                 sizeof details, &present) &&
                 (strcmp(details, "true") == 0 || strcmp(details, "True") == 0);
    const char *separator = "[";
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        const struct market *market = &run->exchange->markets[i];
        buffer_append_format(answer->body, "%s{\"market\":\"%s\",\"korean_name\":", separator,
                             market->native);
        write_text(answer->body, slice_of(market->korean));
        buffer_append_text(answer->body, ",\"english_name\":");
        write_text(answer->body, slice_of(market->english));
        if (asked)
            buffer_append_text(
                answer->body,
                upbit ? ",\"market_event\":{\"warning\":false,\"caution\":{"
                        "\"PRICE_FLUCTUATIONS\":false,\"TRADING_VOLUME_SOARING\":false,"
                        "\"DEPOSIT_AMOUNT_SOARING\":false,\"GLOBAL_PRICE_DIFFERENCES\":false,"
                        "\"CONCENTRATION_OF_SMALL_ACCOUNTS\":false}}"
                      : ",\"market_warning\":\"NONE\"");
        buffer_append_text(answer->body, "}");
        separator = ",";
    }
    buffer_append_text(answer->body, run->exchange->market_count == 0 ? "[]" : "]");
}

/* ---- what is asked for by market ---- */

/* In upper case; NULL: there is none. */
static const struct market *market_of(struct venue_run *run, struct slice code)
{
    char upper[2 * MARKET_NAME_MAX];
    if (!slice_copy(code, upper, sizeof upper))
        return NULL;
    for (char *at = upper; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    return exchange_market(run->exchange, slice_of(upper));
}

static size_t commas(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == ',';
    return count;
}

struct asked {
    char text[MARKETS_TEXT_MAX];
    struct slice codes; /* in text */
    size_t count;
};

/* The list `markets`; false, and answered, when it is missing, or one is unknown. */
static bool markets_read(struct venue_run *run, const struct rest_request *request,
                         struct rest_answer *answer, struct asked *ret_asked)
{
    bool present = false;
    if (!http_query_find(request->query, "markets", ret_asked->text, sizeof ret_asked->text,
                         &present) ||
        ret_asked->text[0] == '\0') {
        error_answer(run, answer, 400, "Missing request parameter. Check the required parameters!");
        return false;
    }
    ret_asked->codes = slice_of(ret_asked->text);
    ret_asked->count = commas(ret_asked->codes) + 1;
    for (struct slice rest = ret_asked->codes; rest.size > 0;) {
        if (market_of(run, slice_trim(slice_split(rest, ',', &rest))) == NULL) {
            error_answer(run, answer, 404, "Code not found");
            return false;
        }
    }
    return true;
}

static uint64_t number_of(const struct rest_request *request, const char *name, uint64_t usual,
                          uint64_t max)
{
    char text[24];
    bool present = false;
    uint64_t value = 0;
    if (!http_query_find(request->query, name, text, sizeof text, &present) ||
        !slice_to_uint64(slice_of(text), UINT32_MAX, &value) || value == 0)
        return usual;
    return value < max ? value : max;
}

static int64_t level_read(const struct rest_request *request, const struct quotation_style *style,
                          const struct market *market)
{
    char text[32];
    bool present = false;
    if (!http_query_find(request->query, "level", text, sizeof text, &present))
        return 1;
    json_t *level = json_loads(text, JSON_DECODE_ANY, NULL);
    int64_t ticks = quotation_level_ticks(market, level, style->level_default);
    json_decref(level);
    return ticks == 0 ? 1 : ticks;
}

static void books_answer(struct venue_run *run, const struct rest_request *request,
                         struct rest_answer *answer)
{
    struct asked asked;
    const struct quotation_style *style = quotation_style_of(run);
    const char *separator = "[";
    if (!markets_read(run, request, answer, &asked))
        return;
    uint64_t units = number_of(request, "count", QUOTATION_UNITS_MAX, QUOTATION_UNITS_MAX);
    if (!style->best && asked.count > 1)
        units = style->units_max;
    for (struct slice rest = asked.codes; rest.size > 0;) {
        const struct market *market = market_of(run, slice_trim(slice_split(rest, ',', &rest)));
        struct quotation_view view = rest_view(run, market);
        view.units = (unsigned)units;
        view.level = level_read(request, style, market);
        buffer_append_text(answer->body, separator);
        quotation_write_book(&view, answer->body);
        separator = ",";
    }
    buffer_append_text(answer->body, "]");
}

static void instruments_answer(struct venue_run *run, const struct rest_request *request,
                               struct rest_answer *answer)
{
    struct asked asked;
    const char *separator = "[";
    if (!markets_read(run, request, answer, &asked))
        return;
    for (struct slice rest = asked.codes; rest.size > 0;) {
        const struct market *market = market_of(run, slice_trim(slice_split(rest, ',', &rest)));
        buffer_append_format(answer->body,
                             "%s{\"market\":\"%s\",\"quote_currency\":\"%s\",\"tick_size\":\"",
                             separator, market->native, market->quote);
        write_plain(answer->body, market->tick, market->price_scale);
        buffer_append_text(answer->body, "\",\"supported_levels\":[\"0\"");
        bool krw = strcmp(market->quote, "KRW") == 0;
        for (int64_t group = 10; krw && group <= 1000; group *= 10) {
            buffer_append_text(answer->body, ",\"");
            write_plain(answer->body, market_price(market, group), market->price_scale);
            buffer_append_text(answer->body, "\"");
        }
        buffer_append_text(answer->body, "]}");
        separator = ",";
    }
    buffer_append_text(answer->body, "]");
}

static void ticker_add(struct venue_run *run, const struct market *market, const char *separator,
                       struct rest_answer *answer)
{
    struct quotation_view view = rest_view(run, market);
    buffer_append_text(answer->body, separator);
    quotation_write_ticker(&view, answer->body);
}

static void tickers_answer(struct venue_run *run, const struct rest_request *request,
                           struct rest_answer *answer)
{
    struct asked asked;
    const char *separator = "[";
    if (!markets_read(run, request, answer, &asked))
        return;
    for (struct slice rest = asked.codes; rest.size > 0; separator = ",")
        ticker_add(run, market_of(run, slice_trim(slice_split(rest, ',', &rest))), separator,
                   answer);
    buffer_append_text(answer->body, "]");
}

static bool quote_listed(struct slice quotes, const char *quote)
{
    for (struct slice rest = quotes; rest.size > 0;)
        if (slice_is(slice_trim(slice_split(rest, ',', &rest)), quote))
            return true;
    return false;
}

static void all_tickers_answer(struct venue_run *run, const struct rest_request *request,
                               struct rest_answer *answer)
{
    char quotes[64];
    bool present = false;
    const char *separator = "";
    if (!http_query_find(request->query, "quote_currencies", quotes, sizeof quotes, &present)) {
        error_answer(run, answer, 400, "Missing request parameter. Check the required parameters!");
        return;
    }
    buffer_append_text(answer->body, "[");
    for (size_t i = 0; i < run->exchange->market_count; i++) {
        const struct market *market = &run->exchange->markets[i];
        if (!quote_listed(slice_of(quotes), market->quote))
            continue;
        ticker_add(run, market, separator, answer);
        separator = ",";
    }
    buffer_append_text(answer->body, "]");
}

/* The newest trade first. */
static void trades_answer(struct venue_run *run, const struct rest_request *request,
                          struct rest_answer *answer)
{
    char code[2 * MARKET_NAME_MAX];
    bool present = false;
    if (!http_query_find(request->query, "market", code, sizeof code, &present)) {
        error_answer(run, answer, 400, "Missing request parameter. Check the required parameters!");
        return;
    }
    const struct market *market = market_of(run, slice_of(code));
    if (market == NULL) {
        error_answer(run, answer, 404, "Code not found");
        return;
    }
    struct quotation_view view = rest_view(run, market);
    uint64_t left = number_of(request, "count", 1, TRADES_MAX);
    const char *separator = "";
    buffer_append_text(answer->body, "[");
    for (uint64_t index = market->truth.count; left > 0 && index > 0; index--, left--) {
        view.trade = truth_trade(&market->truth, index);
        if (view.trade == NULL)
            break;
        view.rest_id = view.style->rest_by_time
                           ? (uint64_t)(view.trade->at_us / US_PER_MS * SHARED_ID_UNIT)
                           : view.trade->id;
        buffer_append_text(answer->body, separator);
        quotation_write_trade(&view, answer->body);
        separator = ",";
    }
    buffer_append_text(answer->body, "]");
}

static const struct path paths[] = {
    {"/v1/market/all", markets_answer, QUOTATION_GROUP_MARKET, false},
    {"/v1/orderbook", books_answer, QUOTATION_GROUP_BOOK, false},
    {"/v1/orderbook/instruments", instruments_answer, QUOTATION_GROUP_BOOK, true},
    {"/v1/ticker", tickers_answer, QUOTATION_GROUP_TICKER, false},
    {"/v1/ticker/all", all_tickers_answer, QUOTATION_GROUP_TICKER, true},
    {"/v1/trades/ticks", trades_answer, QUOTATION_GROUP_TRADES, false},
};

static const struct path *path_find(const struct quotation_style *style, struct slice path)
{
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        if (slice_is(path, paths[i].path) && (style->best || !paths[i].upbit_only))
            return &paths[i];
    return NULL;
}

enum quotation_group quotation_rest_group(const struct quotation_style *style, struct slice path)
{
    const struct path *row = path_find(style, path);
    return row == NULL ? QUOTATION_GROUPS : row->group;
}

void quotation_rest_answer(struct venue_run *run, const struct rest_request *request,
                           struct rest_answer *answer)
{
    const struct path *row = path_find(quotation_style_of(run), request->path);
    assert(row != NULL);
    row->answer(run, request, answer);
}
