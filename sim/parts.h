/* SPDX-License-Identifier: Apache-2.0 */
/* The names of a recording in several files: FILE.0001, FILE.0002 and so on. */
#pragma once

#include "base/err.h"

#define PARTS_PATH_MAX 4096

/* False: the path is too long. */
bool parts_name(const char *file, uint32_t part, char ret_path[PARTS_PATH_MAX]) MUST_CHECK;

typedef void parts_visit_fn(void *context, uint32_t part);

/* Visits those that exist, in no order. */
int parts_walk(const char *file, parts_visit_fn *visit, void *context, struct err *err) MUST_CHECK;
