/* SPDX-License-Identifier: Apache-2.0 */
/* A lock guards what the two threads share. It is never held over a call of the library, whose
 * threads take it when they wake us. */
#include "stream/kafka/kafka_link.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define WHOLE_PROBE 4 /* one probe in so many looks at the topic's shape */
/* So many probes in a row that were answered within a quarter of LIMIT_KAFKA_ANSWER_MS: the broker
 * was late for a moment only, and gets no more time than that again. */
#define PROMPT_PROBES 8
#define PROMPT_US (LIMIT_KAFKA_ANSWER_MS * 1000 / 4)

struct kafka_link {
    struct kafka_config *config; /* owned; the helper's */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    kafka_wake_fn *wake; /* NULL: closed */
    void *context;
    bool woken; /* since the last report was taken */
    bool closing, discarded;
    bool refused; /* with discarded: there is no hurry */
    struct kafka_report report;
};

/* What only the helper knows. */
struct helper {
    struct kafka_link *link;
    struct kafka_session *session;
    bool ready;       /* it was given to the carrier */
    int64_t pause_ms; /* before the next one is made */
    unsigned probes;
    int answer_ms;    /* so long a broker has for each answer */
    unsigned prompt;  /* probes in a row that were answered at once */
    struct err cause; /* why there is no session, as the library told last; code 0: it did not */
    int64_t cause_ns; /* when */
    int64_t quiet_ns; /* a new topic needs a moment: until then, that it is not there is no news */
};

/* Helpers there are, for who waits for their end. Who ends joins the one that ended before it, so
 * that at most one is left, whose memory is given back when it is joined as well. */
static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t count_changed = PTHREAD_COND_INITIALIZER;
static int helper_count;
static pthread_t last_ended;
static bool any_ended; /* last_ended is to be joined */

static void wake_carrier(void *context)
{
    struct kafka_link *link = context;
    pthread_mutex_lock(&link->lock);
    if (!link->woken && link->wake != NULL) {
        link->woken = true;
        link->wake(link->context);
    }
    pthread_mutex_unlock(&link->lock);
}

/* Until told to do something else, or for so long. */
static void wait_ms(struct kafka_link *link, int64_t ms)
{
    int64_t until_ns = clock_monotonic_ns() + ms * 1000000;
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    int result = 0;
    pthread_mutex_lock(&link->lock);
    while (!link->closing && !link->discarded && result == 0)
        result = pthread_cond_timedwait(&link->changed, &link->lock, &until);
    pthread_mutex_unlock(&link->lock);
}

/* What the newer report does not say of the topic; most looks are not at its beginning. */
static void keep_probe(struct kafka_report *kept, const struct kafka_report *former)
{
    if (!former->probed)
        return;
    if (!kept->probed)
        kept->probe = former->probe;
    else if (kept->probe.low < 0)
        kept->probe.low = former->probe.low;
    kept->probed = true;
}

/* Nothing is told of a session that is not wanted any more. A failure that was not taken yet stays
 * one, unless a new session makes it good; so do a session, and what was seen with it. */
static void tell(struct kafka_link *link, const struct kafka_report *report)
{
    struct kafka_report *kept = &link->report;
    pthread_mutex_lock(&link->lock);
    if (!link->discarded && !link->closing) {
        struct kafka_report former = *kept;
        if (report->session != NULL || report->failed || !kept->failed)
            *kept = *report;
        if (report->session == NULL)
            kept->session = former.session;
        keep_probe(kept, &former);
    }
    pthread_mutex_unlock(&link->lock);
    wake_carrier(link);
}

static void tell_failure(struct kafka_link *link, const struct err *err)
{
    struct kafka_report report = {.failed = true};
    if (!slice_copy(slice_of(err->text), report.error, sizeof report.error))
        report.error[0] = '\0';
    tell(link, &report);
}

/* The library tells a cause once in 30 s; in between, and when who refuses us answers late, all
 * that is seen is that nobody answers. */
static void remember_cause(struct helper *helper, int result, struct err *err)
{
    int64_t now_ns = clock_monotonic_ns();
    bool fresh = helper->cause.code != 0 &&
                 now_ns - helper->cause_ns < LIMIT_KAFKA_CAUSE_MS * INT64_C(1000000);
    bool stays = fresh && helper->cause.code == -EACCES && result == -EIO;
    if (result == -EACCES || (result == -EIO && !stays)) {
        helper->cause = *err;
        helper->cause_ns = now_ns;
    } else if (fresh && (result == -EAGAIN || result == -EIO)) {
        *err = helper->cause;
    }
}

static void end_session(struct helper *helper)
{
    helper->ready = false;
    if (helper->session == NULL)
        return;
    kafka_session_destroy(helper->session);
    helper->session = NULL;
    memory_give_back(); /* what it had fetched lay all over the arenas of its threads */
}

/* A slow broker, or a slow machine, must not stay away for ever: who was late has twice as long
 * from now on, once there is a session that grants it. False: it had the most already. */
static bool give_more_time(struct helper *helper)
{
    helper->prompt = 0;
    if (helper->answer_ms >= LIMIT_KAFKA_ANSWER_MOST_MS)
        return false;
    helper->answer_ms *= 2;
    return true;
}

static void notice_prompt(struct helper *helper, int64_t rtt_us)
{
    helper->prompt = rtt_us < PROMPT_US ? helper->prompt + 1 : 0;
    if (helper->prompt >= PROMPT_PROBES)
        helper->answer_ms = LIMIT_KAFKA_ANSWER_MS;
}

static void open_session(struct helper *helper)
{
    struct kafka_link *link = helper->link;
    struct err err = {0};
    struct kafka_report report = {.probed = true};
    int result = 0;
    if (helper->session == NULL)
        result = kafka_session_create(link->config, helper->answer_ms, wake_carrier, link,
                                      &helper->session, &err);
    if (result == 0)
        result = kafka_session_prepare(helper->session, link->config, &report.probe, &err);
    if (result == 0) {
        helper->ready = true;
        helper->cause.code = 0;
        report.session = helper->session;
        tell(link, &report);
        return;
    }
    remember_cause(helper, result, &err);
    bool waits = result == -EAGAIN || result == -EIO;
    if (result == -EINPROGRESS)
        helper->quiet_ns = clock_monotonic_ns() + LIMIT_KAFKA_ANSWER_MS * INT64_C(1000000);
    else if (!waits || clock_monotonic_ns() > helper->quiet_ns)
        tell_failure(link, &err);
    const struct kafka_session *session = helper->session;
    if (session != NULL && (session->spent || (session->late && give_more_time(helper))))
        end_session(helper);
    wait_ms(link, result != -EINVAL ? LIMIT_KAFKA_RETRY_MS : LIMIT_KAFKA_REFUSED_MS);
}

static void look_after_session(struct helper *helper)
{
    struct kafka_link *link = helper->link;
    struct err err = {0};
    struct kafka_report report = {.probed = true};
    bool whole = ++helper->probes % WHOLE_PROBE == 0;
    int result = kafka_session_probe(helper->session, link->config, whole, helper->answer_ms,
                                     &report.probe, &err);
    if (result == 0) {
        notice_prompt(helper, report.probe.rtt_us);
        tell(link, &report);
        return;
    }
    if (result == -ETIMEDOUT)
        (void)give_more_time(helper); /* in the next session */
    tell_failure(link, &err);
}

static bool take_orders(struct helper *helper)
{
    struct kafka_link *link = helper->link;
    pthread_mutex_lock(&link->lock);
    bool closing = link->closing, discarded = link->discarded;
    pthread_mutex_unlock(&link->lock);
    if (closing || discarded)
        end_session(helper);
    pthread_mutex_lock(&link->lock);
    if (discarded) {
        helper->pause_ms = link->refused ? LIMIT_KAFKA_REFUSED_MS : LIMIT_KAFKA_RETRY_MS;
        link->discarded = link->refused = false;
    }
    pthread_mutex_unlock(&link->lock);
    return !closing;
}

static void count_helper(int difference)
{
    pthread_mutex_lock(&count_lock);
    helper_count += difference;
    pthread_cond_broadcast(&count_changed);
    pthread_mutex_unlock(&count_lock);
}

static void end_helper(void)
{
    pthread_mutex_lock(&count_lock);
    pthread_t before = last_ended;
    bool to_join = any_ended;
    last_ended = pthread_self();
    any_ended = true;
    pthread_mutex_unlock(&count_lock);
    if (to_join)
        pthread_join(before, NULL);
    count_helper(-1);
}

static void destroy_link(struct kafka_link *link)
{
    pthread_mutex_destroy(&link->lock);
    pthread_cond_destroy(&link->changed);
    kafka_config_destroy(link->config);
    memory_free(link);
}

static void *help(void *context)
{
    struct helper helper = {.link = context, .answer_ms = LIMIT_KAFKA_ANSWER_MS};
    while (take_orders(&helper)) {
        if (helper.pause_ms > 0) {
            wait_ms(helper.link, helper.pause_ms);
            helper.pause_ms = 0;
            continue;
        }
        if (!helper.ready) {
            open_session(&helper);
            continue;
        }
        wait_ms(helper.link, LIMIT_KAFKA_PROBE_MS);
        pthread_mutex_lock(&helper.link->lock);
        bool wanted = !helper.link->closing && !helper.link->discarded;
        pthread_mutex_unlock(&helper.link->lock);
        if (wanted)
            look_after_session(&helper);
    }
    destroy_link(helper.link);
    end_helper();
    return NULL;
}

/* Without signals: these are the main thread's. */
static int start_thread(struct kafka_link *link)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    count_helper(1);
    int result = pthread_create(&thread, NULL, help, link);
    if (result != 0)
        count_helper(-1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -result;
}

int kafka_link_open(struct kafka_config *config, kafka_wake_fn *wake, void *context,
                    struct kafka_link **ret_link, struct err *err)
{
    struct kafka_link *link = memory_alloc(sizeof *link);
    pthread_condattr_t attributes;
    link->config = config;
    link->wake = wake;
    link->context = context;
    pthread_mutex_init(&link->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&link->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    int result = start_thread(link);
    if (result != 0) {
        destroy_link(link);
        return err_set(err, result, "no thread for the kafka carrier: %s", strerror(-result));
    }
    *ret_link = link;
    return 0;
}

void kafka_link_close(struct kafka_link *link)
{
    pthread_mutex_lock(&link->lock);
    link->closing = true;
    link->wake = NULL;
    pthread_cond_signal(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

void kafka_link_take(struct kafka_link *link, struct kafka_report *ret_report)
{
    pthread_mutex_lock(&link->lock);
    *ret_report = link->report;
    link->report = (struct kafka_report){0};
    link->woken = false;
    pthread_mutex_unlock(&link->lock);
}

void kafka_link_discard(struct kafka_link *link, bool refused)
{
    pthread_mutex_lock(&link->lock);
    link->discarded = true;
    link->refused = refused;
    link->report = (struct kafka_report){0};
    pthread_cond_signal(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

bool kafka_carriers_settle(uint32_t timeout_ms)
{
    int64_t until_us = clock_wall_us() + (int64_t)timeout_ms * 1000;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    int result = 0;
    pthread_mutex_lock(&count_lock);
    while (helper_count > 0 && result == 0)
        result = pthread_cond_timedwait(&count_changed, &count_lock, &until);
    bool settled = helper_count == 0, to_join = settled && any_ended;
    pthread_t ended = last_ended;
    if (to_join)
        any_ended = false;
    pthread_mutex_unlock(&count_lock);
    if (to_join)
        pthread_join(ended, NULL);
    return settled;
}
