/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every decoder is put through with every fixture of its folder. A fixture is a line
 * {"note","op","raw","expect"}; `expect` is what dump_batch must write, byte for byte. Paths are
 * relative to the root of the sources, where the tests run. Failures are cmocka's.
 */
#pragma once

#include "exchange/exchange.h"

struct fixtures {
    const struct exchange *exchange;
    const char *path;
    const char *const *symbols; /* what the session asked for; NULL-terminated */
};

/* Each message gives what is expected. Returns how many there were. */
unsigned fixtures_check_whole(const struct fixtures *fixtures);

/* No beginning of a message gives events, wherever it is cut. */
void fixtures_check_cuts(const struct fixtures *fixtures);

/* Members of objects in another order give the same. */
void fixtures_check_orders(const struct fixtures *fixtures);

/* Damaged messages give a verdict and never break a promise of exchange.h. */
void fixtures_check_damage(const struct fixtures *fixtures);

/* The promises of a batch, whatever the bytes were. */
void fixtures_check_batch(const struct exchange *exchange, enum decode_verdict verdict,
                          const struct event_batch *batch);

/* Puts "BASE-QUOTE" into instruments; the test fails when it cannot be spelled. */
struct instrument *fixtures_add(struct instruments *instruments, const struct exchange *exchange,
                                const char *name);
