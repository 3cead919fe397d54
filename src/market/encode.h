/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events to the JSON that clients get (contract, section 4). An encoded event is a body: everything
 * behind
 * `{"type":"trade","seq":7,` up to and with the closing brace. The sequencer puts the head before
 * it, so that the stream knows no market and the market knows no numbers. Keys come in one fixed
 * order; absent values are left out; text is escaped, invalid UTF-8 becomes U+FFFD.
 */
#pragma once

#include "market/event.h"

/* Upper bound of the bytes that event_encode touches for this event; O(1), and generous. */
size_t event_encode_max(const struct event *event, struct slice exchange);

/*
 * Writes the body at out (room: event_encode_max; bytes behind the returned end may be touched up
 * to that); returns the end. exchange: lower-case name, empty for an epoch only. Of a ticker or
 * quote the fields in `present` are written, of a book's update neither proof nor depth.
 */
char *event_encode(char *out, const struct event *event, struct slice exchange);

/* A JSON string with quotes, at most 6 * size + 2 bytes. */
char *json_write_text(char *out, struct slice text);

/* At most 20 bytes. */
char *json_write_integer(char *out, int64_t value);
