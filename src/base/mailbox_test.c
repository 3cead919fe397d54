/* SPDX-License-Identifier: Apache-2.0 */
/* Order by sender, nothing lost, and who must wake whom; with real threads. */
#include "base/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define SENDERS 4
#define LETTERS 20000

struct numbered {
    struct letter letter; /* first: a letter is its number */
    unsigned sender, number;
};

struct sender {
    struct mailbox *mailbox;
    unsigned index;
};

static struct numbered sent[SENDERS][LETTERS];

static void says_when_it_was_empty_and_keeps_order(void **state)
{
    (void)state;
    struct mailbox *mailbox = mailbox_create();
    struct letter letters[3];
    assert_null(mailbox_take(mailbox));
    assert_true(mailbox_post(mailbox, &letters[0]));
    assert_false(mailbox_post(mailbox, &letters[1]));
    assert_false(mailbox_post(mailbox, &letters[2]));
    struct letter *taken = mailbox_take(mailbox);
    assert_ptr_equal(taken, &letters[0]);
    assert_ptr_equal(taken->next, &letters[1]);
    assert_ptr_equal(taken->next->next, &letters[2]);
    assert_null(taken->next->next->next);
    assert_true(mailbox_post(mailbox, &letters[1]));
    assert_ptr_equal(mailbox_take(mailbox), &letters[1]);
    mailbox_destroy(mailbox);
    mailbox_destroy(NULL);
}

static void *send_all(void *context)
{
    const struct sender *sender = context;
    for (unsigned i = 0; i < LETTERS; i++) {
        struct numbered *numbered = &sent[sender->index][i];
        numbered->sender = sender->index;
        numbered->number = i;
        (void)!mailbox_post(sender->mailbox, &numbered->letter);
    }
    return NULL;
}

static void loses_nothing_between_threads(void **state)
{
    (void)state;
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    unsigned next[SENDERS] = {0};
    struct mailbox *mailbox = mailbox_create();
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.mailbox = mailbox, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    for (unsigned count = 0; count < SENDERS * LETTERS;) {
        const struct letter *each = mailbox_take(mailbox);
        if (each == NULL)
            sched_yield();
        for (; each != NULL; each = each->next, count++) {
            const struct numbered *numbered = (const struct numbered *)each;
            assert_int_equal(numbered->number, next[numbered->sender]++);
        }
    }
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    mailbox_destroy(mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_when_it_was_empty_and_keeps_order),
        cmocka_unit_test(loses_nothing_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
