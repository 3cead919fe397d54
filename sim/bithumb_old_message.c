/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of Bithumb's first generation. */
#include "sim/bithumb_old.h"
#include "sim/write.h"

#define DEPTH_LEVELS_MAX 128 /* of one message */
#define SNAPSHOT_LEVELS 30
#define DATETIME_STEP_US 100000

static const char *const tick_names[OLD_TICKS] = {"30M", "1H", "12H", "24H", "MID"};

const char *old_tick_name(unsigned tick)
{
    assert(tick < OLD_TICKS);
    return tick_names[tick];
}

static void price_write(const struct market *market, int64_t ticks, struct buffer *out)
{
    buffer_append_text(out, "\"");
    write_plain(out, market_price(market, ticks), market->price_scale);
    buffer_append_text(out, "\"");
}

static void size_write(const struct market *market, int64_t steps, struct buffer *out)
{
    buffer_append_text(out, "\"");
    write_plain(out, steps, market->size_scale);
    buffer_append_text(out, "\"");
}

static void number_write(int64_t value, unsigned scale, struct buffer *out)
{
    buffer_append_text(out, "\"");
    write_plain(out, value, scale);
    buffer_append_text(out, "\"");
}

static void symbol_write(const struct market *market, struct buffer *out)
{
    buffer_append_format(out, "\"symbol\":\"%s_%s\"", market->base, market->quote);
}

/* The symbol stands first in some messages and last in others. */
static void trade_write(const struct market *market, const struct trade *trade, bool up,
                        struct buffer *out)
{
    struct civil civil = civil_from_us(trade->at_us + OLD_KOREA_US);
    bool symbol_first = trade->index % 2 == 0;
    buffer_append_text(out, "{");
    if (symbol_first) {
        symbol_write(market, out);
        buffer_append_text(out, ",");
    }
    buffer_append_format(out, "\"buySellGb\":\"%d\",\"contPrice\":", trade->buyer_takes ? 2 : 1);
    price_write(market, trade->price, out);
    buffer_append_text(out, ",\"contQty\":");
    size_write(market, trade->size, out);
    buffer_append_text(out, ",\"contAmt\":");
    number_write(market_value(market, trade->price, trade->size), market->value_scale, out);
    buffer_append_text(out, ",\"contDtm\":\"");
    write_date(out, &civil, "Y-M-D h:m:s.u");
    buffer_append_format(out, "\",\"updn\":\"%s\"", up ? "up" : "dn");
    if (!symbol_first) {
        buffer_append_text(out, ",");
        symbol_write(market, out);
    }
    buffer_append_text(out, "}");
}

void old_write_trades(const struct market *market, const struct trade *trades, size_t count,
                      struct buffer *out)
{
    const struct trade *before = truth_trade(&market->truth, trades[0].index - 1);
    int64_t last = before == NULL ? trades[0].price : before->price;
    buffer_append_text(out, "{\"type\":\"transaction\",\"content\":{\"list\":[");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_text(out, ",");
        trade_write(market, &trades[i], trades[i].price >= last, out);
        last = trades[i].price;
    }
    buffer_append_text(out, "]}}");
}

static void field_write(const char *name, struct buffer *out)
{
    buffer_append_format(out, ",\"%s\":", name);
}

void old_write_ticker(const struct market *market, int64_t now_us, unsigned tick,
                      struct buffer *out)
{
    const struct truth *truth = &market->truth;
    struct civil civil = civil_from_us(now_us + OLD_KOREA_US);
    int64_t change = truth->last - truth->open;
    buffer_append_text(out, "{\"type\":\"ticker\",\"content\":{");
    symbol_write(market, out);
    buffer_append_format(out, ",\"tickType\":\"%s\",\"date\":\"", old_tick_name(tick));
    write_date(out, &civil, "YMD");
    buffer_append_text(out, "\",\"time\":\"");
    write_date(out, &civil, "hms");
    buffer_append_text(out, "\",\"openPrice\":");
    price_write(market, truth->open, out);
    field_write("closePrice", out);
    price_write(market, truth->last, out);
    field_write("lowPrice", out);
    price_write(market, truth->low, out);
    field_write("highPrice", out);
    price_write(market, truth->high, out);
    field_write("value", out);
    number_write(truth->value, market->value_scale, out);
    field_write("volume", out);
    size_write(market, truth->bought + truth->sold, out);
    field_write("sellVolume", out);
    size_write(market, truth->sold, out);
    field_write("buyVolume", out);
    size_write(market, truth->bought, out);
    field_write("prevClosePrice", out);
    price_write(market, truth->open, out);
    field_write("chgRate", out);
    number_write(truth->open == 0 ? 0 : write_ratio(change, 10000, truth->open), 2, out);
    field_write("chgAmt", out);
    price_write(market, change, out);
    field_write("volumePower", out);
    number_write(truth->sold == 0 ? 10000 : write_ratio(truth->bought, 10000, truth->sold), 2, out);
    buffer_append_text(out, "}}");
}

static void side_write(const struct market *market, enum flow_side side, struct buffer *out)
{
    const struct flow_levels *levels = &market->flow.sides[side];
    buffer_append_text(out, "[");
    for (size_t i = 0; i < levels->count && i < SNAPSHOT_LEVELS; i++) {
        buffer_append_text(out, i == 0 ? "[" : ",[");
        price_write(market, levels->items[i].price, out);
        buffer_append_text(out, ",");
        size_write(market, levels->items[i].size, out);
        buffer_append_text(out, "]");
    }
    buffer_append_text(out, "]");
}

void old_write_snapshot(const struct market *market, int64_t now_us, struct buffer *out)
{
    buffer_append_text(out, "{\"type\":\"orderbooksnapshot\",\"content\":{");
    symbol_write(market, out);
    buffer_append_text(out, ",\"datetime\":");
    number_write(now_us, 0, out);
    buffer_append_text(out, ",\"asks\":");
    side_write(market, FLOW_ASK, out);
    buffer_append_text(out, ",\"bids\":");
    side_write(market, FLOW_BID, out);
    buffer_append_text(out, "}}");
}

/* ---- what changed ---- */

struct written {
    enum flow_side side[DEPTH_LEVELS_MAX];
    int64_t price[DEPTH_LEVELS_MAX];
    size_t count;
};

static bool written_has(const struct written *written, const struct flow_change *change)
{
    for (size_t i = 0; i < written->count; i++)
        if (written->price[i] == change->price && written->side[i] == change->side)
            return true;
    return false;
}

static void level_write(const struct market *market, const struct flow_change *change,
                        struct buffer *out)
{
    int64_t orders = 0;
    int64_t size = flow_size_at(&market->flow, change->side, change->price, &orders);
    buffer_append_text(out, "{");
    symbol_write(market, out);
    buffer_append_format(
        out, ",\"orderType\":\"%s\",\"price\":", change->side == FLOW_BID ? "bid" : "ask");
    price_write(market, change->price, out);
    field_write("quantity", out);
    size_write(market, size, out);
    field_write("total", out);
    number_write(size == 0 ? 0 : orders, 0, out);
    buffer_append_text(out, "}");
}

bool old_write_depth(const struct market *market, int64_t now_us, int64_t *from, struct buffer *out)
{
    struct written written = {.count = 0};
    buffer_append_text(out, "{\"type\":\"orderbookdepth\",\"content\":{\"list\":[");
    while (*from < market->flow.update_id && written.count < DEPTH_LEVELS_MAX) {
        const struct flow_change *change = market_change(market, ++*from);
        if (change == NULL || written_has(&written, change))
            continue;
        if (written.count > 0)
            buffer_append_text(out, ",");
        level_write(market, change, out);
        written.side[written.count] = change->side;
        written.price[written.count++] = change->price;
    }
    buffer_append_text(out, "],\"datetime\":");
    number_write(now_us - now_us % DATETIME_STEP_US, 0, out);
    buffer_append_text(out, "}}");
    return written.count > 0;
}
