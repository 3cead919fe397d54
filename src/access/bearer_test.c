/* SPDX-License-Identifier: Apache-2.0 */
#include "access/bearer.h"

#include "access/head_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TOKEN "0123.abc-_~+/=="
#define OTHER "other"
#define PROTOCOL "Sec-WebSocket-Protocol: "

struct row {
    const char *headers;
    enum bearer_result result;
    const char *token; /* when found */
    bool by_header, subprotocol;
};

static void check(const struct row *row)
{
    struct head_maker maker;
    struct bearer bearer = {.by_header = true, .subprotocol = true};
    enum bearer_result result = bearer_find(head_make(&maker, row->headers), &bearer);
    if (result != row->result || bearer.subprotocol != row->subprotocol ||
        bearer.by_header != row->by_header ||
        !slice_is(bearer.token, row->token == NULL ? "" : row->token))
        fail_msg("%d, \"%.*s\" for:\n%s", (int)result, (int)bearer.token.size,
                 bearer.token.size == 0 ? "" : bearer.token.data, row->headers);
    head_release(&maker);
}

#define FOUND(headers, token)                                                                      \
    {                                                                                              \
        headers, BEARER_FOUND, token, true, false                                                  \
    }
#define NOT(headers, result)                                                                       \
    {                                                                                              \
        headers, result, NULL, false, false                                                        \
    }

static void the_header_carries_it(void **state)
{
    (void)state;
    static const struct row rows[] = {
        FOUND("Authorization: Bearer " TOKEN "\r\n", TOKEN),
        FOUND("AUTHORIZATION:bEARER   " TOKEN "  \r\n", TOKEN),
        FOUND("Authorization: Bearer x\r\n" PROTOCOL "tickwire, bearer.y\r\n", "x"),
        NOT("", BEARER_NONE),
        NOT("Authorization: \r\n", BEARER_NONE),
        NOT("Authorization: Basic eDp5\r\n", BEARER_NONE),
        NOT("Authorization: BearerX abc\r\n", BEARER_NONE),
        NOT("Authorization: Bear\r\n", BEARER_NONE),
        NOT("X-Authorization: Bearer x\r\n", BEARER_NONE),
        NOT("Proxy-Authorization: Bearer x\r\n", BEARER_NONE),
        NOT("Authorization: Bearer\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer =\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer a b\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer a,b\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer a=b\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer \"a\"\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer \xc3\xa9\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer x\r\nAuthorization: Bearer x\r\n", BEARER_MALFORMED),
        NOT("Authorization: Bearer x\r\nAuthorization: Basic eDp5\r\n", BEARER_MALFORMED),
        NOT("Authorization: Basic eDp5\r\nAuthorization: Basic eDp5\r\n", BEARER_MALFORMED),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(&rows[i]);
}

#define OFFER(value) HANDSHAKE PROTOCOL value "\r\n"

static void subprotocols_carry_it(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {OFFER("tickwire, bearer.a.b-c_d"), BEARER_FOUND, "a.b-c_d", false, true},
        {OFFER("bearer.a ,\ttickwire"), BEARER_FOUND, "a", false, true},
        {OFFER("x,tickwire,bearer.a,y"), BEARER_FOUND, "a", false, true},
        {OFFER("tickwire\r\n" PROTOCOL "bearer.a"), BEARER_FOUND, "a", false, true},
        {OFFER("tickwire, bearer.bearer.a"), BEARER_FOUND, "bearer.a", false, true},
        {OFFER("tickwire"), BEARER_NONE, NULL, false, true},
        {OFFER("tickwire,"), BEARER_NONE, NULL, false, true},
        {OFFER("tickwire, Bearer.a"), BEARER_NONE, NULL, false, true},
        {OFFER("tickwire, bearera"), BEARER_NONE, NULL, false, true},
        {OFFER("x"), BEARER_NONE, NULL, false, false},
        {OFFER("bearer.a"), BEARER_MALFORMED, NULL, false, false},
        {OFFER("TickWire, bearer.a"), BEARER_MALFORMED, NULL, false, false},
        {OFFER("tickwire, bearer."), BEARER_MALFORMED, NULL, false, true},
        {OFFER("tickwire, bearer.a bearer.b"), BEARER_MALFORMED, NULL, false, true},
        {OFFER("tickwire, bearer.a, bearer.a"), BEARER_MALFORMED, NULL, false, true},
        {OFFER("tickwire, bearer.a\r\n" PROTOCOL "bearer.b"), BEARER_MALFORMED, NULL, false, true},
        {OFFER("tickwire, bearer.a\"b"), BEARER_MALFORMED, NULL, false, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(&rows[i]);
}

static void only_a_handshake_has_subprotocols(void **state)
{
    (void)state;
    static const struct row rows[] = {
        NOT(PROTOCOL "tickwire, bearer.a\r\n", BEARER_NONE),
        NOT("Upgrade: websocket\r\n" PROTOCOL "tickwire, bearer.a\r\n", BEARER_NONE),
        NOT("Upgrade: h2c\r\nConnection: Upgrade\r\n" PROTOCOL "tickwire, bearer.a\r\n",
            BEARER_NONE),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(&rows[i]);
}

static void both_places_must_agree(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"Authorization: Bearer a\r\n" OFFER("tickwire, bearer.a"), BEARER_FOUND, "a", true, true},
        {"Authorization: Bearer a\r\n" OFFER("tickwire"), BEARER_FOUND, "a", true, true},
        {"Authorization: Basic eDp5\r\n" OFFER("tickwire, bearer.a"), BEARER_FOUND, "a", false,
         true},
        {"Authorization: Bearer a\r\n" OFFER("tickwire, bearer.b"), BEARER_DIFFERENT, NULL, false,
         true},
        {"Authorization: Bearer a\r\n" OFFER("tickwire, bearer.ab"), BEARER_DIFFERENT, NULL, false,
         true},
        {"Authorization: Bearer a\r\n" OFFER("tickwire, bearer.b="), BEARER_DIFFERENT, NULL, false,
         true},
        {"Authorization: Bearer a\r\n" OFFER("tickwire, bearer."), BEARER_MALFORMED, NULL, false,
         true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check(&rows[i]);
}

static void a_token_has_a_size(void **state)
{
    (void)state;
    char headers[LIMIT_ACCESS_TOKEN + 64];
    char token[LIMIT_ACCESS_TOKEN + 2];
    memset(token, 'a', sizeof token);
    token[LIMIT_ACCESS_TOKEN] = '\0';
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", token);
    check(&(struct row)FOUND(headers, token));
    token[LIMIT_ACCESS_TOKEN] = 'a';
    token[LIMIT_ACCESS_TOKEN + 1] = '\0';
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", token);
    check(&(struct row)NOT(headers, BEARER_MALFORMED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_carries_it),
        cmocka_unit_test(subprotocols_carry_it),
        cmocka_unit_test(only_a_handshake_has_subprotocols),
        cmocka_unit_test(both_places_must_agree),
        cmocka_unit_test(a_token_has_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
