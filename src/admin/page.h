/* SPDX-License-Identifier: Apache-2.0 */
/* The page at /, made from web/index.html at build time by tools/embed.py, so that the program is
 * one file. */
#pragma once

#include <stddef.h>

extern const char page_html[];
extern const size_t page_html_size;
