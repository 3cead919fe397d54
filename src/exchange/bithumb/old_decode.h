/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of Bithumb's first generation to events. For this folder only. */
#pragma once

#include "exchange/exchange.h"

enum decode_verdict bithumb1_decode(void *state, const struct decode_input *input,
                                    struct event_batch *batch);
