/* SPDX-License-Identifier: Apache-2.0 */
/* Everything random of a schedule comes from its seed, through dice: splitmix64, a value. */
#pragma once

#include "base/attr.h"

struct dice {
    uint64_t state;
};

static inline uint64_t dice_roll(struct dice *dice)
{
    uint64_t mixed = (dice->state += UINT64_C(0x9e3779b97f4a7c15));
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* Uniform in 0 .. bound - 1. */
static inline uint32_t dice_below(struct dice *dice, uint32_t bound)
{
    return (uint32_t)((dice_roll(dice) >> 32) * bound >> 32);
}

/* Uniform in least .. most. */
static inline int64_t dice_between(struct dice *dice, int64_t least, int64_t most)
{
    return least + (int64_t)dice_below(dice, (uint32_t)(most - least + 1));
}

/* True `percent` times of a hundred. */
static inline bool dice_chance(struct dice *dice, uint32_t percent)
{
    return dice_below(dice, 100) < percent;
}
