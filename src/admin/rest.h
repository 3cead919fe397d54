/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST reads (docs/rest.md): /api/v1/exchanges, markets, tickers, trades and books, answered
 * from memory at the moment of asking. What comes from the stream is given as the stream has it:
 * the same bytes that clients get. Thread: the server's loop, which is the keeper's.
 */
#pragma once

#include "admin/admin.h"

struct rest;

/* Puts its routes on the server. The options are borrowed for the call, what they point to longer.
 */
struct rest *rest_create(const struct admin_options *options) MUST_CHECK;
void rest_destroy(struct rest *rest); /* NULL is a no-op */
