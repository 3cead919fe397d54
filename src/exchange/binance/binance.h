/* SPDX-License-Identifier: Apache-2.0 */
/* Binance spot; its USD-M futures, and the exchanges that speak the same protocol, decode too. */
#pragma once

#include "exchange/exchange.h"

extern const struct exchange exchange_binance;
