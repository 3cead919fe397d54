/* SPDX-License-Identifier: Apache-2.0 */
/* Texts are made in a local array first, so that an argument may point into the error itself. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    assert(code < 0);
    assert(format != NULL);
    if (err == NULL)
        return code;

    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    err->code = code;
    memcpy(err->text, text, sizeof text);
    return code;
}

int err_wrap(struct err *err, const char *context)
{
    assert(context != NULL);
    if (err == NULL)
        return -EIO;

    assert(err->code < 0);
    char text[2 * sizeof err->text + 2];
    int size =
        snprintf(text, sizeof text, "%.*s: %s", (int)sizeof err->text - 1, context, err->text);
    assert(size >= 0 && (size_t)size < sizeof text);
    memcpy(err->text, text, sizeof err->text);
    err->text[sizeof err->text - 1] = '\0';
    return err->code;
}
