/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST interface of the quotation venues: market lists, books, tickers, trades. Limits and
 * headers are the venues' own.
 */
#pragma once

#include "sim/quotation.h"

/* Groups of limits, in this order in the venue's row. */
enum quotation_group {
    QUOTATION_GROUP_MARKET,
    QUOTATION_GROUP_BOOK,
    QUOTATION_GROUP_TICKER,
    QUOTATION_GROUP_TRADES,
    QUOTATION_GROUPS, /* none */
};

/* Which group's budget a path takes from; QUOTATION_GROUPS: there is no such path. */
enum quotation_group quotation_rest_group(const struct quotation_style *style, struct slice path);

/* Answers a path that there is: body and status. */
void quotation_rest_answer(struct venue_run *run, const struct rest_request *request,
                           struct rest_answer *answer);
