/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The half of a node that collects: a session for each enabled exchange, what the exchanges allow
 * our address (kept over a restart in node.state_file), and the way out. Thread: main.
 */
#pragma once

#include "feed/session.h"
#include "node/settings_reload.h"

struct collection;

struct collection_options {
    struct loop *loop;
    const struct settings *settings;   /* borrowed; what reload changes is read again */
    struct sequencer *sequencer;       /* borrowed */
    bool learn;                        /* see session_options */
    bool blind, as_is;                 /* the same */
    const struct publisher_past *past; /* what the log has; borrowed; NULL: nothing */
    /* Who sees the raw traffic of an exchange; NULL: nobody. What it gives is borrowed. */
    const struct session_tap *(*tap)(void *context, const char *exchange);
    void *context;
};

/* Nothing is collected yet. */
int collection_create(const struct collection_options *options, struct collection **ret_collection,
                      struct err *err) MUST_CHECK;
void collection_destroy(struct collection *collection); /* NULL is a no-op */

/*
 * A session for each enabled exchange, from now on: the sequencer takes what they publish. Begun
 * again after collection_leave it is another leadership: books begin with snapshots. An exchange
 * that can't be collected is said in the log, the others are.
 */
void collection_start(struct collection *collection);

/* Leaves the exchanges, and stays. */
void collection_leave(struct collection *collection);
bool collection_is_started(const struct collection *collection);

/* Takes over what has changed in the settings. What can't be is said in the log, and stays as it
 * was. */
void collection_reload(struct collection *collection, const struct settings_reload *reload);

/* Names of what is enabled (collected here while it is started), ends with NULL; one array for its
 * whole life. */
const char *const *collection_names(const struct collection *collection);

size_t collection_count(const struct collection *collection);
const struct settings_exchange *collection_settings(const struct collection *collection,
                                                    size_t index);
/* False when it is not collected here now. */
bool collection_describe(const struct collection *collection, size_t index,
                         struct session_info *ret_info) MUST_CHECK;
