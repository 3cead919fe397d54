/* SPDX-License-Identifier: Apache-2.0 */
/* The table of last values, shared by what fills it (keeper.c) and what is asked (lookup.c). */
#pragma once

#include "base/metrics.h"
#include "keeper/keeper.h"
#include "keeper/trade_ring.h"
#include "market/book.h"
#include "market/read.h"

#define KEY_MAX (2 * LIMIT_KEY)

struct kept_book {
    struct book book;
    bool vouched; /* a snapshot came, and nothing took it back */
    enum book_proof proof;
    uint32_t depth;
    int64_t exchange_us, received_us;
    struct symbol symbol;
    char reason[LIMIT_REASON + 1]; /* why it is not vouched for; "": nobody said */
};

struct entry {
    enum event_type type;
    uint64_t hash;
    size_t key_size;
    char key[KEY_MAX];         /* exchange, symbol and channel, each ended by a NUL */
    int64_t seq;               /* of the record that changed it last */
    struct buffer text;        /* that record; unused for a book */
    struct kept_book *book;    /* owned; of a book */
    struct trade_ring *trades; /* owned; of a trade */
    enum status_state state;   /* of a status */
};

struct keeper {
    uint32_t book_depth;
    struct entry **slots; /* open addressing, a power of two, at most half full */
    size_t slot_count;
    struct entry **entries; /* in the order of their coming */
    size_t entry_count;
    struct metric *unreadable;
    struct level *levels; /* two sides of book_depth, for writing a snapshot */
    struct buffer message;
    struct read_scratch *scratch;
};

struct entry_key {
    struct slice exchange;
    struct slice symbol;  /* empty: none */
    struct slice channel; /* of a status; empty: none */
};

/* NULL: not there. */
struct entry *keeper_find(const struct keeper *keeper, enum event_type type,
                          const struct entry_key *key);

/* Appends the book as a message of type book, action snapshot; depth: 1 to book_depth. */
void keeper_write_book(struct keeper *keeper, const struct entry *entry, uint32_t depth,
                       struct buffer *out);
