/* SPDX-License-Identifier: Apache-2.0 */
/* BTC-USDT and BTCUSDT. For this folder only. */
#pragma once

#include "exchange/exchange.h"

bool binance_to_native(const struct symbol *symbol, char native[LIMIT_NATIVE_SYMBOL]);

/*
 * Binance writes no sign between the halves, so the quote is the longest one of a list that ends
 * the name. A live session never needs this: it knows its symbols from the configuration.
 */
bool binance_from_native(struct slice native, struct symbol *ret_symbol);
