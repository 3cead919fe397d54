/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quotation protocol that Upbit made and Bithumb's second generation took over: one decoder
 * and one way to subscribe for both; what differs between them is data in a dialect. Full and
 * short keys (formats DEFAULT and SIMPLE) are both read, whatever was asked for.
 */
#pragma once

#include "exchange/exchange.h"

struct quotation_dialect {
    const struct exchange *exchange; /* in whose spelling symbols are looked up */
    bool candles;                    /* it has candle streams */
    bool rest_trade_time_korean; /* REST stamps a last trade with Korea's clock, not Unix time */
};

enum decode_verdict quotation_decode(const struct quotation_dialect *dialect,
                                     const struct decode_input *input, struct event_batch *batch);

/*
 * One request for everything, as each replaces the one before; 0 when nothing has changed. There
 * is no request for nothing: when nothing is wanted any more, nothing is sent, `asked` is cleared,
 * and the session closes the connection if it minds the data that still comes.
 */
size_t quotation_request(struct instruments *instruments, uint64_t request_id, struct buffer *out);

struct rest_visitor;

/* As exchange.h's rest_read. */
bool quotation_rest_read(const struct quotation_dialect *dialect, enum rest_kind kind,
                         struct slice text, const struct rest_visitor *visitor,
                         struct slice *ret_note);

/* BTC-KRW and KRW-BTC. */
bool quotation_to_native(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL]);
bool quotation_from_native(struct slice native, struct symbol *ret_symbol);
