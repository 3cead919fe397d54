/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: accepted records gathered for at most batch_interval, then framed together, one a line.
 * The text under way is shared by both forms that batch, so both are cut at once. Compression: each
 * frame once, at its making; a frame that would grow stays as it is, which RFC 7692 allows.
 */
#include "gateway/gateway_priv.h"

#include "base/frame.h"
#include "base/memory.h"
#include "net/ws_deflate.h"

#include <assert.h>

#define FORM_SHARE 4    /* a form's log keeps this part of the journal's bytes */
#define DEFLATE_LEVEL 1 /* the quick one; docs/compression.md has the figures */

struct form_log {
    struct frame_log *log; /* owned; NULL: never used yet */
    uint32_t users;
};

struct forms {
    struct gateway *gateway; /* borrowed */
    struct form_log logs[FORM_COUNT];
    struct ws_deflater *deflater; /* NULL until somebody asks for it */
    struct timer *cut;
    char stream[LIMIT_STREAM_ID]; /* of what is in the logs */
    struct buffer text;           /* the batch under way */
    int64_t text_next;            /* the seq behind it */
    struct buffer frame;
};

/* ---- frames ---- */

static void form_frame(struct forms *forms, enum form form, struct slice text, struct buffer *out)
{
    if ((form & FORM_DEFLATE) != 0)
        ws_deflate_message(forms->deflater, text, out);
    else
        frame_append(out, FRAME_TEXT, text);
}

static void batch_add(struct buffer *text, struct slice message)
{
    if (text->size > 0)
        buffer_append(text, "\n", 1);
    buffer_append_slice(text, message);
    assert(!text->overflowed);
}

void form_convert(struct forms *forms, enum form form, struct slice frames, struct buffer *out)
{
    struct buffer text;
    buffer_init(&text, LIMIT_FRAME);
    for (size_t at = 0; at < frames.size;) {
        const uint8_t *frame = (const uint8_t *)frames.data + at;
        size_t header = frame_header_size(frame);
        size_t size = frame_size(frame);
        bool full = (form & FORM_BATCH) == 0 || text.size + size > LIMIT_BATCH;
        if (text.size > 0 && full) {
            form_frame(forms, form, buffer_slice(&text), out);
            buffer_clear(&text);
        }
        batch_add(&text,
                  (struct slice){.data = (const char *)frame + header, .size = size - header});
        at += size;
    }
    form_frame(forms, form, buffer_slice(&text), out);
    buffer_release(&text);
}

/* ---- the logs ---- */

/* One frame of this text, up to the record next - 1, in the form's log. */
static void forms_publish(struct forms *forms, enum form form, struct slice text, int64_t next)
{
    struct frame_log *log = forms->logs[form].log;
    buffer_clear(&forms->frame);
    form_frame(forms, form, text, &forms->frame);
    assert(!forms->frame.overflowed);
    memcpy(frame_log_reserve(log, forms->frame.size), forms->frame.data, forms->frame.size);
    frame_log_publish(log, forms->frame.size, next);
}

void forms_cut(struct forms *forms)
{
    if (forms->text.size == 0)
        return;
    for (enum form form = FORM_BATCH; form < FORM_COUNT; form++)
        if ((form & FORM_BATCH) != 0 && forms->logs[form].users > 0)
            forms_publish(forms, form, buffer_slice(&forms->text), forms->text_next);
    buffer_clear(&forms->text);
    timer_stop(forms->cut);
    deferred_schedule(forms->gateway->flush); /* the workers have something to send */
}

static void forms_on_cut(void *context)
{
    forms_cut(context);
}

static bool forms_batch(const struct forms *forms)
{
    return forms->logs[FORM_BATCH].users > 0 || forms->logs[FORM_BATCH | FORM_DEFLATE].users > 0;
}

void forms_add(struct forms *forms, const struct record *record)
{
    const struct gateway_options *options = &forms->gateway->options;
    uint32_t wait_ms = batch_wait_ms(options, &options->policy);
    if (strcmp(record->stream, forms->stream) != 0)
        return; /* of a new content, and the order to start over comes next */
    if (forms->logs[FORM_DEFLATE].users > 0)
        forms_publish(forms, FORM_DEFLATE, record->text, record->seq + 1);
    if (!forms_batch(forms))
        return;
    if (forms->text.size == 0 && wait_ms > 0)
        timer_start(forms->cut, wait_ms, 0);
    batch_add(&forms->text, record->text);
    forms->text_next = record->seq + 1;
    if (forms->text.size >= LIMIT_BATCH || wait_ms == 0)
        forms_cut(forms);
}

void forms_enter(struct forms *forms, enum form form)
{
    struct form_log *form_log = &forms->logs[form];
    const struct gateway_options *options = &forms->gateway->options;
    if (form == FORM_PLAIN)
        return;
    if (form_log->users > 0) {
        form_log->users++;
        return;
    }
    if ((form & FORM_DEFLATE) != 0 && forms->deflater == NULL)
        forms->deflater = ws_deflater_create(DEFLATE_LEVEL);
    forms_cut(forms); /* for the others: this form has no user yet, so it does not get it */
    form_log->users = 1;
    int64_t next = journal_next(options->journal);
    if (form_log->log == NULL)
        form_log->log =
            frame_log_create(FRAME_LOG_RUNS, next, journal_retain(options->journal) / FORM_SHARE);
    else
        frame_log_restart(form_log->log, next);
}

void forms_leave(struct forms *forms, enum form form)
{
    if (form == FORM_PLAIN)
        return;
    assert(forms->logs[form].users > 0);
    forms->logs[form].users--;
    if (forms_batch(forms))
        return;
    buffer_clear(&forms->text);
    timer_stop(forms->cut);
}

static void forms_name(struct forms *forms)
{
    const char *stream = journal_stream(forms->gateway->options.journal);
    bool fits = slice_copy(slice_of(stream), forms->stream, sizeof forms->stream);
    assert(fits);
    (void)fits;
}

void forms_start_over(struct forms *forms)
{
    int64_t next = journal_next(forms->gateway->options.journal);
    forms_cut(forms);
    forms_name(forms);
    for (enum form form = FORM_PLAIN; form < FORM_COUNT; form++)
        if (forms->logs[form].users > 0)
            frame_log_restart(forms->logs[form].log, next);
}

void forms_attach(struct forms *forms, enum form form, struct cursor *cursor)
{
    assert(form != FORM_PLAIN && forms->logs[form].users > 0);
    forms_cut(forms);
    struct frame_log *log = forms->logs[form].log;
    bool attached = frame_log_attach(log, frame_log_next(log), cursor);
    assert(attached && cursor->seq == journal_next(forms->gateway->options.journal));
    (void)attached;
}

/* ---- life ---- */

struct forms *forms_create(struct gateway *gateway)
{
    struct forms *forms = memory_alloc(sizeof *forms);
    forms->gateway = gateway;
    forms_name(forms);
    forms->cut = timer_create_on(gateway->options.loop, forms_on_cut, forms);
    buffer_init(&forms->text, LIMIT_FRAME);
    buffer_init(&forms->frame, LIMIT_FRAME);
    return forms;
}

void forms_destroy(struct forms *forms)
{
    for (enum form form = FORM_PLAIN; form < FORM_COUNT; form++)
        frame_log_destroy(forms->logs[form].log);
    ws_deflater_destroy(forms->deflater);
    timer_destroy(forms->cut);
    buffer_release(&forms->text);
    buffer_release(&forms->frame);
    memory_free(forms);
}
