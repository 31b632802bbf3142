/* SPDX-License-Identifier: BSD-3-Clause */
/* Growable octet buffer that knows its maximum from the start, so that no input can grow it
 * without bound. After a failed append the buffer holds what it held before. */
#ifndef ERSA_UTIL_BUF_H
#define ERSA_UTIL_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "util/str.h"

struct buf {
    uint8_t *data; /* owned; not NUL-terminated unless buf_cstr() was called */
    size_t len, cap;
    size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* len = 0, memory kept */

/* What it holds; valid until it changes. */
static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){(const char *)b->data, b->len};
}

/* All return 0, ERSA_ENOMEM, or ERSA_EFULL when `max` would be passed. */
int buf_reserve(struct buf *b, size_t more);
int buf_append(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends `len` octets of UTF-8 as a JSON string with its quotes; octets that are not UTF-8
 * become U+FFFD, control characters escapes. */
int buf_put_json(struct buf *b, const char *s, size_t len);

/* Drops `n` octets from the front. */
void buf_consume(struct buf *b, size_t n);

/* NUL-terminates (not counted in len) and returns the text; NULL when out of memory. */
char *buf_cstr(struct buf *b);

#endif
