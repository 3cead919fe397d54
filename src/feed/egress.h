/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one exchange allows one of our addresses: attempts to connect, weight of REST requests, and
 * the pauses that it demands (429, 418, Retry-After). It lives outside the session, so that a
 * session that is made again, a second connection and REST requests all spend from the same; and it
 * can be written down and given to another process, which then goes on where this one stopped. What
 * may be sent on one connection is that connection's own (struct message_budget).
 *
 * No I/O and no clock of its own: now_ns is the monotonic time, whatever its origin. Thread: the
 * session's.
 *
 * An exchange counts what arrives, not what is sent, and the way there varies: each window is
 * EGRESS_SLACK_MS longer than its documentation says. Clocks of processes that hand over may differ
 * by as much.
 */
#pragma once

#include "base/buffer.h"
#include "exchange/exchange.h"
#include "feed/budget.h"

#define EGRESS_SLACK_MS 200
/* Messages of one connection are counted as they arrive as well, and a lost packet is sent again
 * after 200 ms or more, together with what comes behind it. */
#define EGRESS_MESSAGE_SLACK_MS 1000
#define EGRESS_PAUSE_DOUBLED_S 3600 /* doubling ends here */
#define EGRESS_PAUSE_MAX_S                                                                         \
    (7 * 24 * 3600) /* whatever an exchange says: it can't stop us for ever */
#define EGRESS_TEXT_MAX                                                                            \
    (64 * KIBIBYTE) /* of what egress_read takes; what is written is shorter                       \
                     */

struct egress;

/* address: what the exchange sees us as, a label: "" for the node's own, or the proxy's name.
 * Copied. */
struct egress *egress_create(const struct exchange *exchange, const char *address) MUST_CHECK;
void egress_destroy(struct egress *egress); /* NULL is a no-op */

/* How long to wait until a connection may be attempted, or a request of this kind and weight sent;
 * 0: now. A pause counts for both. A weight over the whole budget waits for an empty one. */
int64_t egress_connect_wait_ns(const struct egress *egress, int64_t now_ns);
int64_t egress_request_wait_ns(const struct egress *egress, const struct rest_request *request,
                               enum rest_kind kind, int64_t now_ns);

/* It was done. */
void egress_connect(struct egress *egress, int64_t now_ns);
void egress_request(struct egress *egress, const struct rest_request *request, enum rest_kind kind,
                    int64_t now_ns);

/* What the exchange says that we have used of its present window (X-MBX-USED-WEIGHT-1M): more than
 * we know of is believed (of every kind, where each has its own budget), less is not. */
void egress_used(struct egress *egress, uint32_t weight, int64_t now_ns);

/*
 * The exchange wants nothing for so long: retry_after_s as it said (-1: it did not), status 429,
 * 418 or another. Without a time: 429 and 403 a minute, 418 two, and each time within an hour twice
 * as long, up to an hour; with one at least that, and doubled in the same way. What comes while it
 * is paused is of the same occasion and doubles nothing. A pause never becomes shorter, nor longer
 * than EGRESS_PAUSE_MAX_S. Returns its end.
 */
int64_t egress_pause(struct egress *egress, unsigned status, int64_t retry_after_s, int64_t now_ns);

/* 0: not paused; else when it ends. And the status that the last pause came with; 0: none yet. */
int64_t egress_paused_until_ns(const struct egress *egress, int64_t now_ns);

/* Whoever paused us is not asked any more: the operator has named another address. */
void egress_resume(struct egress *egress);
unsigned egress_pause_status(const struct egress *egress);

/*
 * One line of JSON, without the newline, times as wall time (wall_us is now_ns's):
 * {"exchange","address",...}. At most some 10 KB and the address: what was spent close together (a
 * 64th of the window) is written as spent at the last of its times, which is stricter.
 */
void egress_write(const struct egress *egress, int64_t now_ns, int64_t wall_us, struct buffer *out);

/* Takes over what egress_write of the same exchange and address gave: the stricter of both,
 * and what this process has spent itself counts beside it; so reading again and again is no harm,
 * and both together stay within the limit, whoever spent first. -EINVAL when it is no such text,
 * -ENOENT when it is another's; then nothing was taken. Times in the future of wall_us, but of a
 * pause, count as now. */
int egress_read(struct egress *egress, struct slice text, int64_t now_ns, int64_t wall_us,
                struct err *err) MUST_CHECK;

/* ---- what may be sent on one connection; begins anew with each (init after release) ---- */

struct message_budget {
    struct budget budgets[COUNT_OF(((struct exchange_limits *)0)->messages)];
};

void message_budget_init(struct message_budget *budget, const struct exchange *exchange);
void message_budget_release(struct message_budget *budget);
int64_t message_budget_wait_ns(const struct message_budget *budget, int64_t now_ns);
void message_budget_spend(struct message_budget *budget, int64_t now_ns);
