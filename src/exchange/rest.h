/* SPDX-License-Identifier: Apache-2.0 */
/* The writing of REST paths, for the adapters. */
#pragma once

#include "exchange/exchange.h"

/* Writes text and then the native symbol, percent-encoded where a query needs it, behind `size`
 * bytes of the path; returns the new size. The path must have room: it is bounded by the text. */
size_t rest_append(struct rest_request *request, size_t size, const char *text,
                   const struct instrument *instrument);

/* Appends text and a number. */
size_t rest_append_number(struct rest_request *request, size_t size, const char *text,
                          uint64_t number);

/* The path is a constant. */
void rest_set(struct rest_request *request, const char *path, uint32_t weight);
