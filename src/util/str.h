/* SPDX-License-Identifier: BSD-3-Clause */
/* Octet slices and small string helpers. */
#ifndef ERSA_UTIL_STR_H
#define ERSA_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Borrowed octets, not NUL-terminated. `data` NULL means absent. */
struct slice {
    const char *data;
    size_t len;
};

#define SLICE_LIT(s) ((struct slice){(s), sizeof(s) - 1})
#define SLICE_FMT(s) (int)(s).len, (s).data /* for "%.*s" */

static inline bool slice_is(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return s.data && s.len == n && memcmp(s.data, text, n) == 0;
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.data && b.data && a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* Owned copies; NULL when out of memory. */
char *str_dup(const char *s);
char *str_dup_slice(struct slice s);
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* dir + "/" + name. */
char *str_path(const char *dir, const char *name);
/* Whole number in decimal, nothing else around it. 0 or ERSA_EPARSE. */
int str_to_i64(const char *s, long long *ret);
int str_to_double(const char *s, double *ret);
/* Edit distance, for "did you mean". */
size_t str_distance(const char *a, const char *b);
/* Lower-case hex of `len` octets, NUL-terminated; `out` holds 2 * len + 1. */
void str_hex(const void *data, size_t len, char *out);

#endif
