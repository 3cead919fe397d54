/* SPDX-License-Identifier: Apache-2.0 */
/* A stack that is only ever emptied whole, and turned round then: so there is no ABA. */
#include "base/mailbox.h"

#include "base/memory.h"

#include <assert.h>
#include <stdatomic.h>

struct mailbox {
    _Atomic(struct letter *) newest;
};

struct mailbox *mailbox_create(void)
{
    return memory_alloc(sizeof(struct mailbox));
}

void mailbox_destroy(struct mailbox *mailbox)
{
    if (mailbox == NULL)
        return;
    assert(atomic_load_explicit(&mailbox->newest, memory_order_relaxed) == NULL);
    memory_free(mailbox);
}

/* Release: what the letter stands in was written before. */
bool mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
    struct letter *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        letter->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, letter,
                                                    memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

/* Acquire: pairs with every post of the letters taken (a stack's pushes are one release sequence).
 */
struct letter *mailbox_take(struct mailbox *mailbox)
{
    struct letter *newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    struct letter *oldest = NULL;
    while (newest != NULL) {
        struct letter *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}
