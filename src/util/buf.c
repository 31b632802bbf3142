/* SPDX-License-Identifier: BSD-3-Clause */
/* Growable octets with a maximum; doubles, so that appending is O(1) on average. */
#include "util/buf.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

#define SMALLEST 64

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
}

/* Room for `need` octets in all, which may be one more than `max` (the NUL of buf_cstr). */
static int grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : SMALLEST;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : 2 * cap;
    if (cap > b->max)
        cap = need > b->max ? need : b->max;
    uint8_t *data = realloc(b->data, cap);
    if (!data)
        return ERSA_ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_reserve(struct buf *b, size_t more)
{
    if (more > b->max || b->len > b->max - more)
        return ERSA_EFULL;
    return b->len + more <= b->cap ? 0 : grow(b, b->len + more);
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int rc = buf_reserve(b, len);
    if (rc < 0)
        return rc;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int buf_puts(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n < 0)
        return ERSA_EINVAL;
    size_t len = (size_t)n;
    if (len < sizeof(small))
        return buf_append(b, small, len);
    int rc = buf_reserve(b, len);
    if (rc == 0 && b->cap < b->len + len + 1)
        rc = grow(b, b->len + len + 1);
    if (rc < 0)
        return rc;
    va_start(ap, fmt);
    vsnprintf((char *)b->data + b->len, len + 1, fmt, ap);
    va_end(ap);
    b->len += len;
    return 0;
}

/* Octets of the well-formed UTF-8 character at `s`, 0 when there is none. */
static size_t utf8_len(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

static int put_json_char(struct buf *b, unsigned char c)
{
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char esc[7];
    if (c == '"' || c == '\\')
        return buf_append(b, (char[]){'\\', (char)c}, 2);
    if (c >= 0x20 && c != 0x7f)
        return buf_putc(b, (char)c);
    if (c < 0x20 && shorts[c])
        return buf_append(b, (char[]){'\\', shorts[c]}, 2);
    snprintf(esc, sizeof(esc), "\\u%04x", c);
    return buf_append(b, esc, 6);
}

int buf_put_json(struct buf *b, const char *s, size_t len)
{
    size_t start = b->len;
    int rc = buf_putc(b, '"');
    for (size_t i = 0; i < len && rc == 0;) {
        const unsigned char *at = (const unsigned char *)s + i;
        size_t n = utf8_len(at, len - i);
        if (n == 1)
            rc = put_json_char(b, *at);
        else if (n)
            rc = buf_append(b, at, n);
        else
            rc = buf_append(b, "\xef\xbf\xbd", 3);
        i += n ? n : 1;
    }
    if (rc == 0)
        rc = buf_putc(b, '"');
    if (rc < 0)
        b->len = start;
    return rc;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

char *buf_cstr(struct buf *b)
{
    if (b->len + 1 > b->cap && grow(b, b->len + 1) < 0)
        return NULL;
    b->data[b->len] = '\0';
    return (char *)b->data;
}
