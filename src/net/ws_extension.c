/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The negotiation of permessage-deflate; declared in ws_deflate.h. One reader of the grammar (RFC
 * 6455, section 9.1) serves both ends: it takes one extension after the other off a header's value,
 * and knows the four parameters (RFC 7692, section 7.1).
 */
#include "net/ws_deflate.h"

#include <errno.h>
#include <strings.h>

#define HEADER "Sec-WebSocket-Extensions"
#define ACCEPTED                                                                                   \
    HEADER ": permessage-deflate; server_no_context_takeover; client_no_context_takeover"
#define VALUE_MAX 2 /* bytes of the longest valid value */
#define WINDOW_MIN 8
#define WINDOW_MAX 15

enum { SERVER_FRESH, CLIENT_FRESH, SERVER_WINDOW, CLIENT_WINDOW, PARAMETER_COUNT };

static const char *const parameter_names[PARAMETER_COUNT] = {
    "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits",
    "client_max_window_bits"};

struct parameter {
    struct slice name;
    bool has_value;
    char value[VALUE_MAX];
    size_t value_size; /* may be over VALUE_MAX: then it is none that we know */
};

struct extension {
    struct slice name;
    bool known; /* all parameters are permessage-deflate's, each once, with valid values */
    bool given[PARAMETER_COUNT];
    unsigned window[PARAMETER_COUNT]; /* 0: without a value */
};

enum next { NEXT_EXTENSION, NEXT_NONE, NEXT_MALFORMED };

/* ---- the grammar ---- */

static bool is_token_byte(char byte)
{
    return byte > ' ' && byte <= '~' && strchr("()<>@,;:\\\"/[]?={}", byte) == NULL;
}

static void advance(struct slice *text, size_t size)
{
    text->data += size;
    text->size -= size;
}

static void skip_blanks(struct slice *text)
{
    while (text->size > 0 && (text->data[0] == ' ' || text->data[0] == '\t'))
        advance(text, 1);
}

/* Takes the byte, with the blanks around it. */
static bool take_byte(struct slice *text, char byte)
{
    skip_blanks(text);
    if (text->size == 0 || text->data[0] != byte)
        return false;
    advance(text, 1);
    skip_blanks(text);
    return true;
}

/* Empty when there is none. */
static struct slice take_token(struct slice *text)
{
    struct slice token = {.data = text->data, .size = 0};
    while (token.size < text->size && is_token_byte(text->data[token.size]))
        token.size++;
    advance(text, token.size);
    return token;
}

static void value_add(struct parameter *parameter, char byte)
{
    if (parameter->value_size < VALUE_MAX)
        parameter->value[parameter->value_size] = byte;
    parameter->value_size++;
}

/* Behind the opening quote. What is quoted must be a token as well when it is unescaped. */
static bool take_quoted(struct slice *text, struct parameter *parameter)
{
    while (text->size > 0 && text->data[0] != '"') {
        if (text->data[0] == '\\')
            advance(text, 1);
        if (text->size == 0 || !is_token_byte(text->data[0]))
            return false;
        value_add(parameter, text->data[0]);
        advance(text, 1);
    }
    if (text->size == 0)
        return false;
    advance(text, 1);
    return parameter->value_size > 0;
}

static bool take_value(struct slice *text, struct parameter *parameter)
{
    parameter->has_value = true;
    if (text->size > 0 && text->data[0] == '"') {
        advance(text, 1);
        return take_quoted(text, parameter);
    }
    struct slice token = take_token(text);
    for (size_t i = 0; i < token.size; i++)
        value_add(parameter, token.data[i]);
    return token.size > 0;
}

static bool take_parameter(struct slice *text, struct parameter *ret_parameter)
{
    *ret_parameter = (struct parameter){.name = take_token(text)};
    if (ret_parameter->name.size == 0)
        return false;
    return !take_byte(text, '=') || take_value(text, ret_parameter);
}

/* ---- the parameters ---- */

/* 8 to 15, without a leading zero; 0 for anything else. */
static unsigned window_of(const struct parameter *parameter)
{
    uint64_t window;
    struct slice digits = {.data = parameter->value, .size = parameter->value_size};
    if (digits.size > VALUE_MAX || digits.data[0] == '0')
        return 0;
    if (!slice_to_uint64(digits, WINDOW_MAX, &window) || window < WINDOW_MIN)
        return 0;
    return (unsigned)window;
}

static void extension_add(struct extension *extension, const struct parameter *parameter)
{
    size_t index = 0;
    while (index < PARAMETER_COUNT && !slice_is(parameter->name, parameter_names[index]))
        index++;
    if (index == PARAMETER_COUNT || extension->given[index]) {
        extension->known = false;
        return;
    }
    extension->given[index] = true;
    bool is_window = index == SERVER_WINDOW || index == CLIENT_WINDOW;
    if (parameter->has_value)
        extension->window[index] = is_window ? window_of(parameter) : 0;
    bool value_valid = is_window && extension->window[index] != 0;
    /* Only an offer of client_max_window_bits may go without; the answer's is looked at there. */
    bool value_may_miss = index != SERVER_WINDOW;
    if (parameter->has_value ? !value_valid : !value_may_miss)
        extension->known = false;
}

/* Takes the next extension off the list, and the comma behind it. */
static enum next extension_next(struct slice *list, struct extension *ret_extension)
{
    while (take_byte(list, ',')) { /* a list may have empty elements */
    }
    if (list->size == 0)
        return NEXT_NONE;
    *ret_extension = (struct extension){.name = take_token(list), .known = true};
    if (ret_extension->name.size == 0)
        return NEXT_MALFORMED;
    while (take_byte(list, ';')) {
        struct parameter parameter;
        if (!take_parameter(list, &parameter))
            return NEXT_MALFORMED;
        extension_add(ret_extension, &parameter);
    }
    if (list->size > 0 && !take_byte(list, ','))
        return NEXT_MALFORMED;
    if (!slice_is(ret_extension->name, "permessage-deflate"))
        ret_extension->known = false;
    return NEXT_EXTENSION;
}

static bool is_header(const struct http_header *header)
{
    return header->name.size == sizeof(HEADER) - 1 &&
           strncasecmp(header->name.data, HEADER, sizeof(HEADER) - 1) == 0;
}

/* ---- the server's end ---- */

/* NULL: declined. */
static const char *answer_to(const struct extension *offer)
{
    if (!offer->known)
        return NULL;
    if (!offer->given[SERVER_WINDOW])
        return ACCEPTED "\r\n";
    if (offer->window[SERVER_WINDOW] == WINDOW_MAX)
        return ACCEPTED "; server_max_window_bits=15\r\n"; /* it has to be said again */
    return NULL;
}

/* False when the header's value is malformed. *answer is set by the first offer that fits. */
static bool offers_read(struct slice value, const char **answer)
{
    struct extension offer;
    for (;;) {
        switch (extension_next(&value, &offer)) {
        case NEXT_NONE:
            return true;
        case NEXT_MALFORMED:
            return false;
        case NEXT_EXTENSION:
            if (*answer == NULL)
                *answer = answer_to(&offer);
            break;
        }
    }
}

const char *ws_deflate_accept(const struct http_head *request)
{
    const char *answer = NULL;
    for (size_t i = 0; i < request->header_count; i++)
        if (is_header(&request->header[i]) && !offers_read(request->header[i].value, &answer))
            return NULL;
    return answer;
}

/* ---- the client's end ---- */

/* What the server will do must be what we can take: each message for itself. */
static bool answer_fits(const struct extension *answer)
{
    if (!answer->known || !answer->given[SERVER_FRESH])
        return false;
    return !answer->given[CLIENT_WINDOW] || answer->window[CLIENT_WINDOW] != 0;
}

int ws_deflate_answered(const struct http_head *answer, bool *ret_granted, struct err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < answer->header_count; i++) {
        struct slice value = answer->header[i].value;
        struct extension extension;
        if (!is_header(&answer->header[i]))
            continue;
        enum next next = extension_next(&value, &extension);
        for (; next == NEXT_EXTENSION; next = extension_next(&value, &extension)) {
            count++;
            if (count > 1 || !answer_fits(&extension))
                return err_set(err, -EPROTO, "HTTP 101 with an extension that was not offered");
        }
        if (next == NEXT_MALFORMED)
            return err_set(err, -EPROTO, "HTTP 101 with a malformed " HEADER);
    }
    *ret_granted = count == 1;
    return 0;
}
