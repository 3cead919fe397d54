/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings, read again while the node runs: what may change takes its new value, what needs a
 * restart keeps the one it has, and of a source that is wrong nothing is taken.
 *
 * Only fields of live keys whose value differs are touched. All other texts and lists stay where
 * they are, so that whoever borrowed one keeps it; what was put away is kept in `replaced` until
 * the reload is released, so that whoever borrowed that has time to let go.
 *
 * Thread: the node's, main.
 */
#pragma once

#include "node/settings.h"

struct settings_reload {
    struct text_list live;    /* keys that have a new value now, in the table's order */
    struct text_list restart; /* keys that differ, but keep the running value until a restart */
    struct settings replaced; /* of the live ones the values that they had; the rest is of no use */
};

/*
 * Loads again from the same sources and takes over into `running` what may change. On failure err
 * says what settings_load would, or why the new values do not go together with those that stay,
 * or that the file is empty; then `running` is what it was, and there is nothing to release.
 */
int settings_reload(struct settings *running, const struct settings_options *options,
                    struct settings_reload *ret_reload, struct err *err) MUST_CHECK;

void settings_reload_release(struct settings_reload *reload);

/* Is this a key with a new value, or does one begin with it ("exchanges.upbit.", "log.")? */
bool settings_reload_has(const struct settings_reload *reload, const char *key);

/* "exchanges.upbit.symbols, log.level" for the log; "" for none. A list that does not fit into
 * `out` ends with "...". */
void settings_reload_say(const struct text_list *keys, char *out, size_t out_size);
