/* SPDX-License-Identifier: Apache-2.0 */
/* What comes of a request is one of a few results; a table at the end says how each is answered. */
#include "access/access.h"

#include "access/bearer.h"
#include "access/jwt.h"
#include "access/secret_file.h"
#include "access/token_list.h"
#include "base/memory.h"
#include "base/metrics.h"

#include <assert.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>

enum access_result {
    RESULT_GRANTED,
    RESULT_MISSING,
    RESULT_MALFORMED,
    RESULT_DIFFERENT,
    RESULT_INVALID,
    RESULT_EXPIRED,
    RESULT_EARLY,
    RESULT_FOREIGN,
    RESULT_NOT_ADMIN,
    RESULT_NO_ADMIN,
    RESULT_COUNT
};

struct rules {                 /* what the files say; replaced as a whole */
    struct token_list *tokens; /* owned; NULL unless the mode is token */
    struct token_list *admin;  /* owned, of one entry; NULL: no writes */
    struct jwt_key *key;       /* owned; NULL unless the mode is jwt */
    char warning[240];
};

struct access {
    enum access_mode mode;
    char *tokens_file, *jwt_algorithm, *jwt_public_key, *jwt_audience,
        *admin_token_file; /* owned */
    struct rules rules;
    struct metric *results[RESULT_COUNT];
};

struct request { /* one that is judged */
    struct bearer bearer;
    enum bearer_result found;
    uint8_t digest[TOKEN_DIGEST_SIZE]; /* of a token that was found */
};

struct answer {
    const char *name; /* in the metrics */
    unsigned status;
    const char *detail, *headers;
};

static const struct answer answers[RESULT_COUNT];

/* ---- reading the files ---- */

static void rules_release(struct rules *rules)
{
    token_list_destroy(rules->tokens);
    token_list_destroy(rules->admin);
    jwt_key_destroy(rules->key);
    *rules = (struct rules){0};
}

static void rules_warn(struct rules *rules, const char *key)
{
    size_t size = strlen(rules->warning);
    snprintf(rules->warning + size, sizeof rules->warning - size,
             "%s%s: every user of this machine may read or change the file", size == 0 ? "" : "; ",
             key);
}

static int read_tokens(struct rules *rules, const char *key, const char *path,
                       struct token_list **ret_list, struct err *err)
{
    struct secret_file file;
    int result = secret_file_read(path, LIMIT_ACCESS_FILE, &file, err);
    if (result < 0)
        return err_wrap(err, key);
    if (file.exposed)
        rules_warn(rules, key);
    result = token_list_create(secret_file_text(&file), ret_list, err);
    secret_file_release(&file);
    if (result == 0)
        return 0;
    err_wrap(err, path);
    return err_wrap(err, key);
}

static int read_key(const struct access *access, struct rules *rules, struct err *err)
{
    struct secret_file file;
    int result = secret_file_read(access->jwt_public_key, LIMIT_ACCESS_FILE, &file, err);
    if (result < 0)
        return err_wrap(err, "auth.jwt.public_key");
    result = jwt_key_create(access->jwt_algorithm, secret_file_text(&file), &rules->key, err);
    secret_file_release(&file);
    if (result == 0)
        return 0;
    err_wrap(err, access->jwt_public_key);
    return err_wrap(err, "auth.jwt.public_key");
}

/* It opens more than the others, so it must not be one of them. */
static int check_admin_apart(const struct rules *rules, struct err *err)
{
    if (token_list_count(rules->admin) != 1)
        return err_set(err, -EINVAL, "auth.admin_token_file: more than one token");
    if (rules->tokens != NULL &&
        token_list_find(rules->tokens, token_list_at(rules->admin, 0)->digest) != NULL)
        return err_set(err, -EINVAL,
                       "auth.admin_token_file: its token stands in auth.tokens_file as well");
    return 0;
}

static int rules_read(const struct access *access, struct rules *rules, struct err *err)
{
    int result = 0;
    if (access->mode == ACCESS_TOKEN)
        result = read_tokens(rules, "auth.tokens_file", access->tokens_file, &rules->tokens, err);
    if (access->mode == ACCESS_JWT)
        result = read_key(access, rules, err);
    if (result < 0 || access->admin_token_file[0] == '\0')
        return result;
    result =
        read_tokens(rules, "auth.admin_token_file", access->admin_token_file, &rules->admin, err);
    return result < 0 ? result : check_admin_apart(rules, err);
}

/* ---- life ---- */

static char *copied(const char *text)
{
    return memory_copy_text(text == NULL ? "" : text);
}

static int check_complete(const struct access *access, struct err *err)
{
    const struct {
        enum access_mode mode;
        const char *key, *value, *name;
    } needed[] = {
        {ACCESS_TOKEN, "auth.tokens_file", access->tokens_file, "token"},
        {ACCESS_JWT, "auth.jwt.algorithm", access->jwt_algorithm, "jwt"},
        {ACCESS_JWT, "auth.jwt.public_key", access->jwt_public_key, "jwt"},
        {ACCESS_JWT, "auth.jwt.audience", access->jwt_audience, "jwt"},
    };
    for (size_t i = 0; i < COUNT_OF(needed); i++)
        if (access->mode == needed[i].mode && needed[i].value[0] == '\0')
            return err_set(err, -EINVAL, "auth.mode is %s, so %s must be set", needed[i].name,
                           needed[i].key);
    return 0;
}

int access_create(const struct access_options *options, struct access **ret_access, struct err *err)
{
    struct access *access = memory_alloc(sizeof *access);
    access->mode = options->mode;
    access->tokens_file = copied(options->tokens_file);
    access->jwt_algorithm = copied(options->jwt_algorithm);
    access->jwt_public_key = copied(options->jwt_public_key);
    access->jwt_audience = copied(options->jwt_audience);
    access->admin_token_file = copied(options->admin_token_file);
    for (size_t i = 0; i < RESULT_COUNT; i++) {
        char labels[64];
        snprintf(labels, sizeof labels, "result=\"%s\"", answers[i].name);
        access->results[i] = metric_series(METRIC_ACCESS_CHECKS, labels);
    }
    int result = check_complete(access, err);
    if (result == 0)
        result = access_reload(access, err);
    if (result < 0)
        access_destroy(access);
    else
        *ret_access = access;
    return result;
}

void access_destroy(struct access *access)
{
    if (access == NULL)
        return;
    rules_release(&access->rules);
    memory_free(access->tokens_file);
    memory_free(access->jwt_algorithm);
    memory_free(access->jwt_public_key);
    memory_free(access->jwt_audience);
    memory_free(access->admin_token_file);
    memory_free(access);
}

int access_reload(struct access *access, struct err *err)
{
    struct rules rules = {0};
    int result = rules_read(access, &rules, err);
    if (result < 0) {
        rules_release(&rules);
        return result;
    }
    rules_release(&access->rules);
    access->rules = rules;
    return 0;
}

const char *access_warning(const struct access *access)
{
    return access->rules.warning;
}

/* ---- judging ---- */

static void request_read(const struct http_head *head, struct request *ret_request)
{
    *ret_request = (struct request){0};
    ret_request->found = bearer_find(head, &ret_request->bearer);
    if (ret_request->found == BEARER_FOUND)
        token_digest(ret_request->bearer.token, ret_request->digest);
}

static enum access_result judge_entry(const struct token_entry *entry, int64_t now_us,
                                      struct access_verdict *verdict)
{
    if (entry == NULL)
        return RESULT_INVALID;
    if (entry->expires_us != 0 && now_us >= entry->expires_us)
        return RESULT_EXPIRED;
    verdict->expires_us = entry->expires_us;
    verdict->name = entry->name;
    return RESULT_GRANTED;
}

static enum access_result judge_jwt(const struct access *access, struct slice token, int64_t now_us,
                                    struct access_verdict *verdict)
{
    struct jwt_rule rule = {.key = access->rules.key, .audience = access->jwt_audience};
    switch (jwt_check(&rule, token, now_us, &verdict->expires_us)) {
    case JWT_GOOD:
        return RESULT_GRANTED;
    case JWT_EXPIRED:
        return RESULT_EXPIRED;
    case JWT_EARLY:
        return RESULT_EARLY;
    case JWT_FOREIGN:
        return RESULT_FOREIGN;
    case JWT_INVALID:
        break;
    }
    return RESULT_INVALID;
}

/* RESULT_INVALID as well when there is no admin. */
static enum access_result judge_admin(const struct access *access, const struct request *request,
                                      int64_t now_us, struct access_verdict *verdict)
{
    if (access->rules.admin == NULL || !request->bearer.by_header)
        return RESULT_INVALID;
    return judge_entry(token_list_find(access->rules.admin, request->digest), now_us, verdict);
}

static enum access_result judge_reader(const struct access *access, const struct request *request,
                                       int64_t now_us, struct access_verdict *verdict)
{
    if (judge_admin(access, request, now_us, verdict) == RESULT_GRANTED)
        return RESULT_GRANTED;
    if (access->mode == ACCESS_JWT)
        return judge_jwt(access, request->bearer.token, now_us, verdict);
    if (access->mode == ACCESS_TOKEN)
        return judge_entry(token_list_find(access->rules.tokens, request->digest), now_us, verdict);
    return RESULT_INVALID;
}

/* RESULT_GRANTED when there is a token that can be judged. */
static enum access_result judge_form(const struct request *request)
{
    switch (request->found) {
    case BEARER_FOUND:
        return RESULT_GRANTED;
    case BEARER_NONE:
        return RESULT_MISSING;
    case BEARER_DIFFERENT:
        return RESULT_DIFFERENT;
    case BEARER_MALFORMED:
        break;
    }
    return RESULT_MALFORMED;
}

static void answer(struct access *access, enum access_result result, struct request *request,
                   struct access_verdict *verdict)
{
    assert(result < RESULT_COUNT);
    verdict->status = answers[result].status;
    verdict->detail = answers[result].detail;
    verdict->headers = answers[result].headers;
    if (result == RESULT_GRANTED && request->bearer.subprotocol)
        verdict->subprotocol = BEARER_SUBPROTOCOL;
    metric_add(access->results[result], 1);
    OPENSSL_cleanse(request->digest, sizeof request->digest);
}

void access_check(struct access *access, const struct http_head *request, int64_t now_us,
                  struct access_verdict *ret_verdict)
{
    struct request judged;
    *ret_verdict = (struct access_verdict){.name = ""};
    request_read(request, &judged);
    enum access_result result = RESULT_GRANTED;
    if (access->mode != ACCESS_NONE)
        result = judge_form(&judged);
    if (access->mode != ACCESS_NONE && result == RESULT_GRANTED)
        result = judge_reader(access, &judged, now_us, ret_verdict);
    answer(access, result, &judged, ret_verdict);
}

void access_check_admin(struct access *access, const struct http_head *request, int64_t now_us,
                        struct access_verdict *ret_verdict)
{
    struct request judged;
    struct access_verdict reader = {0};
    *ret_verdict = (struct access_verdict){.name = ""};
    request_read(request, &judged);
    enum access_result result = RESULT_NO_ADMIN;
    if (access->rules.admin != NULL)
        result = judge_form(&judged);
    if (result == RESULT_GRANTED) {
        result = judge_admin(access, &judged, now_us, ret_verdict);
        if (result == RESULT_INVALID &&
            judge_reader(access, &judged, now_us, &reader) == RESULT_GRANTED)
            result = RESULT_NOT_ADMIN;
    }
    answer(access, result, &judged, ret_verdict);
}

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"tickwire\""
#define BECAUSE(error, text) CHALLENGE ", error=\"" error "\", error_description=\"" text "\"\r\n"

static const struct answer answers[RESULT_COUNT] = {
    [RESULT_GRANTED] = {.name = "granted"},
    [RESULT_MISSING] = {.name = "missing",
                        .status = 401,
                        .detail = "a bearer token is needed",
                        .headers = CHALLENGE "\r\n"},
    [RESULT_MALFORMED] = {.name = "malformed",
                          .status = 400,
                          .detail = "one bearer token is wanted, in the Authorization header or "
                                    "in the subprotocols tickwire, bearer.TOKEN",
                          .headers = BECAUSE("invalid_request", "one well-formed token is wanted")},
    [RESULT_DIFFERENT] = {.name = "different",
                          .status = 401,
                          .detail = "the header and the subprotocols carry different tokens",
                          .headers = BECAUSE("invalid_token", "two different tokens")},
    [RESULT_INVALID] = {.name = "invalid",
                        .status = 401,
                        .detail = "the token is not valid here",
                        .headers = BECAUSE("invalid_token", "not valid here")},
    [RESULT_EXPIRED] = {.name = "expired",
                        .status = 401,
                        .detail = "the token has ended",
                        .headers = BECAUSE("invalid_token", "the token has ended")},
    [RESULT_EARLY] = {.name = "early",
                      .status = 401,
                      .detail = "the token is not valid yet",
                      .headers = BECAUSE("invalid_token", "not valid yet")},
    [RESULT_FOREIGN] = {.name = "foreign",
                        .status = 401,
                        .detail = "the token is for another audience",
                        .headers = BECAUSE("invalid_token", "for another audience")},
    [RESULT_NOT_ADMIN] = {.name = "not_admin",
                          .status = 403,
                          .detail = "writing needs the admin's token",
                          .headers = BECAUSE("insufficient_scope", "the admin's token is needed")},
    [RESULT_NO_ADMIN] = {.name = "no_admin",
                         .status = 403,
                         .detail = "writing is switched off: auth.admin_token_file is not set"},
};
