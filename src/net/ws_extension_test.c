/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_deflate.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PLAIN                                                                                      \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "client_no_context_takeover\r\n"
#define WITH_WINDOW                                                                                \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "                   \
    "client_no_context_takeover; server_max_window_bits=15\r\n"

struct offer_case {
    const char *first;
    const char *second; /* a second header; NULL: none */
    const char *answer; /* NULL: a plain connection */
};

static struct http_head head_of(const char *first, const char *second)
{
    struct http_head head = {.header_count = 0};
    head.header[head.header_count++] =
        (struct http_header){.name = SLICE("Host"), .value = SLICE("permessage-deflate")};
    if (first != NULL)
        head.header[head.header_count++] = (struct http_header){
            .name = SLICE("Sec-WebSocket-Extensions"), .value = slice_of(first)};
    if (second != NULL)
        head.header[head.header_count++] = (struct http_header){
            .name = SLICE("sec-websocket-EXTENSIONS"), .value = slice_of(second)};
    return head;
}

static const struct offer_case offers[] = {
    {NULL, NULL, NULL},
    {"", NULL, NULL},
    {"permessage-deflate", NULL, PLAIN},
    {" \tpermessage-deflate\t ", NULL, PLAIN},
    {"permessage-deflate; client_max_window_bits", NULL, PLAIN}, /* what browsers send */
    {"permessage-deflate;client_max_window_bits=8", NULL, PLAIN},
    {"permessage-deflate; client_max_window_bits = \"15\"", NULL, PLAIN},
    {"permessage-deflate; client_max_window_bits=\"\\1\\0\"", NULL, PLAIN},
    {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", NULL, PLAIN},
    {"permessage-deflate; server_max_window_bits=15", NULL, WITH_WINDOW},
    {"permessage-deflate; server_max_window_bits=\"15\"; client_max_window_bits", NULL,
     WITH_WINDOW},
    {"permessage-deflate; server_max_window_bits=14", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=8", NULL, NULL},
    /* the next one may fit */
    {"permessage-deflate; server_max_window_bits=10, permessage-deflate", NULL, PLAIN},
    {"permessage-deflate; server_max_window_bits=10", "permessage-deflate", PLAIN},
    {"permessage-deflate; server_max_window_bits=15, permessage-deflate", NULL, WITH_WINDOW},
    {"permessage-deflate; x, permessage-deflate; server_max_window_bits=15", NULL, WITH_WINDOW},
    {"x-webkit-deflate-frame, permessage-deflate", NULL, PLAIN},
    {"mux; max-channels=4; flow-control, permessage-deflate", NULL, PLAIN},
    {"a; b=\"c\"", "permessage-deflate", PLAIN},
    {",, permessage-deflate ,,", ",", PLAIN},
    /* declined: parameters */
    {"permessage-deflate; unknown", NULL, NULL},
    {"permessage-deflate; unknown=1", NULL, NULL},
    {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", NULL, NULL},
    {"permessage-deflate; client_max_window_bits; client_max_window_bits=9", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=15; server_max_window_bits=15", NULL, NULL},
    {"permessage-deflate; server_max_window_bits", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=16", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=015", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=+15", NULL, NULL},
    {"permessage-deflate; server_max_window_bits=1500000000000000000000000000000000", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=7", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=16", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=08", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=0", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=-9", NULL, NULL},
    {"permessage-deflate; client_max_window_bits=x", NULL, NULL},
    {"permessage-deflate; server_no_context_takeover=1", NULL, NULL},
    {"permessage-deflate; client_no_context_takeover=\"true\"", NULL, NULL},
    {"permessage-deflate; Server_No_Context_Takeover", NULL, NULL},
    {"Permessage-deflate", NULL, NULL},
    {"permessage-deflate2", NULL, NULL},
    {"deflate", NULL, NULL},
    /* malformed: everything is declined */
    {"permessage-deflate;", NULL, NULL},
    {"permessage-deflate; ;", NULL, NULL},
    {"permessage-deflate x", NULL, NULL},
    {"permessage-deflate, ;", NULL, NULL},
    {"permessage-deflate, a=b", NULL, NULL},
    {"permessage-deflate", "\"quoted\"", NULL},
    {"permessage-deflate, a; b=", NULL, NULL},
    {"permessage-deflate, a; b=\"", NULL, NULL},
    {"permessage-deflate, a; b=\"\"", NULL, NULL},
    {"permessage-deflate, a; b=\"c", NULL, NULL},
    {"permessage-deflate, a; b=\"c\\", NULL, NULL},
    {"permessage-deflate, a; b=\"c d\"", NULL, NULL},
    {"permessage-deflate, a; b=\"c\"d", NULL, NULL},
    {"permessage-deflate, \xc3\xa4", NULL, NULL},
};

static void test_offers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(offers); i++) {
        struct http_head head = head_of(offers[i].first, offers[i].second);
        print_message("%s\n", offers[i].first == NULL ? "none" : offers[i].first);
        const char *answer = ws_deflate_accept(&head);
        assert_int_equal(answer == NULL, offers[i].answer == NULL);
        if (answer != NULL)
            assert_string_equal(answer, offers[i].answer);
    }
}

/* Cut off anywhere, in memory of its own size: four of the 85 pieces are offers that fit. */
static void test_cut_offers(void **state)
{
    (void)state;
    static const char offer[] = "a; b=\"\\c\", permessage-deflate; client_max_window_bits=\"15\"; "
                                "server_max_window_bits=15";
    for (size_t size = 1; size < sizeof(offer); size++) {
        struct http_head head = head_of("", NULL);
        char *copy = test_malloc(size);
        memcpy(copy, offer, size);
        head.header[1].value = (struct slice){.data = copy, .size = size};
        const char *answer = ws_deflate_accept(&head);
        bool fits = size == 29 || size == 53 || size == 58 || size == 85;
        assert_int_equal(answer != NULL, fits);
        if (fits)
            assert_string_equal(answer, size == 85 ? WITH_WINDOW : PLAIN);
        test_free(copy);
    }
}

struct answer_case {
    const char *first;
    const char *second;
    int failed;
    bool granted;
};

static const struct answer_case answers[] = {
    {NULL, NULL, 0, false},
    {"", NULL, 0, false},
    {"permessage-deflate; server_no_context_takeover", NULL, 0, true},
    {"permessage-deflate; client_no_context_takeover; server_no_context_takeover", NULL, 0, true},
    {"permessage-deflate; server_no_context_takeover; server_max_window_bits=8", NULL, 0, true},
    {"permessage-deflate; server_no_context_takeover; client_max_window_bits=\"9\"", NULL, 0, true},
    {"permessage-deflate", NULL, -EPROTO, false}, /* with context takeover */
    {"permessage-deflate; client_no_context_takeover", NULL, -EPROTO, false},
    {"permessage-deflate; server_no_context_takeover; client_max_window_bits", NULL, -EPROTO,
     false},
    {"permessage-deflate; server_no_context_takeover; server_max_window_bits=7", NULL, -EPROTO,
     false},
    {"permessage-deflate; server_no_context_takeover; x", NULL, -EPROTO, false},
    {"permessage-deflate; server_no_context_takeover, "
     "permessage-deflate; server_no_context_takeover",
     NULL, -EPROTO, false},
    {"permessage-deflate; server_no_context_takeover",
     "permessage-deflate; server_no_context_takeover", -EPROTO, false},
    {"permessage-bzip2", NULL, -EPROTO, false},
    {"permessage-deflate; server_no_context_takeover;", NULL, -EPROTO, false},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct http_head head = head_of(answers[i].first, answers[i].second);
        bool granted = false;
        struct err err = {.code = 0};
        print_message("%s\n", answers[i].first == NULL ? "none" : answers[i].first);
        assert_int_equal(ws_deflate_answered(&head, &granted, &err), answers[i].failed);
        assert_int_equal(granted, answers[i].granted);
        if (answers[i].failed != 0)
            assert_non_null(strstr(err.text, "HTTP 101 with"));
    }
}

/* The server's answers are such that our client takes them, and our offer is one that it accepts.
 */
static void test_both_ends(void **state)
{
    (void)state;
    const char *value = strchr(WS_DEFLATE_OFFER, ':') + 1;
    struct http_head head = head_of("", NULL);
    head.header[1].value = (struct slice){.data = value, .size = strlen(value) - 2};
    const char *answer = ws_deflate_accept(&head);
    assert_string_equal(answer, PLAIN);
    value = strchr(answer, ':') + 1;
    head.header[1].value = (struct slice){.data = value, .size = strlen(value) - 2};
    bool granted = false;
    struct err err;
    assert_int_equal(ws_deflate_answered(&head, &granted, &err), 0);
    assert_true(granted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_cut_offers),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
