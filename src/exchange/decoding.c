/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of decoding that are not worth inlining. */
#include "exchange/decoding.h"

enum decode_verdict unknown_or_malformed(struct slice text)
{
    struct scan scan = scan_begin(text);
    scan_skip(&scan);
    return scan_finish(&scan) ? DECODE_UNKNOWN_TYPE : DECODE_MALFORMED;
}
