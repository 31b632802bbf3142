/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling a struct ersa_error: set once at the lowest place, add context once above. */
#ifndef ERSA_UTIL_ERR_H
#define ERSA_UTIL_ERR_H

#include "ersa/error.h"

/* Formats the sentence into *err (which may be NULL) and returns `code`. */
int err_set(struct ersa_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set() with ": <strerror(errno)>" appended; keeps errno. */
int err_errno(struct ersa_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " in front of the text already there; returns err->code (or `code` where
 * err is NULL). */
int err_prefix(struct ersa_error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
