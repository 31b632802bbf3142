/* SPDX-License-Identifier: BSD-3-Clause */
/* One pass over the text, no recursion: what a nested container is (array or object) is one bit
 * a level. Strings are skipped sixteen octets at a time. Strict as RFC 8259 has it but for the
 * octets in strings, which may be anything from 0x20 on, and the tokens NaN, Infinity and
 * -Infinity. */
#include "wire/jscan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#else
#include <endian.h>
#endif
#include <string.h>

#include "ersa/error.h"
#include "wire/jvalue.h"

#define KEY_MAX 128

struct cursor {
    const char *at, *end;
};

static inline const char *past_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ') {
        if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r')
            break;
        p++;
    }
    return p;
}

static void skip_space(struct cursor *c)
{
    c->at = past_space(c->at, c->end);
}

static bool take(struct cursor *c, char what)
{
    if (c->at == c->end || *c->at != what)
        return false;
    c->at++;
    return true;
}

static bool take_word(struct cursor *c, const char *word, size_t len)
{
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
        return false;
    c->at += len;
    return true;
}

/* Strings */

/* A bit or more for each octet of the STEP at `p` that is a quote, a backslash or a control
 * character; the lowest one is exact, and STRIDE bits wide. */
#ifdef __SSE2__
#define STEP 16
#define STRIDE 1
static inline uint64_t find_special(const char *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)p);
    __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(ends, control));
}
#else
#define STEP 8
#define STRIDE 8
#define ONES 0x0101010101010101u
#define HIGHS (0x80 * ONES)

static uint64_t zero_octets(uint64_t x)
{
    return (x - ONES) & ~x & HIGHS;
}

static inline uint64_t find_special(const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    x = le64toh(x);
    return zero_octets(x ^ ('"' * ONES)) | zero_octets(x ^ ('\\' * ONES)) |
           ((x - 0x20 * ONES) & ~x & HIGHS);
}
#endif

/* The next quote, backslash or control character, or the end. */
static inline const char *past_plain(const char *p, const char *end)
{
    while (end - p >= STEP) {
        uint64_t hit = find_special(p);
        if (hit)
            return p + __builtin_ctzll(hit) / STRIDE;
        p += STEP;
    }
    while (p < end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20)
        p++;
    return p;
}

/* At a backslash; NULL: no escape. */
static const char *past_escape(const char *p, const char *end)
{
    if (end - p < 2)
        return NULL;
    char kind = p[1];
    if (kind == 'u')
        return jvalue_hex4(p + 2, end) < 0 ? NULL : p + 6;
    return kind && strchr("\"\\/bfnrt", kind) ? p + 2 : NULL;
}

/* Behind the opening quote; returns where the closing one is, or NULL. */
static inline const char *find_quote(const char *p, const char *end, bool *ret_escaped)
{
    p = past_plain(p, end);
    *ret_escaped = false;
    while (p < end && *p == '\\') {
        *ret_escaped = true;
        p = past_escape(p, end);
        if (!p)
            return NULL;
        p = past_plain(p, end);
    }
    return p < end && *p == '"' ? p : NULL;
}

/* At the opening quote; returns what is behind the closing one, or NULL. */
static inline const char *scan_string(const char *p, const char *end, struct jfield *ret)
{
    bool escaped;
    const char *quote = find_quote(p + 1, end, &escaped);
    if (!quote)
        return NULL;
    ret->type = J_STRING;
    ret->raw = (struct slice){p + 1, (size_t)(quote - p - 1)};
    ret->escaped = escaped;
    return quote + 1;
}

/* Numbers and words */

static bool skip_digits(struct cursor *c)
{
    const char *start = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > start;
}

static bool scan_number(struct cursor *c)
{
    take(c, '-');
    if (take_word(c, "Infinity", 8))
        return true;
    if (!take(c, '0') && !skip_digits(c))
        return false;
    if (take(c, '.') && !skip_digits(c))
        return false;
    if (c->at < c->end && (*c->at | 0x20) == 'e') {
        c->at++;
        if (!take(c, '+'))
            take(c, '-');
        return skip_digits(c);
    }
    return true;
}

/* Anything but containers. */
static bool scan_scalar(struct cursor *c, struct jfield *ret)
{
    const char *start = c->at;
    bool ok;
    if (c->at == c->end)
        return false;
    switch (*c->at) {
    case '"':
        c->at = scan_string(start, c->end, ret);
        return c->at;
    case 't':
        ret->type = J_BOOL;
        ok = take_word(c, "true", 4);
        break;
    case 'f':
        ret->type = J_BOOL;
        ok = take_word(c, "false", 5);
        break;
    case 'n':
        ret->type = J_NULL;
        ok = take_word(c, "null", 4);
        break;
    case 'N':
        ret->type = J_NUMBER;
        ok = take_word(c, "NaN", 3);
        break;
    default:
        ret->type = J_NUMBER;
        ok = scan_number(c);
    }
    ret->raw = (struct slice){start, (size_t)(c->at - start)};
    ret->escaped = false;
    return ok;
}

/* Containers */

struct levels {
    unsigned depth;
    uint64_t is_object[JSCAN_DEPTH_MAX / 64];
};

static bool enter(struct levels *l, bool is_object)
{
    if (l->depth == JSCAN_DEPTH_MAX - 1) /* the object that jscan() is in counts too */
        return false;
    uint64_t bit = (uint64_t)1 << l->depth % 64, *word = &l->is_object[l->depth / 64];
    *word = is_object ? *word | bit : *word & ~bit;
    l->depth++;
    return true;
}

static bool in_object(const struct levels *l)
{
    return l->is_object[(l->depth - 1) / 64] >> (l->depth - 1) % 64 & 1;
}

static bool skip_key(struct cursor *c)
{
    struct jfield ignored;
    if (c->at == c->end || *c->at != '"')
        return false;
    c->at = scan_string(c->at, c->end, &ignored);
    if (!c->at)
        return false;
    skip_space(c);
    return take(c, ':');
}

/* From the end of an element to the start of the next; closes what ends here. */
static bool next_element(struct cursor *c, struct levels *l)
{
    while (l->depth) {
        skip_space(c);
        if (take(c, ',')) {
            skip_space(c);
            return !in_object(l) || skip_key(c);
        }
        if (!take(c, in_object(l) ? '}' : ']'))
            return false;
        l->depth--;
    }
    return true;
}

/* At '[' or '{'. */
static bool skip_container(struct cursor *c)
{
    struct levels l = {0};
    do {
        skip_space(c);
        if (take(c, '[')) {
            if (!enter(&l, false))
                return false;
            skip_space(c);
            if (c->at == c->end || *c->at != ']')
                continue;
        } else if (take(c, '{')) {
            if (!enter(&l, true))
                return false;
            skip_space(c);
            if (c->at == c->end || *c->at != '}') {
                if (!skip_key(c))
                    return false;
                continue;
            }
        } else {
            struct jfield ignored;
            if (!scan_scalar(c, &ignored))
                return false;
        }
        if (!next_element(c, &l))
            return false;
    } while (l.depth);
    return true;
}

/* Fills in all but the key; returns what is behind the value, or NULL. Strings, which most
 * values are, stay in registers; what else there is goes by the cursor. */
static inline const char *scan_value(const char *p, const char *end, struct jfield *ret)
{
    if (p == end)
        return NULL;
    if (*p == '"')
        return scan_string(p, end, ret);
    struct cursor c = {p, end};
    if (*p != '[' && *p != '{')
        return scan_scalar(&c, ret) ? c.at : NULL;
    if (!skip_container(&c))
        return NULL;
    ret->type = *p == '[' ? J_ARRAY : J_OBJECT;
    ret->raw = (struct slice){p, (size_t)(c.at - p)};
    ret->escaped = false;
    return c.at;
}

/* What is asked for. */
struct wanted {
    struct jfield *fields;
    unsigned n;
    unsigned left;     /* so many more until the scan stops; more than n: it never does */
    uint64_t initials; /* bit (first character % 64) of each key: most members are told by it */
};

static uint64_t initial_bit(char ch)
{
    return (uint64_t)1 << ((unsigned char)ch % 64);
}

static inline struct jfield *find_field(const struct wanted *w, struct slice key)
{
    if (key.len == 0 || !(w->initials & initial_bit(key.data[0])))
        return NULL;
    for (unsigned i = 0; i < w->n; i++)
        if (w->fields[i].key[0] == key.data[0] && slice_is(key, w->fields[i].key))
            return &w->fields[i];
    return NULL;
}

/* A key with escapes may still be one of those asked for; longer than any of them it is not. */
static struct jfield *find_escaped(const struct wanted *w, struct slice raw)
{
    char plain[KEY_MAX];
    struct slice key = {plain, 0};
    if (jvalue_unescape(raw, plain, sizeof(plain), &key.len) < 0)
        return NULL;
    return find_field(w, key);
}

/* "key": value */
static inline const char *scan_member(const char *p, const char *end, struct wanted *w)
{
    struct jfield key, ignored;
    if (p == end || *p != '"')
        return NULL;
    p = scan_string(p, end, &key);
    if (!p)
        return NULL;
    struct jfield *f = key.escaped ? find_escaped(w, key.raw) : find_field(w, key.raw);
    p = past_space(p, end);
    if (p == end || *p != ':')
        return NULL;
    if (f && f->type == J_ABSENT)
        w->left--;
    return scan_value(past_space(p + 1, end), end, f ? f : &ignored);
}

/* Behind the opening brace; returns what is behind the closing one, or NULL; or, when nothing
 * is left that is wanted, where that was found. */
static inline const char *scan_members(const char *p, const char *end, struct wanted *w)
{
    p = past_space(p, end);
    if (p < end && *p == '}')
        return p + 1;
    while ((p = scan_member(p, end, w))) {
        if (w->left == 0)
            return p;
        p = past_space(p, end);
        if (p == end)
            return NULL;
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = past_space(p + 1, end);
    }
    return NULL;
}

static void forget(struct wanted *w)
{
    w->initials = 0;
    for (unsigned i = 0; i < w->n; i++) {
        w->fields[i] = (struct jfield){.key = w->fields[i].key};
        w->initials |= initial_bit(w->fields[i].key[0]);
    }
}

static inline int scan(struct slice text, struct wanted *w)
{
    const char *end = text.data + text.len;
    const char *p = text.data ? past_space(text.data, end) : end;
    forget(w);
    if (text.data && p < end && *p == '{') {
        p = scan_members(p + 1, end, w);
        if (p && (w->left == 0 || past_space(p, end) == end))
            return 0;
    }
    forget(w);
    return ERSA_EPARSE;
}

int jscan(struct slice text, struct jfield *fields, unsigned n)
{
    return scan(text, &(struct wanted){.fields = fields, .n = n, .left = n + 1});
}

int jscan_some(struct slice text, struct jfield *fields, unsigned n)
{
    return scan(text, &(struct wanted){.fields = fields, .n = n, .left = n});
}

bool jscan_next(const struct jfield *array, size_t *pos, struct jfield *ret)
{
    if (array->type != J_ARRAY || *pos >= array->raw.len)
        return false;
    struct cursor c = {array->raw.data + *pos, array->raw.data + array->raw.len};
    if (*pos == 0)
        c.at++;
    skip_space(&c);
    if (take(&c, ','))
        skip_space(&c);
    struct jfield value = {.key = ret->key};
    const char *after = c.at < c.end && *c.at != ']' ? scan_value(c.at, c.end, &value) : NULL;
    if (!after)
        return false;
    *ret = value;
    *pos = (size_t)(after - array->raw.data);
    return true;
}
