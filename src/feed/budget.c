/* SPDX-License-Identifier: Apache-2.0 */
/* The last `count` times in a ring: the oldest of them decides when one more is allowed. */
#include "feed/budget.h"

#define NEVER_NS INT64_MIN

void budget_init(struct budget *budget, uint32_t count, uint32_t window_ms)
{
    budget->count = count > BUDGET_COUNT_MAX ? BUDGET_COUNT_MAX : count;
    budget->window_ns = (int64_t)window_ms * 1000000;
    budget->next = 0;
    for (uint32_t i = 0; i < BUDGET_COUNT_MAX; i++)
        budget->times_ns[i] = NEVER_NS;
}

int64_t budget_wait_ns(const struct budget *budget, int64_t now_ns)
{
    if (budget->count == 0)
        return 0;
    int64_t oldest = budget->times_ns[budget->next];
    if (oldest == NEVER_NS || now_ns - oldest >= budget->window_ns)
        return 0;
    return budget->window_ns - (now_ns - oldest);
}

void budget_spend(struct budget *budget, int64_t now_ns)
{
    if (budget->count == 0)
        return;
    budget->times_ns[budget->next] = now_ns;
    budget->next = (budget->next + 1) % budget->count;
}
