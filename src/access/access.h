/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may: bearer tokens of a file, or JSON Web Tokens of an issuer, and the admin's token for
 * writes. One `struct access` judges request heads; it does no network I/O and remembers nothing of
 * a request. Tokens are kept as digests only, never appear in a text that leaves this folder, and
 * copies of them are wiped.
 *
 * Thread: the loop of the server that asks. (Checks alone do not change it, so several loops may
 * share one as long as none of them reloads.)
 */
#pragma once

#include "net/http.h"

enum access_mode { ACCESS_NONE, ACCESS_TOKEN, ACCESS_JWT };

/* Texts are copied; NULL is "". */
struct access_options {
    enum access_mode mode;
    const char *tokens_file;   /* ACCESS_TOKEN: needed */
    const char *jwt_algorithm; /* ACCESS_JWT: these three are needed */
    const char *jwt_public_key;
    const char *jwt_audience;
    const char *admin_token_file; /* "": every write is refused */
};

struct access;

/* Refused or granted; everything in it is static but for name, which holds until the next reload.
 */
struct access_verdict {
    unsigned status;     /* 0: granted; else 400 (two tokens, or no token's form), 401, 403 */
    const char *detail;  /* of a refusal: a sentence for the problem's detail */
    const char *headers; /* of a refusal: the whole WWW-Authenticate line (RFC 6750, section 3) */
    const char *subprotocol; /* of a grant: what the handshake's answer selects; NULL: nothing */
    int64_t expires_us;      /* of a grant: wall time at which it ends; 0: never */
    const char *name;        /* of a token of the file: what it is called there; else "" */
};

/* Reads the files. The error says which setting is wrong; main thread. */
int access_create(const struct access_options *options, struct access **ret_access,
                  struct err *err) MUST_CHECK;

/* NULL is a no-op. */
void access_destroy(struct access *access);

/* Reads the same files again. On failure everything stays as it was. What was granted before is not
 * taken back: a token that is gone from its file is refused from the next request on. */
int access_reload(struct access *access, struct err *err) MUST_CHECK;

/* What the caller should warn of, such as a file that everybody may read; "" when there is nothing.
 * Valid until the next reload. */
const char *access_warning(const struct access *access);

/*
 * May this request read? In mode none always. The admin's token may as well. A handshake that
 * offers the subprotocol `tickwire` gets it, whatever the mode: a browser demands an answer to what
 * it offers.
 */
void access_check(struct access *access, const struct http_head *request, int64_t now_us,
                  struct access_verdict *ret_verdict);

/* May it write? Only with the admin's token, in the header: 403 for everybody when there is none
 * configured, and for who may read alone. */
void access_check_admin(struct access *access, const struct http_head *request, int64_t now_us,
                        struct access_verdict *ret_verdict);
