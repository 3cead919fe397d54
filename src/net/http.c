/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads are collected until their empty line and parsed then, in one piece: so it can make no
 * difference where the input was cut, and names and values are slices of one buffer. Two passes
 * stand beside the library: a scan of each byte as it comes (line ends, control characters, folded
 * lines, limits), which fails as early as it can; and checks of what the headers mean together.
 */
#include "net/http_priv.h"

#include "base/memory.h"

#include <assert.h>
#include <http_parser.h>

#define METHOD_MAX 32

struct http_reader {
    enum http_kind kind;
    struct buffer bytes; /* of the present head */
    struct http_head head;
    bool finished; /* the head has been given: the next byte starts a new one */
    bool failed;
    bool complete; /* the library has seen the end of the headers */
    /* the scan */
    bool after_cr;
    bool skipped_line; /* an empty line before the request */
    size_t line;       /* number, from 0 */
    size_t column;     /* in it */
    size_t blanks;     /* in the first line */
    size_t target_size;
};

enum scan_result { SCAN_ON, SCAN_SKIP, SCAN_END, SCAN_FAILED };

static bool refuse(struct http_reader *reader, unsigned status, const char *reason)
{
    reader->head.status = status;
    reader->head.reason = reason;
    return false;
}

static enum scan_result scan_refuse(struct http_reader *reader, unsigned status, const char *reason)
{
    refuse(reader, status, reason);
    return SCAN_FAILED;
}

/* ---- each byte ---- */

static enum scan_result scan_line_end(struct http_reader *reader, char byte)
{
    if (byte != '\n')
        return scan_refuse(reader, 400, "a carriage return without a line feed");
    reader->after_cr = false;
    bool empty = reader->column == 0;
    reader->column = 0;
    if (!empty) {
        reader->line++;
        return SCAN_ON;
    }
    if (reader->line > 0)
        return SCAN_END;
    if (reader->kind == HTTP_KIND_ANSWER || reader->skipped_line)
        return scan_refuse(reader, 400, "an empty line where the first line was expected");
    reader->skipped_line = true;
    return SCAN_SKIP;
}

static enum scan_result scan_request_line(struct http_reader *reader, char byte)
{
    if (byte == ' ')
        reader->blanks++;
    else if (reader->blanks == 1)
        reader->target_size++;
    if (reader->target_size > LIMIT_HTTP_TARGET)
        return scan_refuse(reader, 414, "the target is too long");
    if (reader->blanks > 2 || (reader->blanks == 0 && reader->column >= METHOD_MAX))
        return scan_refuse(reader, 400, "the first line is not METHOD TARGET VERSION");
    return SCAN_ON;
}

static enum scan_result scan_byte(struct http_reader *reader, char byte)
{
    if (reader->after_cr)
        return scan_line_end(reader, byte);
    if (byte == '\r') {
        reader->after_cr = true;
        return SCAN_ON;
    }
    if (byte == '\n')
        return scan_refuse(reader, 400, "a line feed without a carriage return");
    bool tab = byte == '\t' && reader->line > 0;
    if (((unsigned char)byte < ' ' && !tab) || byte == 0x7f)
        return scan_refuse(reader, 400, "a control character in the head");
    bool folded = reader->line > 0 && reader->column == 0 && (byte == ' ' || byte == '\t');
    if (folded)
        return scan_refuse(reader, 400, "a folded header line");
    enum scan_result result = SCAN_ON;
    if (reader->line == 0 && reader->kind == HTTP_KIND_REQUEST)
        result = scan_request_line(reader, byte);
    reader->column++;
    return result;
}

/* ---- the first line ---- */

static bool starts_ignoring_case(struct slice slice, const char *prefix)
{
    size_t size = strlen(prefix);
    return slice.size >= size && http_name_is((struct slice){slice.data, size}, prefix);
}

static bool is_token_byte(char byte)
{
    bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= 'A' && byte <= 'Z');
    return alphanumeric || (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

static bool is_token(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!is_token_byte(text.data[i]))
            return false;
    return text.size > 0;
}

/* 1.1, 1.0, or a refusal. */
static bool version_check(struct http_reader *reader, struct slice version, bool *ret_is_11)
{
    *ret_is_11 = slice_is(version, "HTTP/1.1");
    if (*ret_is_11 || slice_is(version, "HTTP/1.0"))
        return true;
    bool other = version.size == 8 && slice_starts_with(version, SLICE("HTTP/")) &&
                 http_is_digit(version.data[5]) && version.data[6] == '.' &&
                 http_is_digit(version.data[7]);
    if (other)
        return refuse(reader, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return refuse(reader, 400, "the first line has no HTTP version");
}

/*
 * "http://host:port/path?query" (RFC 9112, section 3.2.2): every server must read it, though only
 * proxies are sent it. Its authority stands for the Host, which is then ignored.
 */
static bool absolute_split(struct http_reader *reader, struct slice *target)
{
    size_t scheme = 0;
    if (starts_ignoring_case(*target, "http://"))
        scheme = strlen("http://");
    else if (starts_ignoring_case(*target, "https://"))
        scheme = strlen("https://");
    if (scheme == 0)
        return refuse(reader, 400, "the target must begin with a slash, http:// or https://");
    struct slice rest = {.data = target->data + scheme, .size = target->size - scheme};
    struct slice host = rest;
    host.size = 0;
    while (host.size < rest.size && rest.data[host.size] != '/' && rest.data[host.size] != '?')
        host.size++;
    if (host.size == 0 || !http_host_valid(host))
        return refuse(reader, 400, "the target names no host");
    reader->head.host = host;
    *target = (struct slice){.data = rest.data + host.size, .size = rest.size - host.size};
    return true;
}

static bool target_split(struct http_reader *reader, struct slice target)
{
    struct http_head *head = &reader->head;
    for (size_t i = 0; i < target.size; i++)
        if (target.data[i] <= ' ' || target.data[i] > '~' || target.data[i] == '#')
            return refuse(reader, 400, "a byte in the target that must be percent-encoded");
    if (slice_is(target, "*") && slice_is(head->method, "OPTIONS")) {
        head->path = target;
        return true;
    }
    if ((target.size == 0 || target.data[0] != '/') && !absolute_split(reader, &target))
        return false;
    head->path = slice_split(target, '?', &head->query);
    if (head->path.size == 0)
        head->path = SLICE("/");
    return true;
}

static bool request_line_read(struct http_reader *reader, struct slice line, bool *ret_is_11)
{
    struct slice rest;
    struct slice version;
    struct slice method = slice_split(line, ' ', &rest);
    struct slice target = slice_split(rest, ' ', &version);
    if (!is_token(method))
        return refuse(reader, 400, "the method is not a word");
    reader->head.method = method;
    return version_check(reader, version, ret_is_11) && target_split(reader, target);
}

static bool status_line_read(struct http_reader *reader, struct slice line, bool *ret_is_11)
{
    struct slice rest;
    struct slice version = slice_split(line, ' ', &rest);
    uint64_t status;
    struct slice phrase;
    struct slice digits = slice_split(rest, ' ', &phrase);
    if (!version_check(reader, version, ret_is_11))
        return false;
    if (digits.size != 3 || !slice_to_uint64(digits, 999, &status) || status < 100)
        return refuse(reader, 400, "the first line has no status of three digits");
    reader->head.status = (unsigned)status;
    return true;
}

/* ---- the headers, by the library ---- */

static int on_header_field(http_parser *parser, const char *data, size_t size)
{
    struct http_head *head = &((struct http_reader *)parser->data)->head;
    if (head->header_count == LIMIT_HTTP_HEADERS)
        return 1;
    head->header[head->header_count++] =
        (struct http_header){.name = {.data = data, .size = size}, .value = {.data = data + size}};
    return 0;
}

static int on_header_value(http_parser *parser, const char *data, size_t size)
{
    struct http_head *head = &((struct http_reader *)parser->data)->head;
    assert(head->header_count > 0);
    struct slice value = {.data = data, .size = size};
    head->header[head->header_count - 1].value = slice_trim(value);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    ((struct http_reader *)parser->data)->complete = true;
    return 0;
}

static bool library_read(struct http_reader *reader)
{
    static const http_parser_settings settings = {.on_header_field = on_header_field,
                                                  .on_header_value = on_header_value,
                                                  .on_headers_complete = on_headers_complete};
    http_parser parser;
    bool request = reader->kind == HTTP_KIND_REQUEST;
    http_parser_init(&parser, request ? HTTP_REQUEST : HTTP_RESPONSE);
    parser.data = reader;
    struct slice text = buffer_slice(&reader->bytes);
    if (request) { /* it knows only a list of methods of its own; ours is checked already */
        http_parser_execute(&parser, &settings, "GET", 3);
        text.data += reader->head.method.size;
        text.size -= reader->head.method.size;
    }
    size_t used = http_parser_execute(&parser, &settings, text.data, text.size);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    if (error == HPE_CB_header_field)
        return refuse(reader, 431, "too many headers");
    if (error != HPE_OK)
        return refuse(reader, 400, http_errno_description(error));
    if (!reader->complete || used != text.size)
        return refuse(reader, 400, "the head does not end where it seems to");
    return true;
}

/* ---- what the headers mean ---- */

static size_t header_count(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->header_count; i++)
        count += http_name_is(head->header[i].name, name);
    return count;
}

/* The library is built to let blanks into names; a proxy before us may read them otherwise. */
static bool names_check(struct http_reader *reader)
{
    static const char *const single[] = {"Host",
                                         "Content-Length",
                                         "Transfer-Encoding",
                                         "Origin",
                                         "Sec-WebSocket-Key",
                                         "Sec-WebSocket-Accept",
                                         "Sec-WebSocket-Version"};
    for (size_t i = 0; i < reader->head.header_count; i++)
        if (!is_token(reader->head.header[i].name))
            return refuse(reader, 400, "a header's name is not a word");
    for (size_t i = 0; i < COUNT_OF(single); i++)
        if (header_count(&reader->head, single[i]) > 1)
            return refuse(reader, 400, "a header that may stand once is there twice");
    return true;
}

static bool host_check(struct http_reader *reader, bool is_11)
{
    struct slice host = http_header_find(&reader->head, "Host");
    if (host.data == NULL)
        return !is_11 || refuse(reader, 400, "the Host header is missing");
    if (!http_host_valid(host))
        return refuse(reader, 400, "the Host header is not a host");
    if (reader->head.host.size == 0)
        reader->head.host = host;
    return true;
}

static bool body_check(struct http_reader *reader, bool is_11)
{
    struct http_head *head = &reader->head;
    struct slice length = http_header_find(head, "Content-Length");
    struct slice encoding = http_header_find(head, "Transfer-Encoding");
    if (length.data != NULL && encoding.data != NULL)
        return refuse(reader, 400, "both Content-Length and Transfer-Encoding");
    if (length.data != NULL && !slice_to_uint64(length, INT64_MAX, &head->content_length))
        return refuse(reader, 400, "the Content-Length is not a number");
    if (encoding.data != NULL && !is_11)
        return refuse(reader, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (encoding.data != NULL && !http_name_is(encoding, "chunked"))
        return refuse(reader, 501, "only the chunked Transfer-Encoding is known here");
    head->has_body = head->content_length > 0 || encoding.data != NULL;
    return true;
}

static bool head_read(struct http_reader *reader)
{
    struct http_head *head = &reader->head;
    struct slice text = buffer_slice(&reader->bytes);
    const char *line_end = memchr(text.data, '\r', text.size);
    assert(line_end != NULL);
    struct slice line = {.data = text.data, .size = (size_t)(line_end - text.data)};
    bool request = reader->kind == HTTP_KIND_REQUEST;
    bool is_11;
    if (request ? !request_line_read(reader, line, &is_11)
                : !status_line_read(reader, line, &is_11))
        return false;
    if (!library_read(reader) || !names_check(reader) || !body_check(reader, is_11))
        return false;
    if (request && !host_check(reader, is_11))
        return false;
    head->keep_alive = is_11 && !http_header_has_token(head, "Connection", "close");
    head->upgrade = is_11 && http_header_find(head, "Upgrade").size > 0 &&
                    http_header_has_token(head, "Connection", "upgrade") &&
                    (request || head->status == 101);
    return true;
}

/* ---- the reader ---- */

struct http_reader *http_reader_create(enum http_kind kind)
{
    struct http_reader *reader = memory_alloc(sizeof(*reader));
    reader->kind = kind;
    buffer_init(&reader->bytes, LIMIT_HTTP_HEAD);
    return reader;
}

void http_reader_destroy(struct http_reader *reader)
{
    if (reader == NULL)
        return;
    buffer_release(&reader->bytes);
    memory_free(reader);
}

bool http_reader_started(const struct http_reader *reader)
{
    return !reader->finished && reader->bytes.size > 0;
}

static void start_anew(struct http_reader *reader)
{
    struct buffer bytes = reader->bytes;
    buffer_clear(&bytes);
    *reader = (struct http_reader){.kind = reader->kind, .bytes = bytes};
}

/* Moves on to the end of the head, the input or the good bytes; *ret_used counts them. */
static enum scan_result scan(struct http_reader *reader, struct slice input, size_t *ret_used)
{
    size_t start = 0; /* of what belongs to the head */
    size_t used = 0;
    enum scan_result result = SCAN_ON;
    while (used < input.size && (result == SCAN_ON || result == SCAN_SKIP)) {
        if (reader->bytes.size + (used - start) >= LIMIT_HTTP_HEAD) {
            result = scan_refuse(reader, 431, "the head is too large");
            break;
        }
        result = scan_byte(reader, input.data[used]);
        if (result == SCAN_FAILED)
            break;
        used++;
        if (result == SCAN_SKIP) {
            buffer_clear(&reader->bytes);
            start = used;
        }
    }
    buffer_append(&reader->bytes, input.data + start, used - start);
    assert(!reader->bytes.overflowed);
    *ret_used = used;
    return result;
}

enum http_result http_read(struct http_reader *reader, struct slice input, size_t *ret_used,
                           const struct http_head **ret_head)
{
    *ret_used = 0;
    if (reader->finished)
        start_anew(reader);
    enum scan_result result = SCAN_FAILED;
    if (!reader->failed && input.size == 0)
        return HTTP_READ_MORE;
    if (!reader->failed)
        result = scan(reader, input, ret_used);
    if (result == SCAN_ON || result == SCAN_SKIP)
        return HTTP_READ_MORE;
    *ret_head = &reader->head;
    if (result == SCAN_END && head_read(reader)) {
        reader->finished = true;
        return HTTP_READ_HEAD;
    }
    reader->failed = true;
    return HTTP_READ_FAILED;
}
