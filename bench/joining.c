/* SPDX-License-Identifier: Apache-2.0 */
/* Types stand first in our messages, so no JSON is parsed. */
#include "bench/joining.h"

void joining_init(struct joining *joining, bool snapshot)
{
    memset(joining, 0, sizeof *joining);
    joining->snapshot = snapshot;
}

void joining_begin(const struct joining *joining, struct joiner *joiner, int64_t now_us)
{
    joiner->stage = joining->snapshot ? JOINER_NEW : JOINER_READY;
    joiner->began_us = now_us;
}

static bool is_type(struct slice message, const char *head)
{
    return slice_starts_with(message, slice_of(head));
}

static void joining_serve(struct joining *joining, struct joiner *joiner, int64_t now_us)
{
    joiner->stage = JOINER_SERVED;
    joining->served++;
    joining->last_us = now_us;
    histogram_add(&joining->times,
                  now_us > joiner->began_us ? (uint64_t)(now_us - joiner->began_us) : 0);
}

/* Digits behind `"seq":`, in a message of a few bytes. */
static bool end_number(struct slice message, int64_t *ret_number)
{
    static const char key[] = "\"seq\":";
    const char *at = memmem(message.data, message.size, key, sizeof key - 1);
    if (at == NULL)
        return false;
    at += sizeof key - 1;
    struct slice digits = {.data = at, .size = message.size - (size_t)(at - message.data)};
    uint64_t number = 0;
    while (digits.size > 0 &&
           (digits.data[digits.size - 1] < '0' || digits.data[digits.size - 1] > '9'))
        digits.size--;
    if (!slice_to_uint64(digits, INT64_MAX, &number))
        return false;
    *ret_number = (int64_t)number;
    return true;
}

static void snapshot_part(struct joining *joining, struct joiner *joiner, int64_t *last,
                          struct slice message)
{
    static const char mark[] = "\"snapshot\":true";
    joining->messages++;
    joining->bytes += message.size;
    if (is_type(message, "{\"type\":\"snapshot_end\"")) {
        joining->wrong += !end_number(message, last);
        joiner->stage = JOINER_READY;
    } else if (memmem(message.data, message.size, mark, sizeof mark - 1) == NULL) {
        joining->wrong++;
    }
}

bool joining_take(struct joining *joining, struct joiner *joiner, int64_t *last,
                  struct slice message, int64_t now_us)
{
    if (joiner->stage == JOINER_SERVED)
        return false;
    if (is_type(message, "{\"type\":\"heartbeat\""))
        return true;
    switch (joiner->stage) {
    case JOINER_NEW:
        joining->wrong += !is_type(message, "{\"type\":\"hello\"");
        joiner->stage = JOINER_GREETED;
        return true;
    case JOINER_GREETED:
        snapshot_part(joining, joiner, last, message);
        return true;
    case JOINER_READY:
        if (is_type(message, "{\"type\":\"hello\""))
            return true; /* of one who asked for no snapshot */
        joining_serve(joining, joiner, now_us);
        return false;
    case JOINER_SERVED:
        break;
    }
    return false;
}
