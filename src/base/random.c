/* SPDX-License-Identifier: Apache-2.0 */
/* Straight from the kernel: nothing here is asked for often enough to be worth a pool. */
/* getrandom, whose only errors are bugs and signals. */
#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

void random_bytes(void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        assert(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            size -= (size_t)got;
        }
    }
}

uint32_t random_below(uint32_t bound)
{
    assert(bound > 0);
    uint32_t value;
    random_bytes(&value, sizeof value);
    return value % bound;
}
