/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefixes in an array, in the order in which they came. */
#include "wire/subs.h"

#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"

static int find(const struct subs *s, struct slice prefix)
{
    for (unsigned i = 0; i < s->n; i++)
        if (slice_eq(s->items[i], prefix))
            return (int)i;
    return -1;
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
    if (find(s, prefix) >= 0)
        return 0;
    if (s->n == SUBS_MAX)
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
    s->items[s->n++] = (struct slice){copy, prefix.len};
    return 1;
}

bool subs_remove(struct subs *s, struct slice prefix)
{
    if (prefix.len == 0) {
        bool was_there = s->all;
        s->all = false;
        return was_there;
    }
    int i = find(s, prefix);
    if (i < 0)
        return false;
    free((char *)s->items[i].data);
    memmove(&s->items[i], &s->items[i + 1], (s->n - (unsigned)i - 1) * sizeof(*s->items));
    s->n--;
    return true;
}

bool subs_match(const struct subs *s, struct slice topic)
{
    if (s->all)
        return true;
    for (unsigned i = 0; i < s->n; i++)
        if (topic.len >= s->items[i].len &&
            memcmp(topic.data, s->items[i].data, s->items[i].len) == 0)
            return true;
    return false;
}
