/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies, numbers, hex, edit distance. */
#include "util/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "ersa/error.h"

char *str_dup(const char *s)
{
    return strdup(s);
}

char *str_dup_slice(struct slice s)
{
    char *copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return copy;
}

char *str_printf(const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

char *str_path(const char *dir, const char *name)
{
    return str_printf("%s/%s", dir, name);
}

/* strtoll() and strtod() skip white space and take what they can: here all of it must be
 * number. */
static bool may_be_number(const char *s)
{
    return *s && *s != ' ' && (*s < '\t' || *s > '\r');
}

int str_to_i64(const char *s, long long *ret)
{
    char *end;
    if (!may_be_number(s))
        return ERSA_EPARSE;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (errno || end == s || *end)
        return ERSA_EPARSE;
    *ret = value;
    return 0;
}

int str_to_double(const char *s, double *ret)
{
    char *end;
    if (!may_be_number(s))
        return ERSA_EPARSE;
    errno = 0;
    double value = strtod(s, &end);
    if (errno == ERANGE || end == s || *end)
        return ERSA_EPARSE;
    *ret = value;
    return 0;
}

size_t str_distance(const char *a, const char *b)
{
    size_t rows = strlen(a), columns = strlen(b);
    size_t *line = calloc(columns + 1, sizeof(*line));
    if (!line)
        return rows > columns ? rows : columns;
    for (size_t j = 0; j <= columns; j++)
        line[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t above = line[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (line[j - 1] + 1 < best)
                best = line[j - 1] + 1;
            diagonal = above;
            line[j] = best;
        }
    }
    size_t result = line[columns];
    free(line);
    return result;
}

void str_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * len] = '\0';
}
