/* SPDX-License-Identifier: BSD-3-Clause */
/* What the values of fields mean: strings without their escapes, numbers, bools. Their form was
 * checked when they were scanned. */
#include "wire/jvalue.h"

#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "wire/jscan.h"

#define NUMBER_MAX 64
#define REPLACEMENT 0xFFFD

struct text {
    const char *at, *end;
};

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    if (ch >= 'A' && ch <= 'F')
        return ch - 'A' + 10;
    return -1;
}

int32_t jvalue_hex4(const char *s, const char *end)
{
    int32_t value = 0;
    if (end - s < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(s[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

/* The code point of an escape, `at` behind its "\u"; half of a pair alone is U+FFFD. */
static uint32_t take_code_point(struct text *c)
{
    int32_t unit = jvalue_hex4(c->at, c->end);
    if (unit < 0)
        return REPLACEMENT;
    c->at += 4;
    if (unit < 0xD800 || unit > 0xDFFF)
        return (uint32_t)unit;
    int32_t low = unit < 0xDC00 && c->end - c->at >= 6 && c->at[0] == '\\' && c->at[1] == 'u'
                      ? jvalue_hex4(c->at + 2, c->end)
                      : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return REPLACEMENT;
    c->at += 6;
    return 0x10000 + ((uint32_t)(unit - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

int jvalue_unescape(struct slice raw, char *out, size_t cap, size_t *ret_len)
{
    static const char letters[] = "bfnrt", meaning[] = "\b\f\n\r\t";
    struct text c = {raw.data, raw.data + raw.len};
    size_t len = 0;
    while (c.at < c.end) {
        char piece[4] = {*c.at++};
        size_t n = 1;
        if (piece[0] == '\\' && c.at < c.end) {
            char kind = *c.at++;
            const char *letter = kind ? strchr(letters, kind) : NULL;
            if (kind == 'u')
                n = put_utf8(take_code_point(&c), piece);
            else
                piece[0] = letter ? meaning[letter - letters] : kind;
        }
        if (cap - len < n)
            return ERSA_EPARSE;
        memcpy(out + len, piece, n);
        len += n;
    }
    *ret_len = len;
    return 0;
}

int jscan_string(const struct jfield *f, char *out, size_t cap, struct slice *ret)
{
    if (f->type != J_STRING || (!f->escaped && f->raw.len > cap))
        return ERSA_EPARSE;
    if (!f->escaped) {
        *ret = f->raw;
        return 0;
    }
    ret->data = out;
    return jvalue_unescape(f->raw, out, cap, &ret->len);
}

int jscan_number(const struct jfield *f, double *ret)
{
    char text[NUMBER_MAX];
    if (f->type != J_NUMBER || f->raw.len >= sizeof(text))
        return ERSA_EPARSE;
    memcpy(text, f->raw.data, f->raw.len);
    text[f->raw.len] = '\0';
    *ret = strtod(text, NULL);
    return 0;
}

int jscan_bool(const struct jfield *f, bool *ret)
{
    if (f->type != J_BOOL)
        return ERSA_EPARSE;
    *ret = f->raw.data[0] == 't';
    return 0;
}
