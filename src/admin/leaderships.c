/* SPDX-License-Identifier: Apache-2.0 */
/* A ring, as nobody asks for what is long over. */
#include "admin/leaderships.h"

#include <stdio.h>

static struct leadership *newest(struct leaderships *leaderships)
{
    return leaderships->count == 0
               ? NULL
               : &leaderships->ring[(leaderships->count - 1) % LIMIT_LEADERSHIPS];
}

static void set_if_unknown(char *text, size_t text_size, const char *value)
{
    if (text[0] == '\0')
        snprintf(text, text_size, "%s", value);
}

void leaderships_note(struct leaderships *leaderships, int64_t epoch, const char *node,
                      const char *reason, int64_t at_us)
{
    struct leadership *last = newest(leaderships);
    if (last == NULL || epoch != last->epoch) {
        leaderships_end(leaderships, at_us);
        last = &leaderships->ring[leaderships->count++ % LIMIT_LEADERSHIPS];
        *last = (struct leadership){.epoch = epoch, .from_us = at_us};
    }
    set_if_unknown(last->node, sizeof last->node, node);
    set_if_unknown(last->reason, sizeof last->reason, reason);
}

void leaderships_end(struct leaderships *leaderships, int64_t at_us)
{
    struct leadership *last = newest(leaderships);
    if (last != NULL && last->to_us == 0)
        last->to_us = at_us;
}

void leaderships_fill(const struct leaderships *leaderships, struct admin_cluster *ret_cluster)
{
    size_t count = leaderships->count < LIMIT_LEADERSHIPS ? leaderships->count : LIMIT_LEADERSHIPS;
    for (size_t i = 0; i < count; i++) {
        const struct leadership *leadership =
            &leaderships->ring[(leaderships->count - 1 - i) % LIMIT_LEADERSHIPS];
        ret_cluster->history[i] = (struct admin_leadership){
            .epoch = leadership->epoch,
            .node = leadership->node,
            .reason = leadership->reason,
            .from_us = leadership->from_us,
            .to_us = leadership->to_us,
        };
    }
    ret_cluster->history_count = count;
}
