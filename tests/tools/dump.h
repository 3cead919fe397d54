/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a decoder made of a message, as one JSON text with everything in it: what tests compare
 * fixtures with, and what decode_dump prints. It is not the stream's JSON: it has the fields that
 * the stream leaves out, and a writer of its own.
 */
#pragma once

#include "base/buffer.h"
#include "exchange/exchange.h"

/* {"verdict":"events","left_out":0,"events":[...]}, or {"verdict":"refused","note","name","id"}. */
void dump_batch(struct buffer *out, enum decode_verdict verdict, const struct event_batch *batch);
