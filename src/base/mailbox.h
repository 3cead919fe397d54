/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters from any number of threads to one: intrusive, so posting neither allocates nor fails.
 * What bounds a mailbox is what bounds the objects: each carries one letter, and a letter is in one
 * mailbox at a time. Letters of one sender come out in their order.
 *
 * Posting gives away what the letter stands in: until the reader gives it back, the sender may not
 * touch it.
 */
#pragma once

#include "base/attr.h"

struct mailbox;

struct letter {
    struct letter *next; /* the mailbox's, then the reader's */
};

struct mailbox *mailbox_create(void) MUST_CHECK;
void mailbox_destroy(struct mailbox *mailbox); /* empty; NULL is a no-op */

/* Any thread. True when it was empty: the reader must be woken. */
bool mailbox_post(struct mailbox *mailbox, struct letter *letter) MUST_CHECK;

/* Reading thread: all that is there, oldest first; NULL when empty. */
struct letter *mailbox_take(struct mailbox *mailbox);
