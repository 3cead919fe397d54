/* SPDX-License-Identifier: Apache-2.0 */
/* The text is read by jansson, which bounds its depth; then each field by what it must be. */
#include "peer/peer_answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

static const char *const roles[] = {"leader", "follower", "alone", "starting"};

#define ROLE_UNKNOWN "unknown" /* a later version's: no leader, whatever it means */

static json_t *load_object(struct slice text, struct err *err)
{
    json_error_t error;
    json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(json))
        return json;
    if (json == NULL)
        err_set(err, -EINVAL, "not JSON, at byte %d", error.position);
    else
        err_set(err, -EINVAL, "not a JSON object");
    json_decref(json);
    return NULL;
}

static bool is_name(struct slice text, const char *others)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && (byte == '\0' || strchr(others, byte) == NULL))
            return false;
    }
    return true;
}

static struct slice text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return (struct slice){.data = json_string_value(value), .size = json_string_length(value)};
}

/* Letters, digits and `others`; not empty. */
static int read_name(const json_t *object, const char *key, const char *others, char *ret_text,
                     size_t text_size, struct err *err)
{
    struct slice text = text_of(object, key);
    if (text.size > 0 && is_name(text, others) && slice_copy(text, ret_text, text_size))
        return 0;
    return err_set(err, -EINVAL, "no proper \"%s\"", key);
}

static int read_number(const json_t *object, const char *key, int64_t min, int64_t *ret_number,
                       struct err *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > LIMIT_NUMBER)
        return err_set(err, -EINVAL, "no proper \"%s\"", key);
    *ret_number = json_integer_value(value);
    return 0;
}

/* What may be null, or left out. */
static int read_optional(const json_t *object, const char *key, int64_t fallback,
                         int64_t *ret_number, struct err *err)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_null(value))
        return read_number(object, key, 0, ret_number, err);
    *ret_number = fallback;
    return 0;
}

static const char *role_of(const json_t *node)
{
    struct slice role = text_of(node, "role");
    for (size_t i = 0; i < COUNT_OF(roles); i++)
        if (slice_is(role, roles[i]))
            return roles[i];
    return ROLE_UNKNOWN;
}

/* Among the nodes that it lists, the one that answers. */
static const json_t *find_itself(const json_t *root, const char *id)
{
    const json_t *nodes = json_object_get(root, "nodes");
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        if (slice_is(text_of(node, "id"), id))
            return node;
    }
    return NULL;
}

/* http(s)://host:port */
static bool is_url(struct slice text)
{
    const struct slice schemes[] = {SLICE("http://"), SLICE("https://")};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t size = schemes[i].size;
        if (slice_starts_with(text, schemes[i]))
            return text.size > size &&
                   is_name((struct slice){.data = text.data + size, .size = text.size - size},
                           ".-_:[]%");
    }
    return false;
}

/* Null, or left out, when it advertises none. */
static int read_url(const json_t *node, struct peer_answer *answer, struct err *err)
{
    const json_t *value = json_object_get(node, "url");
    struct slice text = text_of(node, "url");
    if (value == NULL || json_is_null(value))
        return 0;
    if (is_url(text) && slice_copy(text, answer->url, sizeof answer->url))
        return 0;
    return err_set(err, -EINVAL, "no proper \"url\"");
}

static int read_itself(const json_t *node, struct peer_answer *answer, struct err *err)
{
    if (node == NULL)
        return err_set(err, -EINVAL, "\"nodes\" has no node of the id in \"self\"");
    if (!json_is_string(json_object_get(node, "role")))
        return err_set(err, -EINVAL, "no proper \"role\"");
    answer->role = role_of(node);
    int failed = read_name(node, "version", ".-+_", answer->version, sizeof answer->version, err);
    if (failed == 0)
        failed = read_optional(node, "clients", -1, &answer->clients, err);
    if (failed == 0)
        failed = read_optional(node, "lag_ms", -1, &answer->lag_ms, err);
    if (failed == 0)
        failed = read_optional(node, "since", 0, &answer->since_us, err);
    if (failed == 0)
        failed = read_url(node, answer, err);
    return failed;
}

/* A node that starts has no stream yet. */
static int read_stream(const json_t *root, struct peer_answer *answer, struct err *err)
{
    const json_t *value = json_object_get(root, "stream");
    if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0))
        return 0;
    return read_name(root, "stream", "-", answer->stream, sizeof answer->stream, err);
}

int peer_answer_read(struct slice text, struct peer_answer *ret_answer, struct err *err)
{
    struct peer_answer answer = {.role = ROLE_UNKNOWN};
    json_t *root = load_object(text, err);
    if (root == NULL)
        return -EINVAL;
    int failed = read_name(root, "self", "._-", answer.node, sizeof answer.node, err);
    if (failed == 0)
        failed = read_number(root, "epoch", 0, &answer.epoch, err);
    if (failed == 0)
        failed = read_stream(root, &answer, err);
    if (failed == 0)
        failed = read_itself(find_itself(root, answer.node), &answer, err);
    json_decref(root);
    if (failed == 0)
        *ret_answer = answer;
    return failed;
}

const char *peer_refusal(bool has_token)
{
    return has_token ? "our token is not good there" : "a token is needed: cluster.token_file";
}

int peer_greeting_read(struct slice text, struct peer_greeting *ret_greeting, struct err *err)
{
    struct peer_greeting greeting = {.resumed = false};
    json_t *root = load_object(text, err);
    if (root == NULL)
        return -EINVAL;
    int failed = read_name(root, "node", "._-", greeting.node, sizeof greeting.node, err);
    if (failed == 0)
        failed = read_name(root, "stream", "-", greeting.stream, sizeof greeting.stream, err);
    if (failed == 0)
        failed = read_number(root, "epoch", 0, &greeting.epoch, err);
    if (failed == 0)
        failed = read_number(root, "next", 1, &greeting.next, err);
    if (failed == 0 && !json_is_boolean(json_object_get(root, "resumed")))
        failed = err_set(err, -EINVAL, "no proper \"resumed\"");
    greeting.resumed = json_is_true(json_object_get(root, "resumed"));
    json_decref(root);
    if (failed == 0)
        *ret_greeting = greeting;
    return failed;
}

int64_t peer_epoch_read(struct slice text)
{
    int64_t epoch = -1;
    json_t *root = load_object(text, NULL);
    if (root != NULL && read_number(root, "epoch", 1, &epoch, NULL) != 0)
        epoch = -1;
    json_decref(root);
    return epoch;
}
