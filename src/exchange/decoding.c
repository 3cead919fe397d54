/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of decoding that are not worth inlining. */
#include "exchange/decoding.h"

enum decode_verdict unknown_or_malformed(struct slice text)
{
    struct scan scan = scan_begin(text);
    scan_skip(&scan);
    return scan_finish(&scan) ? DECODE_UNKNOWN_TYPE : DECODE_MALFORMED;
}

bool levels_read(struct scan *scan, struct level *out, uint32_t *ret_count)
{
    uint32_t count = scan_levels(scan, out, LIMIT_MESSAGE_LEVELS);
    int64_t signs = 0; /* negative as soon as one number is out of bounds */
    for (uint32_t i = 0; i < count; i++)
        signs |= (out[i].price.mantissa - 1) | out[i].size.mantissa;
    *ret_count = count;
    return !scan->failed && signs >= 0;
}
