/* SPDX-License-Identifier: Apache-2.0 */
/* Where in the stream a client begins: behind its token, behind a snapshot, or here. */
#include "gateway/gateway_priv.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

#define NS_PER_MS 1000000

struct placement *placement_create(void)
{
    struct placement *placement = memory_alloc(sizeof *placement);
    buffer_init(&placement->early, LIMIT_READ_BUFFER);
    buffer_init(&placement->greeting, 2 * KIBIBYTE);
    return placement;
}

void placement_unanswer(struct placement *placement)
{
    cursor_detach(&placement->cursor);
    cursor_detach(&placement->form_cursor);
    snapshot_unref(placement->snapshot);
    placement->snapshot = NULL;
    placement->refusal = NULL;
    placement->near_end = false;
    buffer_clear(&placement->greeting);
}

void placement_begin_wait(struct placement *placement, int64_t now_ns)
{
    int64_t wait_ms = placement->has_token ? LIMIT_RESUME_WAIT_MS : LIMIT_SNAPSHOT_WAIT_MS;
    placement->deadline_ns = now_ns + wait_ms * NS_PER_MS;
}

void placement_destroy(struct placement *placement)
{
    if (placement == NULL)
        return;
    placement_unanswer(placement);
    buffer_release(&placement->early);
    buffer_release(&placement->greeting);
    memory_free(placement);
}

/* The message before `next` is in the journal, or is the last one: nothing was lost in between. */
static void placement_attach(struct gateway *gateway, struct placement *placement, enum form form,
                             int64_t next)
{
    bool attached = cursor_attach(&placement->cursor, gateway->options.journal, next);
    assert(attached);
    (void)attached;
    if (form != FORM_PLAIN)
        forms_attach(gateway->forms, form, &placement->form_cursor);
}

/* True when the token's message is in the journal: the client goes on behind it. */
static bool placement_resume(struct gateway *gateway, struct placement *placement, enum form form)
{
    struct journal *journal = gateway->options.journal;
    int64_t next = placement->token.seq + 1;
    if (journal_epoch_at(journal, placement->token.seq) != placement->token.epoch)
        return false; /* also when the record behind it is no longer held: no epoch is 0 */
    hello_append(gateway, &placement->greeting, next, true);
    placement_attach(gateway, placement, form, next);
    metric_add(gateway->resumed, 1);
    return true;
}

static void append_skipped(struct placement *placement, int64_t to)
{
    char text[128];
    if (placement->sent_seq >= to)
        return; /* it missed nothing: hello alone says that it starts over */
    int size = snprintf(text, sizeof text, "{\"type\":\"skipped\",\"from\":%lld,\"to\":%lld}",
                        (long long)placement->sent_seq + 1, (long long)to);
    frame_append(&placement->greeting, WS_TEXT, (struct slice){.data = text, .size = (size_t)size});
}

static bool placement_join(struct gateway *gateway, struct placement *placement, enum form form,
                           int64_t now_ns)
{
    int64_t next = journal_next(gateway->options.journal);
    if (placement->snapshot_wanted) {
        int64_t from_seq = placement->moved_ahead ? placement->sent_seq : 0;
        placement->snapshot = snapshot_get(gateway->snapshots, from_seq, form);
        if (placement->snapshot == NULL) {
            if (now_ns < placement->deadline_ns)
                return false;
            placement->refusal = "no snapshot could be made in time, try again";
            return true;
        }
        next = snapshot_seq(placement->snapshot) + 1;
        if (placement->moved_ahead)
            append_skipped(placement, next - 1);
        /* An old blob, while there is no room for a new one, is no fault of who gets it. */
        placement->near_end =
            !placement->moved_ahead && snapshot_is_young(placement->snapshot, now_ns);
    } else {
        placement->near_end = true;
        hello_append(gateway, &placement->greeting, next, false);
    }
    placement_attach(gateway, placement, form, next);
    return true;
}

/* Asked of the former content: where it stood there means nothing here, and it begins to wait. A
 * token is judged by itself. */
static void placement_renew(struct placement *placement, uint32_t content, int64_t now_ns)
{
    if (placement->content == content)
        return;
    placement->content = content;
    placement->moved_ahead = false;
    if (!placement->has_token)
        placement_begin_wait(placement, now_ns);
}

/* A token that is ahead of this node is waited for; any other is judged at once. */
bool placement_decide(struct gateway *gateway, struct placement *placement, enum form form,
                      int64_t now_ns)
{
    placement_renew(placement, gateway->content, now_ns);
    placement->source = (uint8_t)gateway->feed.source;
    if (placement->has_token) {
        const struct journal *journal = gateway->options.journal;
        bool ours = strcmp(placement->token.stream, journal_stream(journal)) == 0;
        bool ahead = ours && placement->token.seq >= journal_next(journal);
        if (ahead && now_ns < placement->deadline_ns)
            return false;
        if (ours && !ahead && placement_resume(gateway, placement, form))
            return true;
        metric_add(gateway->not_resumed, 1);
        placement->has_token = false; /* of another stream: a fresh start, too */
        placement_begin_wait(placement, now_ns);
    }
    return placement_join(gateway, placement, form, now_ns);
}
