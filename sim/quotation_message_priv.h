/* SPDX-License-Identifier: Apache-2.0 */
/* For the files that write messages of the quotation venues. */
#pragma once

#include "sim/quotation_message.h"

/* Who has a field. */
enum quotation_having {
    HAS_UPBIT = 1,
    HAS_BITHUMB = 2,
    HAS_REST = 4,
    HAS_REST_UPBIT = 8,
    HAS_STREAM = HAS_UPBIT | HAS_BITHUMB,
    HAS_ALL = HAS_STREAM | HAS_REST,
};

typedef void quotation_field_fn(const struct quotation_view *view, struct buffer *out);

struct quotation_field {
    const char *name, *simple;
    quotation_field_fn *write;
    unsigned having;
};

void quotation_fields(const struct quotation_view *view, const struct quotation_field *fields,
                      size_t count, struct buffer *out);

void quotation_number(const struct quotation_view *view, int64_t value, unsigned scale, bool price,
                      struct buffer *out);
void quotation_price(const struct quotation_view *view, int64_t ticks, struct buffer *out);
void quotation_size(const struct quotation_view *view, int64_t steps, struct buffer *out);
void quotation_code(const struct quotation_view *view, struct buffer *out);
void quotation_stream_type(const struct quotation_view *view, struct buffer *out);
