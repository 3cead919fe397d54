/* SPDX-License-Identifier: Apache-2.0 */
/* Binance's messages to events. For this folder only. */
#pragma once

#include "exchange/exchange.h"

enum decode_verdict binance_decode(void *state, const struct decode_input *input,
                                   struct event_batch *batch);
