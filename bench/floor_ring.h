/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sends by one system call: what the floor uses with --io-uring, to see what it would save a
 * gateway. The sends of a turn are handed over together and all done when the call returns. One
 * thread.
 */
#pragma once

#include "base/attr.h"

#include <sys/types.h>

#define FLOOR_RING_SENDS 512 /* at a time, at most */

struct floor_ring;

struct floor_send {
    int fd;
    const char *data;
    size_t size;
    ssize_t result; /* bytes taken, or a negative errno */
};

/* 0, or a negative errno: not built in, not known to the kernel, or forbidden. It lives as long as
 * the process. */
int floor_ring_create(struct floor_ring **ret_ring) MUST_CHECK;

/* Never waits for a socket: what the kernel does not take at once is not sent. */
void floor_ring_send(struct floor_ring *ring, struct floor_send *sends, unsigned count);
