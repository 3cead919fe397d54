/* SPDX-License-Identifier: Apache-2.0 */
/* getrandom, whole: short reads and signals are dealt with here once. */
#include "net/random.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void random_fill(void *out, size_t size)
{
    char *cursor = out;
    while (size > 0) {
        ssize_t got = getrandom(cursor, size, 0);
        if (got < 0 && errno != EINTR)
            abort(); /* no kernel that this runs on lacks it; predictable masks would be worse */
        if (got > 0) {
            cursor += got;
            size -= (size_t)got;
        }
    }
}
