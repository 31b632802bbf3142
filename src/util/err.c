/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentences of errors, and the fixed text of each code (from include/ersa/error.def). */
#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *ersa_strerror(int code)
{
    switch (code) {
    case ERSA_OK:
        return "success";
#define X(name, number, text) \
    case ERSA_##name:         \
        return text;
#include "ersa/error.def"
#undef X
    default:
        return "unknown error";
    }
}

int err_set(struct ersa_error *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    return code;
}

int err_errno(struct ersa_error *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->text))
        snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s", strerror(saved));
    errno = saved;
    return code;
}

int err_prefix(struct ersa_error *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    char below[ERSA_ERROR_TEXT_MAX];
    memcpy(below, err->text, sizeof(below));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 3 < sizeof(err->text)) {
        size_t room = sizeof(err->text) - (size_t)n - 3;
        memcpy(err->text + n, ": ", 2);
        snprintf(err->text + n + 2, room + 1, "%.*s", (int)room, below);
    }
    if (!err->code)
        err->code = code;
    return err->code;
}
