/* SPDX-License-Identifier: Apache-2.0 */
/* One question at a time: the list of markets first, then whoever has been suspect. */
#include "feed/doctor.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "feed/backoff.h"
#include "net/http_client.h"

#include <assert.h>
#include <stdio.h>

#define NS_PER_MS 1000000
#define TICKERS_MAX 200
#define MARKETS_AGAIN_MS 60000
#define BOOK_LEVELS 5 /* the cheapest: only its age is looked at */
#define BOOK_CHANNELS (CHANNEL_BIT(CHANNEL_BOOK) | CHANNEL_BIT(CHANNEL_QUOTE))
#define TRADE_CHANNELS (CHANNEL_BIT(CHANNEL_TRADE) | CHANNEL_BIT(CHANNEL_TICKER))
#define PATH_MAX_SIZE (LIMIT_URL + LIMIT_REST_PATH)

struct question {
    enum rest_kind kind;
    uint32_t channels; /* whose units wait for the answer */
    uint32_t count;
    uint32_t index[TICKERS_MAX]; /* of instruments */
    bool answered[TICKERS_MAX];
};

struct doctor {
    struct doctor_options options; /* without rest_url */
    struct doctor_callbacks callbacks;
    void *context;
    struct http_client *client; /* owned; NULL: nothing is being asked */
    struct question question;
    bool *listed; /* of each instrument, while a list of markets is read */
    bool any_market;
    bool markets_wanted;
    int64_t markets_ns; /* asked last; 0: never */
    int64_t next_ns;    /* not before */
    struct backoff backoff;
    uint32_t cursor;       /* so that everybody's turn comes */
    uint32_t tickers_most; /* asked for at once; fewer after a list was refused */
    bool books_next;
    char rest_url[LIMIT_URL];
};

struct doctor *doctor_create(const struct doctor_options *options,
                             const struct doctor_callbacks *callbacks, void *context)
{
    struct doctor *doctor = memory_alloc(sizeof *doctor);
    doctor->options = *options;
    doctor->options.rest_url = NULL;
    doctor->callbacks = *callbacks;
    doctor->context = context;
    bool fits = slice_copy(slice_of(options->rest_url), doctor->rest_url, sizeof doctor->rest_url);
    assert(fits); /* the settings have bounded it */
    (void)fits;
    doctor->tickers_most = TICKERS_MAX;
    doctor->listed = memory_array(LIMIT_EXCHANGE_SYMBOLS, sizeof *doctor->listed);
    return doctor;
}

static void leave_unanswered(struct doctor *doctor);

void doctor_destroy(struct doctor *doctor)
{
    if (doctor == NULL)
        return;
    if (doctor->client != NULL)
        leave_unanswered(doctor); /* nobody waits for ever */
    http_client_destroy(doctor->client);
    memory_free(doctor->listed);
    memory_free(doctor);
}

void doctor_want_markets(struct doctor *doctor)
{
    doctor->markets_wanted = true;
}

/* ---- answers ---- */

static void fact_of_market(struct doctor *doctor, struct slice native, bool tradable)
{
    struct instruments *catalogue = doctor->options.catalogue;
    struct instrument *instrument = instruments_find(catalogue, doctor->options.exchange, native);
    doctor->any_market |= tradable;
    if (instrument != NULL && tradable)
        doctor->listed[instrument - instruments_at(catalogue, 0)] = true;
}

static void tell_fact(struct doctor *doctor, uint32_t index, const struct rest_fact *fact)
{
    struct instrument *instrument = instruments_at(doctor->options.catalogue, index);
    struct rest_fact known = *fact;
    bool best = fact->bid.size.mantissa != 0 && fact->ask.size.mantissa != 0;
    if (best && doctor->callbacks.same_book(doctor->context, instrument, &fact->bid, &fact->ask))
        known.book_id = 1; /* older than anything: what changed is deeper */
    units_fact(doctor->options.units, index, doctor->question.channels, &known,
               clock_monotonic_ns());
}

static void fact_of_units(struct doctor *doctor, const struct rest_fact *fact)
{
    struct question *question = &doctor->question;
    struct instruments *catalogue = doctor->options.catalogue;
    for (uint32_t i = 0; i < question->count; i++) {
        struct instrument *instrument = instruments_at(catalogue, question->index[i]);
        /* An answer about one instrument need not name it. */
        bool named = fact->native.size == 0 ? question->count == 1
                                            : slice_is(fact->native, instrument->native);
        if (!named || question->answered[i])
            continue;
        question->answered[i] = true;
        tell_fact(doctor, question->index[i], fact);
    }
}

static void on_fact(void *context, const struct rest_fact *fact)
{
    struct doctor *doctor = context;
    if (doctor->question.kind == REST_MARKETS)
        fact_of_market(doctor, fact->native, fact->tradable);
    else
        fact_of_units(doctor, fact);
}

/* Whom no fact came for. */
static void leave_unanswered(struct doctor *doctor)
{
    struct question *question = &doctor->question;
    for (uint32_t i = 0; i < question->count; i++)
        if (!question->answered[i])
            units_fact(doctor->options.units, question->index[i], question->channels, NULL,
                       clock_monotonic_ns());
}

/* Whether the list would name it. */
static bool list_covers(const struct exchange *exchange, const struct instrument *instrument)
{
    struct slice quote;
    slice_split(symbol_slice(&instrument->symbol), '-', &quote);
    return exchange->listed_quote == NULL || slice_is(quote, exchange->listed_quote);
}

static void end_markets(struct doctor *doctor)
{
    struct instruments *catalogue = doctor->options.catalogue;
    for (uint32_t i = 0; i < instruments_count(catalogue); i++) {
        struct instrument *instrument = instruments_at(catalogue, i);
        if (list_covers(doctor->options.exchange, instrument))
            doctor->callbacks.market(doctor->context, instrument, doctor->listed[i]);
    }
}

static void note_headers(struct doctor *doctor, const struct http_client_result *result)
{
    uint64_t used = 0;
    if (result->head == NULL)
        return;
    struct slice weight = http_header_find(result->head, "x-mbx-used-weight-1m");
    if (weight.size > 0 && slice_to_uint64(weight, UINT32_MAX, &used))
        egress_used(doctor->options.egress, (uint32_t)used, clock_monotonic_ns());
}

static void no_answer(struct doctor *doctor, const char *reason, struct slice words)
{
    uint32_t wait_ms = backoff_next_ms(&doctor->backoff, random_below(UINT32_MAX));
    doctor->next_ns = clock_monotonic_ns() + (int64_t)wait_ms * NS_PER_MS;
    log_warn("feed", log_text("msg", "REST gave no answer"),
             log_text("exchange", doctor->options.exchange->name), log_text("reason", reason),
             log_slice("words", words), log_int("next_ms", wait_ms));
}

static bool is_pause(unsigned status)
{
    return status == 429 || status == 418 || status == 403;
}

/* One symbol that is not listed fails the request for all of them. */
static bool list_refused(const struct doctor *doctor, unsigned status)
{
    return doctor->question.kind == REST_TICKERS && doctor->question.count > 1 && status >= 400 &&
           status < 500 && !is_pause(status);
}

/* They are asked about again, fewer at once, until the one stands alone; the list of markets may
 * name it. */
static void ask_fewer(struct doctor *doctor)
{
    struct question *question = &doctor->question;
    doctor->tickers_most = question->count / 2;
    doctor->markets_wanted = true;
    doctor->cursor = question->index[0];
    for (uint32_t i = 0; i < question->count; i++)
        for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
            struct unit *unit =
                units_at(doctor->options.units, question->index[i], (enum channel)c);
            if ((question->channels & CHANNEL_BIT(c)) != 0 && unit->state == UNIT_ASKED)
                unit->state = UNIT_SUSPECT;
        }
    question->count = 0;
}

/* Back to long lists, step by step. */
static void ask_more(struct doctor *doctor)
{
    doctor->tickers_most *= 2;
    if (doctor->tickers_most > TICKERS_MAX)
        doctor->tickers_most = TICKERS_MAX;
}

static bool read_answer(struct doctor *doctor, const struct http_client_result *result)
{
    struct slice note = {0};
    char reason[64];
    if (result->status == 0) {
        no_answer(doctor, result->reason, note);
        return false;
    }
    const struct exchange *exchange = doctor->options.exchange;
    bool read = exchange->rest_read(doctor->question.kind, result->body, on_fact, doctor, &note);
    if (doctor->question.kind == REST_MARKETS && !doctor->any_market)
        read = false; /* an exchange without a single market is out of order */
    if (read && result->status == 200)
        return true;
    snprintf(reason, sizeof reason, "status %u", result->status);
    no_answer(doctor, reason,
              (struct slice){.data = note.data, .size = note.size < 200 ? note.size : 200});
    return false;
}

static void on_done(void *context, const struct http_client_result *result)
{
    struct doctor *doctor = context;
    struct http_client *client = doctor->client;
    unsigned status = result->status;
    doctor->client = NULL;
    note_headers(doctor, result);
    if (list_refused(doctor, status)) {
        ask_fewer(doctor);
    } else if (read_answer(doctor, result)) {
        backoff_reset(&doctor->backoff);
        if (doctor->question.kind == REST_TICKERS)
            ask_more(doctor);
        if (doctor->question.kind == REST_MARKETS)
            end_markets(doctor);
    } else if (doctor->question.kind == REST_MARKETS) {
        doctor->markets_wanted = true; /* still */
    }
    leave_unanswered(doctor);
    if (is_pause(status)) {
        egress_pause(doctor->options.egress, status, result->retry_after_s, clock_monotonic_ns());
        doctor->callbacks.paused(doctor->context);
    }
    http_client_destroy(client);
}

/* ---- questions ---- */

static bool suspect(struct doctor *doctor, uint32_t index, uint32_t channels)
{
    for (unsigned c = 0; c < CHANNEL_COUNT; c++)
        if ((channels & CHANNEL_BIT(c)) != 0 &&
            units_at(doctor->options.units, index, (enum channel)c)->state == UNIT_SUSPECT)
            return true;
    return false;
}

static void mark_asked(struct doctor *doctor, uint32_t index, uint32_t channels)
{
    for (unsigned c = 0; c < CHANNEL_COUNT; c++) {
        struct unit *unit = units_at(doctor->options.units, index, (enum channel)c);
        if ((channels & CHANNEL_BIT(c)) != 0 && unit->state == UNIT_SUSPECT)
            unit->state = UNIT_ASKED;
    }
}

/* Those that wait for this kind of answer, from the cursor on; returns how many. */
static uint32_t gather(struct doctor *doctor, uint32_t channels, uint32_t most)
{
    struct question *question = &doctor->question;
    uint32_t total = instruments_count(doctor->options.catalogue);
    question->count = 0;
    question->channels = channels;
    for (uint32_t i = 0; i < total && question->count < most; i++) {
        uint32_t index = (doctor->cursor + i) % total;
        if (suspect(doctor, index, channels))
            question->index[question->count++] = index;
    }
    return question->count;
}

static bool make_request(struct doctor *doctor, struct rest_request *request)
{
    struct question *question = &doctor->question;
    const struct instrument *instruments[TICKERS_MAX];
    for (uint32_t i = 0; i < question->count; i++)
        instruments[i] = instruments_at(doctor->options.catalogue, question->index[i]);
    struct rest_query query = {
        .kind = question->kind,
        .instrument = question->count > 0 ? instruments[0] : NULL,
        .instruments = instruments,
        .instrument_count = question->count,
        .limit = question->kind == REST_BOOK ? BOOK_LEVELS : 0,
        .from_id = -1,
    };
    *request = (struct rest_request){0};
    return doctor->options.exchange->rest_request(&query, request);
}

static void ask(struct doctor *doctor, const struct rest_request *request, int64_t now_ns)
{
    char url[PATH_MAX_SIZE];
    struct err err = {0};
    snprintf(url, sizeof url, "%s%s", doctor->rest_url, request->path);
    const struct http_client_options options = {
        .url = url,
        .tls = doctor->options.tls,
        .proxy = doctor->options.proxy,
        .body_max = LIMIT_REST_ANSWER,
        .timeout_ms = LIMIT_REST_MS,
    };
    egress_request(doctor->options.egress, request, doctor->question.kind, now_ns);
    if (http_client_get(doctor->options.loop, &options, on_done, doctor, &doctor->client, &err) ==
        0)
        return;
    no_answer(doctor, err.text, (struct slice){0});
    leave_unanswered(doctor);
}

/* The question that is written down, if it can be asked now; units are marked only then. */
static void try_question(struct doctor *doctor, int64_t now_ns)
{
    struct question *question = &doctor->question;
    struct rest_request request;
    memset(question->answered, 0, sizeof question->answered);
    bool can = doctor->options.exchange->rest_read != NULL && make_request(doctor, &request);
    if (can && question->kind == REST_TICKERS)
        question->count = request.instrument_count;
    if (can && egress_request_wait_ns(doctor->options.egress, &request, question->kind, now_ns) > 0)
        return;
    if (question->count > 0)
        doctor->cursor = question->index[question->count - 1] + 1;
    for (uint32_t i = 0; i < question->count; i++)
        mark_asked(doctor, question->index[i], question->channels);
    if (can && now_ns >= doctor->next_ns)
        ask(doctor, &request, now_ns);
    else
        leave_unanswered(doctor);
}

static bool markets_due(const struct doctor *doctor, int64_t now_ns)
{
    return doctor->markets_wanted && now_ns >= doctor->next_ns &&
           (doctor->markets_ns == 0 ||
            now_ns - doctor->markets_ns >= (int64_t)MARKETS_AGAIN_MS * NS_PER_MS);
}

static void ask_markets(struct doctor *doctor, int64_t now_ns)
{
    doctor->question.kind = REST_MARKETS;
    doctor->question.count = 0;
    doctor->any_market = false;
    memset(doctor->listed, 0, LIMIT_EXCHANGE_SYMBOLS * sizeof *doctor->listed);
    try_question(doctor, now_ns);
    if (doctor->client == NULL)
        return;
    doctor->markets_wanted = false;
    doctor->markets_ns = now_ns;
}

static void ask_about(struct doctor *doctor, bool books, int64_t now_ns)
{
    doctor->question.kind = books ? REST_BOOK : REST_TICKERS;
    if (gather(doctor, books ? BOOK_CHANNELS : TRADE_CHANNELS, books ? 1 : doctor->tickers_most) >
        0)
        try_question(doctor, now_ns);
}

void doctor_check(struct doctor *doctor, int64_t now_ns)
{
    if (doctor->client == NULL && markets_due(doctor, now_ns))
        ask_markets(doctor, now_ns);
    for (int i = 0; i < 2 && doctor->client == NULL; i++) {
        doctor->books_next = !doctor->books_next;
        ask_about(doctor, doctor->books_next, now_ns);
    }
}
