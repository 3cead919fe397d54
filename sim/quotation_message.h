/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the quotation venues, and the objects of their REST answers, which are nearly the
 * same: one table of fields, with the names of both formats and who has it.
 */
#pragma once

#include "sim/quotation.h"

struct quotation_view {
    const struct quotation_style *style;
    const struct market *market;
    const struct trade *trade;             /* of trades; else NULL */
    const struct quotation_candle *candle; /* of candles; else NULL */
    unsigned candle_index;
    enum quotation_format format;
    bool snapshot;     /* stream_type */
    bool rest;         /* "market" for type, code and stream_type; plain numbers */
    unsigned spelling; /* how numbers are spelled; any */
    unsigned turn;     /* the field that comes first */
    unsigned units;    /* of a book */
    int64_t level;     /* of a book, in ticks */
    int64_t now_us;
    int64_t book_us;
    uint64_t rest_id; /* of a trade by REST */
};

void quotation_write_trade(const struct quotation_view *view, struct buffer *out);
void quotation_write_ticker(const struct quotation_view *view, struct buffer *out);
void quotation_write_book(const struct quotation_view *view, struct buffer *out);
void quotation_write_candle(const struct quotation_view *view, struct buffer *out);
