/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a REST read was asked, read strictly: a name that is not known, a name twice, a value that
 * is none or out of bounds, an escape that is malformed, all are refused with a sentence that names
 * what was expected. Nothing is guessed. Values; any thread.
 */
#pragma once

#include "base/err.h"
#include "market/symbol.h"

#define REST_EXCHANGE_MAX 32 /* bytes of an exchange's name */

enum rest_kind {
    REST_EXCHANGE, /* [a-z0-9_]{1,32} */
    REST_SYMBOL,   /* BASE-QUOTE */
    REST_NUMBER,   /* 1 to max, digits alone */
};

struct rest_parameter {
    const char *name;
    enum rest_kind kind;
    uint32_t max; /* of a number */
};

struct rest_query {
    char exchange[REST_EXCHANGE_MAX + 1]; /* "": not given */
    struct symbol symbol;                 /* size 0: not given */
    uint32_t number;                      /* 0: not given */
};

/*
 * Reads a query string (behind the '?') that may have these parameters, at most one of each kind.
 * Adds to *ret_query; -EINVAL with the sentence when it is wrong.
 */
int rest_query_read(struct slice query, const struct rest_parameter *parameters, size_t count,
                    struct rest_query *ret_query, struct err *err) MUST_CHECK;

/*
 * Reads "exchange/symbol", the rest of a path. -ENOENT: it has not two parts; -EINVAL: one of them
 * is malformed.
 */
int rest_pair_read(struct slice path, struct rest_query *ret_query, struct err *err) MUST_CHECK;
