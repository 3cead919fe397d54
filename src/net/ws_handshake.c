/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket opening handshake on HTTP heads (RFC 6455, section 4); declared in http.h. */
#include "net/http.h"

#include "base/random.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>

#define HANDSHAKE_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define SHA1_SIZE 20
#define KEY_BYTES 16

void ws_accept_for(struct slice key, char ret_accept[WS_ACCEPT_SIZE + 1])
{
    char text[WS_KEY_SIZE + sizeof(HANDSHAKE_GUID)];
    assert(key.size == WS_KEY_SIZE);
    memcpy(text, key.data, WS_KEY_SIZE);
    memcpy(text + WS_KEY_SIZE, HANDSHAKE_GUID, sizeof(HANDSHAKE_GUID));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    int done = EVP_Digest(text, sizeof(text) - 1, digest, &digest_size, EVP_sha1(), NULL);
    assert(done == 1);
    assert(digest_size == SHA1_SIZE);
    (void)done;
    EVP_EncodeBlock((unsigned char *)ret_accept, digest, SHA1_SIZE);
}

void ws_key_make(char ret_key[WS_KEY_SIZE + 1])
{
    unsigned char bytes[KEY_BYTES];
    random_bytes(bytes, sizeof(bytes));
    EVP_EncodeBlock((unsigned char *)ret_key, bytes, sizeof(bytes));
}

static bool is_base64(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '+' || byte == '/';
}

/* 16 bytes in base64: 22 digits and two pads. */
static bool key_valid(struct slice key)
{
    if (key.size != WS_KEY_SIZE || key.data[22] != '=' || key.data[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key.data[i]))
            return false;
    return true;
}

unsigned ws_handshake_check(const struct http_head *request, const char **ret_reason)
{
    if (!slice_is(request->method, "GET")) {
        *ret_reason = "a WebSocket handshake is a GET request";
        return 405;
    }
    if (!request->upgrade || !http_header_has_token(request, "Upgrade", "websocket")) {
        *ret_reason = "this is a WebSocket endpoint";
        return 426;
    }
    if (!slice_is(http_header_find(request, "Sec-WebSocket-Version"), "13")) {
        *ret_reason = "only WebSocket version 13 is spoken here";
        return 426;
    }
    if (!key_valid(http_header_find(request, "Sec-WebSocket-Key"))) {
        *ret_reason = "Sec-WebSocket-Key is missing or is not 16 bytes in base64";
        return 400;
    }
    return 0;
}

int ws_handshake_accepted_but_extension(const struct http_head *answer, const char *key,
                                        struct err *err)
{
    if (answer->status != 101)
        return err_set(err, -EPROTO, "HTTP %u instead of a WebSocket", answer->status);
    if (!answer->upgrade || !http_header_has_token(answer, "Upgrade", "websocket"))
        return err_set(err, -EPROTO, "HTTP 101 without an upgrade to websocket");
    char expected[WS_ACCEPT_SIZE + 1];
    ws_accept_for(slice_of(key), expected);
    if (!slice_is(http_header_find(answer, "Sec-WebSocket-Accept"), expected))
        return err_set(err, -EPROTO, "HTTP 101 with a wrong Sec-WebSocket-Accept");
    if (http_header_find(answer, "Sec-WebSocket-Protocol").data != NULL)
        return err_set(err, -EPROTO, "HTTP 101 with a subprotocol that was not asked for");
    return 0;
}

int ws_handshake_accepted(const struct http_head *answer, const char *key, struct err *err)
{
    int failed = ws_handshake_accepted_but_extension(answer, key, err);
    if (failed != 0)
        return failed;
    if (http_header_find(answer, "Sec-WebSocket-Extensions").data != NULL)
        return err_set(err, -EPROTO, "HTTP 101 with an extension that was not asked for");
    return 0;
}
