/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefixes in a sorted array: a peer that asks for all that it may, and changes its mind all
 * the time, costs the others no more than a search each. */
#include "wire/subs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

static size_t common_octets(struct slice a, struct slice b)
{
    size_t n = 0, max = a.len < b.len ? a.len : b.len;
    while (n < max && a.data[n] == b.data[n])
        n++;
    return n;
}

static bool is_after(struct slice a, struct slice b)
{
    size_t n = common_octets(a, b);
    return n < a.len && (n == b.len || (uint8_t)a.data[n] > (uint8_t)b.data[n]);
}

/* How many items stand before `prefix`, itself included. */
static unsigned items_up_to(const struct subs *s, struct slice prefix)
{
    unsigned low = 0, high = s->n;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (is_after(s->items[middle], prefix))
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void subs_fini(struct subs *s)
{
    for (unsigned i = 0; i < s->n; i++)
        free((char *)s->items[i].data);
    free(s->items);
    *s = (struct subs){0};
}

int subs_add(struct subs *s, struct slice prefix)
{
    if (prefix.len == 0) {
        bool was_there = s->all;
        s->all = true;
        return !was_there;
    }
    unsigned at = items_up_to(s, prefix);
    if (at > 0 && slice_eq(s->items[at - 1], prefix))
        return 0;
    if (s->n == SUBS_MAX || prefix.len > SUBS_OCTETS_MAX - s->octets)
        return ERSA_EFULL;
    if (s->n == s->cap) {
        unsigned cap = s->cap ? 2 * s->cap : 4;
        struct slice *items = reallocarray(s->items, cap, sizeof(*items));
        if (!items)
            return ERSA_ENOMEM;
        s->items = items;
        s->cap = cap;
    }
    char *copy = str_dup_slice(prefix);
    if (!copy)
        return ERSA_ENOMEM;
    memmove(&s->items[at + 1], &s->items[at], (s->n - at) * sizeof(*s->items));
    s->items[at] = (struct slice){copy, prefix.len};
    s->n++;
    s->octets += prefix.len;
    return 1;
}

bool subs_remove(struct subs *s, struct slice prefix)
{
    if (prefix.len == 0) {
        bool was_there = s->all;
        s->all = false;
        return was_there;
    }
    unsigned at = items_up_to(s, prefix);
    if (at == 0 || !slice_eq(s->items[at - 1], prefix))
        return false;
    free((char *)s->items[at - 1].data);
    memmove(&s->items[at - 1], &s->items[at], (s->n - at) * sizeof(*s->items));
    s->n--;
    s->octets -= prefix.len;
    return true;
}

/* All prefixes of a topic that are there stand in front of it, and are prefixes of whatever
 * stands between: so the nearest item is one, or shortens the topic for the next search. */
bool subs_match(const struct subs *s, struct slice topic)
{
    if (s->all)
        return true;
    while (topic.len) {
        unsigned n = items_up_to(s, topic);
        if (n == 0)
            return false;
        struct slice nearest = s->items[n - 1];
        topic.len = common_octets(nearest, topic);
        if (topic.len == nearest.len)
            return true;
    }
    return false;
}
