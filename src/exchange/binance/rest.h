/* SPDX-License-Identifier: Apache-2.0 */
/* What Binance's REST answers say; as exchange.h's rest_read. For this folder only. */
#pragma once

#include "exchange/exchange.h"

bool binance_rest_read(enum rest_kind kind, struct slice text, rest_fact_fn *visit, void *context,
                       struct slice *ret_note);
