/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets and pauses; how they are written down is in egress_state.c. */
#include "feed/egress.h"

#include "base/memory.h"
#include "feed/egress_priv.h"

#include <assert.h>

#define NS_PER_S INT64_C(1000000000)
#define TOO_MANY_S 60 /* 429, 403, anything else */
#define BANNED_S 120  /* 418: Binance's shortest ban */
#define STATUS_BANNED 418
#define ESCAPED_MAX 6

static void limit_init(struct budget *budget, const struct rate_limit *limit, uint32_t slack_ms)
{
    budget_init(budget, limit->count, limit->window_ms + slack_ms);
}

static void ledger_init(struct ledger *ledger, const struct rate_limit *limit)
{
    limit_init(&ledger->own, limit, EGRESS_SLACK_MS);
    limit_init(&ledger->inherited, limit, EGRESS_SLACK_MS);
}

static void append_escaped(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < ' ')
            buffer_append_format(out, "\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            buffer_append_format(out, "\\%c", byte);
        else
            buffer_append(out, text, 1);
    }
}

struct egress *egress_create(const struct exchange *exchange, const char *address)
{
    struct egress *egress = memory_alloc(sizeof *egress);
    egress->exchange = exchange;
    buffer_init(&egress->address, ESCAPED_MAX * strlen(address));
    append_escaped(&egress->address, address);
    assert(!egress->address.overflowed);
    const struct exchange_limits *limits = &exchange->limits;
    egress->ledger_count = limits->rest_by_kind ? EGRESS_LEDGERS_MAX : 2;
    ledger_init(&egress->ledgers[0], &limits->connects);
    for (size_t i = 1; i < egress->ledger_count; i++)
        ledger_init(&egress->ledgers[i], &limits->rest);
    return egress;
}

void egress_destroy(struct egress *egress)
{
    if (egress == NULL)
        return;
    for (size_t i = 0; i < egress->ledger_count; i++) {
        budget_release(&egress->ledgers[i].own);
        budget_release(&egress->ledgers[i].inherited);
    }
    buffer_release(&egress->address);
    memory_free(egress);
}

static size_t ledger_of(const struct egress *egress, enum rest_kind kind)
{
    return egress->exchange->limits.rest_by_kind ? (size_t)kind + 1 : 1;
}

static bool is_paused(const struct egress *egress, int64_t now_ns)
{
    return egress->pause.is_set && egress->pause.until_ns > now_ns;
}

int64_t egress_paused_until_ns(const struct egress *egress, int64_t now_ns)
{
    return is_paused(egress, now_ns) ? egress->pause.until_ns : 0;
}

static int64_t egress_wait_ns(const struct egress *egress, size_t index, uint32_t weight,
                              int64_t now_ns)
{
    const struct ledger *ledger = &egress->ledgers[index];
    int64_t wait_ns = budget_wait_ns(&ledger->own, &ledger->inherited, weight, now_ns);
    int64_t pause_ns = is_paused(egress, now_ns) ? egress->pause.until_ns - now_ns : 0;
    return wait_ns > pause_ns ? wait_ns : pause_ns;
}

/* A request that says nothing of its weight is one request at least. */
static uint32_t weight_of(const struct rest_request *request)
{
    return request->weight > 0 ? request->weight : 1;
}

int64_t egress_connect_wait_ns(const struct egress *egress, int64_t now_ns)
{
    return egress_wait_ns(egress, 0, 1, now_ns);
}

int64_t egress_request_wait_ns(const struct egress *egress, const struct rest_request *request,
                               enum rest_kind kind, int64_t now_ns)
{
    return egress_wait_ns(egress, ledger_of(egress, kind), weight_of(request), now_ns);
}

void egress_connect(struct egress *egress, int64_t now_ns)
{
    budget_spend(&egress->ledgers[0].own, 1, now_ns);
}

void egress_request(struct egress *egress, const struct rest_request *request, enum rest_kind kind,
                    int64_t now_ns)
{
    budget_spend(&egress->ledgers[ledger_of(egress, kind)].own, weight_of(request), now_ns);
}

void egress_used(struct egress *egress, uint32_t weight, int64_t now_ns)
{
    for (size_t i = 1; i < egress->ledger_count; i++) {
        struct ledger *ledger = &egress->ledgers[i];
        uint64_t known =
            budget_used(&ledger->own, now_ns) + budget_used(&ledger->inherited, now_ns);
        if (weight > known)
            budget_spend(&ledger->own, weight - (uint32_t)known, now_ns);
    }
}

static int64_t pause_length_s(unsigned status, int64_t retry_after_s, unsigned strikes)
{
    int64_t base_s = status == STATUS_BANNED ? BANNED_S : TOO_MANY_S;
    if (retry_after_s >= 0)
        base_s = retry_after_s > 0 ? retry_after_s : 1;
    if (base_s > EGRESS_PAUSE_MAX_S)
        base_s = EGRESS_PAUSE_MAX_S;
    int64_t doubled_s = base_s;
    for (unsigned i = 0; i < strikes && doubled_s < EGRESS_PAUSE_DOUBLED_S; i++)
        doubled_s *= 2;
    if (doubled_s > EGRESS_PAUSE_DOUBLED_S)
        doubled_s = EGRESS_PAUSE_DOUBLED_S;
    return doubled_s > base_s ? doubled_s : base_s;
}

int64_t egress_pause(struct egress *egress, unsigned status, int64_t retry_after_s, int64_t now_ns)
{
    struct egress_pause_state *pause = &egress->pause;
    if (!pause->is_set || now_ns - pause->until_ns >= EGRESS_HOUR_NS)
        pause->strikes = 0;
    else if (now_ns >= pause->until_ns && pause->strikes < EGRESS_STRIKES_MAX)
        pause->strikes++;
    int64_t until_ns = now_ns + pause_length_s(status, retry_after_s, pause->strikes) * NS_PER_S;
    if (!pause->is_set || until_ns > pause->until_ns) {
        pause->is_set = true;
        pause->until_ns = until_ns;
        pause->status = status;
    }
    return pause->until_ns;
}

void egress_resume(struct egress *egress)
{
    egress->pause = (struct egress_pause_state){.is_set = false};
}

unsigned egress_pause_status(const struct egress *egress)
{
    return egress->pause.status;
}

/* ---- what may be sent on one connection ---- */

void message_budget_init(struct message_budget *budget, const struct exchange *exchange)
{
    for (size_t i = 0; i < COUNT_OF(budget->budgets); i++)
        limit_init(&budget->budgets[i], &exchange->limits.messages[i], EGRESS_MESSAGE_SLACK_MS);
}

void message_budget_release(struct message_budget *budget)
{
    for (size_t i = 0; i < COUNT_OF(budget->budgets); i++)
        budget_release(&budget->budgets[i]);
}

int64_t message_budget_wait_ns(const struct message_budget *budget, int64_t now_ns)
{
    int64_t wait_ns = 0;
    for (size_t i = 0; i < COUNT_OF(budget->budgets); i++) {
        int64_t one_ns = budget_wait_ns(&budget->budgets[i], NULL, 1, now_ns);
        wait_ns = one_ns > wait_ns ? one_ns : wait_ns;
    }
    return wait_ns;
}

void message_budget_spend(struct message_budget *budget, int64_t now_ns)
{
    for (size_t i = 0; i < COUNT_OF(budget->budgets); i++)
        budget_spend(&budget->budgets[i], 1, now_ns);
}
