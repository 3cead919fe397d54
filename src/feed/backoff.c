/* SPDX-License-Identifier: Apache-2.0 */
/* Half of each wait is fixed and half is jittered: spread out, but never at once. */
#include "feed/backoff.h"

uint32_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
    uint32_t full = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < backoff->attempts && full < LIMIT_BACKOFF_MS; i++)
        full *= 2;
    if (full < LIMIT_BACKOFF_MS)
        backoff->attempts++;
    else
        full = LIMIT_BACKOFF_MS;
    return full / 2 + random % (full / 2 + 1);
}
