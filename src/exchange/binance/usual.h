/* SPDX-License-Identifier: Apache-2.0 */
/* The two messages that come most, in the form in which they always come. For this folder only. */
#pragma once

#include "exchange/binance/payload.h"

enum usual { USUAL_NONE, USUAL_TRADE, USUAL_DIFFERENCE };

/*
 * Reads a whole {"stream":...,"data":{...}} with a trade or a difference of a book into the
 * payload, as payload_take would. USUAL_NONE when it is anything else, or in any other order: then
 * the payload is spoilt and has to be initialised again, and the message read the general way.
 */
enum usual usual_take(struct payload *payload, struct slice text, struct event_batch *batch,
                      struct slice *ret_stream);
