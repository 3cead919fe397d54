/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of last values, shared by what fills it (keeper.c), what saves and loads it (state.c)
 * and what is asked (lookup.c).
 *
 * An entry holds all records up to its `through`, and one with a seq up to there is ignored for it.
 * 0: it is not determined. No record that came determined it: of a text any one does, of a book a
 * snapshot, or what took it back. Only then can somebody else's state tell anything that was not
 * read here, and only then is it loaded.
 */
#pragma once

#include "base/metrics.h"
#include "keeper/keeper.h"
#include "keeper/pair_table.h"
#include "keeper/trade_ring.h"
#include "market/book.h"
#include "market/read.h"

#define KEY_MAX (2 * LIMIT_KEY)
#define SNAPSHOT_MARK ",\"snapshot\":true}"

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
    int64_t through;           /* it holds the records up to there; 0: it is not determined */
    struct pair *pair;         /* borrowed: whose it is */
    struct entry *pair_next;   /* borrowed: of the same pair */
    struct buffer text;        /* that record; unused for a book */
    struct kept_book *book;    /* owned; of a book */
    struct trade_ring *trades; /* owned; of a trade */
    enum status_state state;   /* of a status */
};

struct keeper {
    struct journal *journal; /* borrowed */
    uint32_t book_depth;
    int64_t heard_from;   /* seq of the first record heard; 0: none was */
    int64_t heard_to;     /* of the last one */
    struct entry **slots; /* open addressing, a power of two, at most half full */
    size_t slot_count;
    struct entry **entries; /* in the order of their coming */
    size_t entry_count;
    struct entry **sorted; /* the same, in the order in which they are told */
    size_t sorted_count;   /* what of `entries` is in it */
    struct pair_table pairs;
    struct metric *unreadable;
    struct level *levels; /* two sides of LIMIT_BOOK_DEPTH, for writing a snapshot */
    struct buffer message;
    struct buffer text; /* what is read, with its padding */
    struct read_scratch *scratch;
};

struct entry_key {
    struct slice exchange;
    struct slice symbol;  /* empty: none */
    struct slice channel; /* of a status; empty: none */
};

/*
 * What an accepted record says. Malformed as well: one that ends in white space, or that says of
 * itself that it belongs to a snapshot; what is told of either would be no message of ours.
 */
enum read_verdict keeper_read_record(struct keeper *keeper, const struct record *record,
                                     struct read_message *ret_message) MUST_CHECK;

/* The message changes what it concerns. False: no room. */
bool keeper_keep(struct keeper *keeper, const struct read_message *message,
                 const struct record *record);

/* A new epoch of that seq began: the book, if it is one, counts no more. */
void entry_take_back(struct entry *entry, int64_t seq);

/*
 * The message of a snapshot becomes its entry, which holds the records up to `through`; nothing
 * when the entry is determined. record: the message without the mark, its seq and text alone.
 * False: no room.
 */
bool keeper_install(struct keeper *keeper, const struct read_message *message,
                    const struct record *record, int64_t through);

/* The entry's message of a snapshot, into keeper->message. False: there is none. */
bool keeper_tell(struct keeper *keeper, const struct entry *entry);

/* NULL: not there. */
struct entry *keeper_find(const struct keeper *keeper, enum event_type type,
                          const struct entry_key *key);

/* Appends the book as a message of type book, action snapshot; depth: 1 to LIMIT_BOOK_DEPTH. */
void keeper_write_book(struct keeper *keeper, const struct entry *entry, uint32_t depth,
                       struct buffer *out);
