/* SPDX-License-Identifier: BSD-3-Clause */
/* By characters of UTF-8 (what is none counts as one character an octet); of several "*" only
 * the last one is tried again. */
#include "store/glob.h"

#include <stdint.h>

#define NO_CHARACTER 0x110000u /* and the octet: equal to no character */

/* The character at *at, which moves behind it. */
static uint32_t take_char(struct slice s, size_t *at)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)s.data + *at;
    size_t n = u[0] < 0xC2 ? 1 : u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : u[0] < 0xF5 ? 4 : 1;
    uint32_t c = n > 1 ? u[0] & 0x7Fu >> n : u[0] < 0x80 ? u[0] : NO_CHARACTER + u[0];
    bool is_whole = n <= s.len - *at;
    for (size_t i = 1; i < n && is_whole; i++) {
        is_whole = (u[i] & 0xC0) == 0x80;
        c = c << 6 | (u[i] & 0x3F);
    }
    if (n > 1 && (!is_whole || c < least[n])) {
        n = 1;
        c = NO_CHARACTER + u[0];
    }
    *at += n;
    return c;
}

/* Where the set that opens before `at` closes; p.len when it doesn't. A "]" at its start is a
 * member. */
static size_t find_close(struct slice p, size_t at)
{
    if (at < p.len && p.data[at] == '!')
        at++;
    if (at < p.len && p.data[at] == ']')
        at++;
    while (at < p.len && p.data[at] != ']')
        at++;
    return at;
}

static bool in_set(struct slice set, uint32_t c)
{
    size_t at = 0;
    bool is_negated = set.len && set.data[0] == '!', found = false;
    if (is_negated)
        at++;
    while (at < set.len) {
        uint32_t low = take_char(set, &at), high = low;
        if (set.len - at >= 2 && set.data[at] == '-') {
            at++;
            high = take_char(set, &at);
        }
        found = found || (low <= c && c <= high);
    }
    return found != is_negated;
}

/* One element of the pattern (no "*") against one character. */
static bool match_one(struct slice p, size_t *p_at, uint32_t c)
{
    uint32_t want = take_char(p, p_at);
    if (want == '?')
        return true;
    size_t close = want == '[' ? find_close(p, *p_at) : p.len;
    if (close == p.len)
        return want == c;
    struct slice set = {p.data + *p_at, close - *p_at};
    *p_at = close + 1;
    return in_set(set, c);
}

bool glob_match(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX,
           star_text = 0; /* behind the last "*", and what it has taken so far */
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        size_t next = t;
        uint32_t c = take_char(text, &next);
        if (p < pattern.len && match_one(pattern, &p, c)) {
            t = next;
        } else if (star != SIZE_MAX) {
            take_char(text, &star_text);
            p = star;
            t = star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}
