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
    const struct settings *settings; /* borrowed; what reload changes is read again */
    struct sequencer *sequencer;     /* borrowed */
    bool learn;                      /* see session_options */
    bool blind, as_is;               /* the same */
    /* Who sees the raw traffic of an exchange; NULL: nobody. What it gives is borrowed. */
    const struct session_tap *(*tap)(void *context, const char *exchange);
    void *context;
};

int collection_create(const struct collection_options *options, struct collection **ret_collection,
                      struct err *err) MUST_CHECK;
void collection_start(struct collection *collection);
void collection_destroy(struct collection *collection); /* NULL is a no-op */

/* Leaves the exchanges, and stays. */
void collection_leave(struct collection *collection);

/* Takes over what has changed in the settings. What can't be is said in the log, and stays as it
 * was. */
void collection_reload(struct collection *collection, const struct settings_reload *reload);

/* Names of what is collected, ends with NULL; one array for its whole life. */
const char *const *collection_names(const struct collection *collection);

size_t collection_count(const struct collection *collection);
const struct settings_exchange *collection_settings(const struct collection *collection,
                                                    size_t index);
void collection_describe(const struct collection *collection, size_t index,
                         struct session_info *ret_info);
