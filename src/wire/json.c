/* SPDX-License-Identifier: BSD-3-Clause */
/* jansson first; what it refuses and Python lets through is repaired in a copy and tried again:
 *
 *     octets that are not UTF-8, half a surrogate pair   U+FFFD
 *     NaN, Infinity, -Infinity, a real beyond double     null
 *     an integer beyond 64 bits                          the nearest real
 *     an escaped NUL (in a key, which jansson can't)     U+FFFD
 *
 * What is no JSON for Python either stays refused. */
#include "wire/json.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"

#define FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)
#define REPLACEMENT "\xEF\xBF\xBD"
#define GROWTH 6 /* one octet becomes three; "NaN" and short numbers grow less than this */

struct repair {
    const char *at, *end;
    struct buf out; /* never full: its maximum is GROWTH times the text */
};

static size_t announced_length(unsigned char lead)
{
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/* Octets of the UTF-8 sequence at `s`; of an invalid one *ret_bad is set: as many are replaced
 * at once, as Python does. */
static size_t utf8_length(const char *s, const char *end, bool *ret_bad)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t left = (size_t)(end - s), n = announced_length(u[0]);
    *ret_bad = n == 0 && u[0] >= 0x80;
    if (n == 0)
        return 1;
    /* The second octet's range keeps out overlong forms, surrogates and what is past U+10FFFF.
     */
    unsigned low = u[0] == 0xE0 ? 0xA0 : u[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = u[0] == 0xED ? 0x9F : u[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < n; i++) {
        *ret_bad = i >= left || u[i] < low || u[i] > high;
        if (*ret_bad)
            return i;
        low = 0x80;
        high = 0xBF;
    }
    return n;
}

static int copy_utf8(struct repair *r)
{
    bool is_bad;
    size_t n = utf8_length(r->at, r->end, &is_bad);
    int rc = is_bad ? buf_puts(&r->out, REPLACEMENT) : buf_append(&r->out, r->at, n);
    r->at += n;
    return rc;
}

/* The value of "\uXXXX" at `s`, -1 when it is none. */
static long unit_at(const char *s, const char *end)
{
    char digits[5] = {0};
    if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
        return -1;
    memcpy(digits, s + 2, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") != 4)
        return -1;
    return strtol(digits, NULL, 16);
}

/* At a backslash. */
static int copy_escape(struct repair *r)
{
    long unit = unit_at(r->at, r->end);
    if (unit < 0) { /* of what follows the backslash copy_utf8() sees to the rest */
        size_t n = r->end - r->at >= 2 && (unsigned char)r->at[1] < 0x80 ? 2 : 1;
        r->at += n;
        return buf_append(&r->out, r->at - n, n);
    }
    size_t n = 6;
    bool is_bad = unit == 0;
    if (unit >= 0xD800 && unit <= 0xDFFF) {
        long low = unit_at(r->at + 6, r->end);
        is_bad = unit >= 0xDC00 || low < 0xDC00 || low > 0xDFFF;
        n = is_bad ? 6 : 12;
    }
    int rc = is_bad ? buf_puts(&r->out, REPLACEMENT) : buf_append(&r->out, r->at, n);
    r->at += n;
    return rc;
}

static int copy_string(struct repair *r)
{
    int rc = buf_putc(&r->out, *r->at++);
    while (rc == 0 && r->at < r->end) {
        if (*r->at == '"')
            return buf_putc(&r->out, *r->at++);
        rc = *r->at == '\\' ? copy_escape(r) : copy_utf8(r);
    }
    return rc;
}

#define DIGITS "0123456789"

static bool is_number(const char *s)
{
    s += *s == '-';
    size_t n = strspn(s, DIGITS);
    if (n == 0 || (*s == '0' && n > 1))
        return false;
    s += n;
    if (*s == '.') {
        n = strspn(++s, DIGITS);
        if (n == 0)
            return false;
        s += n;
    }
    if (*s == 'e' || *s == 'E') {
        s += s[1] == '+' || s[1] == '-' ? 2 : 1;
        n = strspn(s, DIGITS);
        if (n == 0)
            return false;
        s += n;
    }
    return *s == '\0';
}

/* A run of letters, digits and signs outside of strings: a number or a word. */
static int copy_word(struct repair *r)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    size_t len = 0;
    while (r->at + len < r->end && r->at[len] && strchr(letters, r->at[len]))
        len++;
    if (len == 0)
        return buf_putc(&r->out, *r->at++);
    struct slice word = {r->at, len};
    r->at += len;
    if (slice_is(word, "NaN") || slice_is(word, "Infinity") || slice_is(word, "-Infinity"))
        return buf_puts(&r->out, "null");
    size_t start = r->out.len;
    int rc = buf_append(&r->out, word.data, word.len);
    if (rc < 0)
        return rc;
    char *text = buf_cstr(&r->out);
    if (!text)
        return ERSA_ENOMEM;
    text += start;
    if (!is_number(text))
        return 0;
    if (isinf(strtod(text, NULL))) {
        r->out.len = start;
        return buf_puts(&r->out, "null");
    }
    errno = 0;
    (void)strtoll(text, NULL, 10);
    bool is_integer = strspn(text + 1, DIGITS) == len - 1;
    return is_integer && errno == ERANGE ? buf_puts(&r->out, "e0") : 0;
}

static int repair_text(struct repair *r)
{
    int rc = 0;
    while (rc == 0 && r->at < r->end)
        rc = *r->at == '"' ? copy_string(r) : copy_word(r);
    return rc;
}

/* Not fewer than there are, but for one: those in strings count as well. */
static size_t count_values(struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
    return n;
}

json_t *json_parse(struct slice text, struct ersa_error *err)
{
    json_error_t first, second;
    /* A NUL is never part of JSON; jansson skips one behind a number. */
    if (!text.data || memchr(text.data, '\0', text.len)) {
        err_set(err, ERSA_EPARSE, text.data ? "JSON with a NUL octet" : "no JSON text");
        return NULL;
    }
    if (text.len > JSON_VALUES_MAX && count_values(text) > JSON_VALUES_MAX) {
        err_set(err, ERSA_EFULL, "JSON with more than %u values", JSON_VALUES_MAX);
        return NULL;
    }
    json_t *j = json_loadb(text.data, text.len, FLAGS, &first);
    if (j)
        return j;
    struct repair r = {text.data, text.data + text.len, {0}};
    buf_init(&r.out, text.len < SIZE_MAX / GROWTH ? text.len * GROWTH : SIZE_MAX);
    int rc = repair_text(&r);
    if (rc == 0)
        j = json_loadb((const char *)r.out.data, r.out.len, FLAGS, &second);
    buf_fini(&r.out);
    if (!j)
        err_set(err, rc < 0 ? rc : ERSA_EPARSE, "JSON, line %d column %d: %s", first.line,
                first.column, first.text);
    return j;
}

json_t *json_lossy(struct slice text)
{
    struct repair r = {text.data, text.data + text.len, {0}};
    json_t *j = json_stringn(text.data ? text.data : "", text.len);
    if (j || !text.data)
        return j;
    buf_init(&r.out, text.len * GROWTH);
    int rc = 0;
    while (rc == 0 && r.at < r.end)
        rc = copy_utf8(&r);
    if (rc == 0)
        j = json_stringn((const char *)r.out.data, r.out.len);
    buf_fini(&r.out);
    return j;
}

char *json_text(const json_t *j)
{
    return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
}

const char *json_str(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool json_truth(const json_t *object, const char *key)
{
    const json_t *j = json_object_get(object, key);
    switch (j ? json_typeof(j) : JSON_NULL) {
    case JSON_TRUE:
        return true;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(j) != 0;
    case JSON_STRING:
        return json_string_length(j) > 0;
    case JSON_ARRAY:
        return json_array_size(j) > 0;
    case JSON_OBJECT:
        return json_object_size(j) > 0;
    default:
        return false;
    }
}
