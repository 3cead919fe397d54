/* SPDX-License-Identifier: Apache-2.0 */
/* REST for the adapters: the writing of paths, and the reading of answers, of which only a few
 * members of each object matter. */
#pragma once

#include "exchange/exchange.h"
#include "market/scan.h"

/* Writes text and then the native symbol, percent-encoded where a query needs it, behind `size`
 * bytes of the path; returns the new size. The path must have room: it is bounded by the text. */
size_t rest_append(struct rest_request *request, size_t size, const char *text,
                   const struct instrument *instrument);

/* Appends text and a number. */
size_t rest_append_number(struct rest_request *request, size_t size, const char *text,
                          uint64_t number);

/* How an exchange writes a list of symbols: head, the first one, separator, the next, ..., tail. */
struct rest_list {
    const char *head, *separator, *tail;
    uint32_t count_max;
};

/* The whole path for the symbols of a ticker query, as many of them as fit; says how many. */
void rest_set_list(struct rest_request *request, const struct rest_query *query,
                   const struct rest_list *list);

/* The path is a constant. */
void rest_set(struct rest_request *request, const char *path, uint32_t weight);

/* ---- answers ---- */

/* Who is told of what an answer says. */
struct rest_visitor {
    rest_fact_fn *visit;
    void *context; /* of visit */
};

#define REST_MEMBERS_MAX 4

/*
 * Reads a whole object. `names`, NULL-terminated and at most REST_MEMBERS_MAX of them, are looked
 * for; a text's content or a number's digits become the value, anything else is not given (data
 * NULL). False when it is no object, or one of them came twice.
 */
bool rest_members_read(struct scan *scan, const char *const *names,
                       struct slice ret_values[REST_MEMBERS_MAX]);

/* A number that is no id, or a time that cannot be one, is 0: not given. */
int64_t rest_id(struct slice digits);
int64_t rest_time_us(struct slice digits); /* of milliseconds, or of 16 digits: microseconds */
