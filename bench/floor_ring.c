/* SPDX-License-Identifier: Apache-2.0 */
/* MSG_DONTWAIT makes each send complete within the call that submits it. */
#include "bench/floor_ring.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>

struct floor_ring {
    struct io_uring uring;
};

int floor_ring_create(struct floor_ring **ret_ring)
{
    struct floor_ring *ring = memory_alloc(sizeof *ring);
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    int failed = io_uring_queue_init(FLOOR_RING_SENDS, &ring->uring, flags);
    if (failed == -EINVAL) /* a kernel before 6.1 */
        failed = io_uring_queue_init(FLOOR_RING_SENDS, &ring->uring, 0);
    if (failed != 0) {
        memory_free(ring);
        return failed;
    }
    *ret_ring = ring;
    return 0;
}

static void take_results(struct floor_ring *ring)
{
    struct io_uring_cqe *completion = NULL;
    unsigned head = 0;
    unsigned count = 0;
    io_uring_for_each_cqe(&ring->uring, head, completion)
    {
        struct floor_send *one = io_uring_cqe_get_data(completion);
        one->result = completion->res;
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
}

void floor_ring_send(struct floor_ring *ring, struct floor_send *sends, unsigned count)
{
    assert(count <= FLOOR_RING_SENDS);
    for (unsigned i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);
        assert(entry != NULL);
        io_uring_prep_send(entry, sends[i].fd, sends[i].data, sends[i].size,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        io_uring_sqe_set_data(entry, &sends[i]);
        sends[i].result = -EAGAIN;
    }
    int submitted;
    do
        submitted = io_uring_submit_and_wait(&ring->uring, count);
    while (submitted == -EINTR);
    assert(submitted == (int)count);
    take_results(ring);
}
