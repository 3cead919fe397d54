/* SPDX-License-Identifier: Apache-2.0 */
/* The page at / and what belongs to it, made from web/ at build time by tools/embed.py, with
 * compressed copies, so that the program is one file. */
#pragma once

#include "net/http_server.h"

extern const struct http_file page_files[];
extern const size_t page_files_count;
