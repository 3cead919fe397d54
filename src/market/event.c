/* SPDX-License-Identifier: Apache-2.0 */
/* The words of events, as they stand in the JSON: the writer and the reader share them. */
#include "market/event.h"

const char *const event_type_names[EVENT_TYPE_COUNT] = {
    [EVENT_TRADE] = "trade", [EVENT_TICKER] = "ticker", [EVENT_QUOTE] = "quote",
    [EVENT_BOOK] = "book",   [EVENT_STATUS] = "status", [EVENT_GAP] = "gap",
    [EVENT_EPOCH] = "epoch", [EVENT_CANDLE] = "candle",
};

const char *const ticker_field_names[TICKER_FIELD_COUNT] = {
    [TICKER_LAST] = "last",     [TICKER_OPEN] = "open",
    [TICKER_HIGH] = "high",     [TICKER_LOW] = "low",
    [TICKER_VOLUME] = "volume", [TICKER_QUOTE_VOLUME] = "quote_volume",
    [TICKER_BID] = "bid",       [TICKER_BID_SIZE] = "bid_size",
    [TICKER_ASK] = "ask",       [TICKER_ASK_SIZE] = "ask_size",
};

const char *const side_names[SIDE_SELL + 1] = {[SIDE_BUY] = "buy", [SIDE_SELL] = "sell"};

const char *const trade_origin_names[TRADE_SNAPSHOT + 1] = {
    [TRADE_LIVE] = "live",
    [TRADE_REST] = "rest",
    [TRADE_SNAPSHOT] = "snapshot",
};

const char *const book_action_names[BOOK_UPDATE + 1] = {
    [BOOK_SNAPSHOT] = "snapshot",
    [BOOK_UPDATE] = "update",
};

const char *const book_proof_names[BOOK_PROOF_WHOLE + 1] = {
    [BOOK_PROOF_NONE] = "none",
    [BOOK_PROOF_CHAIN] = "chain",
    [BOOK_PROOF_CHECKSUM] = "checksum",
    [BOOK_PROOF_WHOLE] = "whole",
};

const char *const status_state_names[STATUS_DOWN + 1] = {
    [STATUS_CONNECTING] = "connecting",
    [STATUS_LIVE] = "live",
    [STATUS_STALE] = "stale",
    [STATUS_DOWN] = "down",
};
