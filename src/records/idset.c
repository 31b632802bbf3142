/* SPDX-License-Identifier: BSD-3-Clause */
/* Per prefix a sorted array of runs without gaps between neighbours. New numbers mostly extend
 * the last run; the place of others is found by halving. */
#include "records/idset.h"

#include <stdint.h>
#include <stdlib.h>

#include "ersa/error.h"

#define DIGITS_MAX 18

struct run {
    uint64_t first, last;
};

struct id_prefix {
    struct list age;
    struct run *runs; /* owned */
    size_t n, cap;
    size_t len;
    char text[]; /* with the last '_' */
};

struct other {
    struct list age;
    size_t len;
    char text[];
};

void idset_init(struct idset *s)
{
    map_init(&s->prefixes);
    map_init(&s->others);
    list_init(&s->prefixes_by_age);
    list_init(&s->others_by_age);
    s->last = NULL;
    s->n_runs = 0;
}

static void drop_prefix(struct idset *s, struct id_prefix *p)
{
    if (s->last == p)
        s->last = NULL;
    map_remove(&s->prefixes, p->text, p->len);
    list_remove(&p->age);
    s->n_runs -= p->n;
    free(p->runs);
    free(p);
}

static void drop_other(struct idset *s, struct other *o)
{
    map_remove(&s->others, o->text, o->len);
    list_remove(&o->age);
    free(o);
}

void idset_clear(struct idset *s)
{
    list_for_each (&s->prefixes_by_age, it)
        drop_prefix(s, container_of(it, struct id_prefix, age));
    list_for_each (&s->others_by_age, it)
        drop_other(s, container_of(it, struct other, age));
}

void idset_fini(struct idset *s)
{
    idset_clear(s);
    map_fini(&s->prefixes);
    map_fini(&s->others);
}

/* Splits "<prefix>_<n>"; false when the id is of another form. */
static bool split(struct slice id, struct slice *ret_prefix, uint64_t *ret_n)
{
    size_t digits = 0;
    while (digits < id.len && id.data[id.len - 1 - digits] >= '0' &&
           id.data[id.len - 1 - digits] <= '9')
        digits++;
    size_t at = id.len - digits;
    if (digits == 0 || digits > DIGITS_MAX || at == 0 || id.data[at - 1] != '_' ||
        (digits > 1 && id.data[at] == '0'))
        return false;
    *ret_prefix = (struct slice){id.data, at};
    *ret_n = 0;
    for (; at < id.len; at++)
        *ret_n = *ret_n * 10 + (uint64_t)(id.data[at] - '0');
    return true;
}

static struct id_prefix *find_prefix(struct idset *s, struct slice text)
{
    struct id_prefix *p = s->last;
    if (!p || p->len != text.len || memcmp(p->text, text.data, text.len) != 0)
        p = map_get(&s->prefixes, text.data, text.len);
    if (p)
        s->last = p;
    return p;
}

static struct id_prefix *add_prefix(struct idset *s, struct slice text)
{
    if (map_size(&s->prefixes) >= IDSET_PREFIXES_MAX)
        drop_prefix(s, container_of(s->prefixes_by_age.next, struct id_prefix, age));
    struct id_prefix *p = calloc(1, sizeof(*p) + text.len);
    if (!p)
        return NULL;
    p->len = text.len;
    memcpy(p->text, text.data, text.len);
    if (map_put(&s->prefixes, p->text, p->len, p) < 0) {
        free(p);
        return NULL;
    }
    list_push_back(&s->prefixes_by_age, &p->age);
    return s->last = p;
}

/* The first run that ends at `n` or behind it. */
static size_t place_of(const struct id_prefix *p, uint64_t n)
{
    size_t low = 0, high = p->n;
    if (p->n && p->runs[p->n - 1].last < n)
        return p->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->runs[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert_run(struct idset *s, struct id_prefix *p, size_t at, struct run run)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 4;
        struct run *grown = reallocarray(p->runs, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        p->runs = grown;
        p->cap = cap;
    }
    memmove(p->runs + at + 1, p->runs + at, (p->n - at) * sizeof(*p->runs));
    p->runs[at] = run;
    p->n++;
    s->n_runs++;
    return 0;
}

static void remove_run(struct idset *s, struct id_prefix *p, size_t at)
{
    p->n--;
    s->n_runs--;
    memmove(p->runs + at, p->runs + at + 1, (p->n - at) * sizeof(*p->runs));
}

/* Keeps the bound: the oldest prefix goes, or, when there is no other, the older half of its
 * runs. */
static void make_room(struct idset *s)
{
    struct id_prefix *p = container_of(s->prefixes_by_age.next, struct id_prefix, age);
    if (s->n_runs < IDSET_RUNS_MAX)
        return;
    if (p->n < s->n_runs) {
        drop_prefix(s, p);
        return;
    }
    size_t half = p->n / 2;
    memmove(p->runs, p->runs + half, (p->n - half) * sizeof(*p->runs));
    p->n -= half;
    s->n_runs -= half;
}

static int add_number(struct idset *s, struct slice text, uint64_t n)
{
    make_room(s);
    struct id_prefix *p = find_prefix(s, text);
    if (!p)
        p = add_prefix(s, text);
    if (!p)
        return ERSA_ENOMEM;
    size_t at = place_of(p, n);
    struct run *next = at < p->n ? &p->runs[at] : NULL;
    struct run *before = at > 0 ? &p->runs[at - 1] : NULL;
    if (next && next->first <= n)
        return 0;
    bool joins_next = next && next->first == n + 1,
         joins_before = before && before->last + 1 == n;
    if (joins_before && joins_next) {
        before->last = next->last;
        remove_run(s, p, at);
    } else if (joins_before) {
        before->last = n;
    } else if (joins_next) {
        next->first = n;
    } else {
        return insert_run(s, p, at, (struct run){n, n});
    }
    return 0;
}

static int add_other(struct idset *s, struct slice id)
{
    if (map_get(&s->others, id.data, id.len))
        return 0;
    if (map_size(&s->others) >= IDSET_OTHERS_MAX)
        drop_other(s, container_of(s->others_by_age.next, struct other, age));
    struct other *o = malloc(sizeof(*o) + id.len);
    if (!o)
        return ERSA_ENOMEM;
    o->len = id.len;
    memcpy(o->text, id.data, id.len);
    if (map_put(&s->others, o->text, o->len, o) < 0) {
        free(o);
        return ERSA_ENOMEM;
    }
    list_push_back(&s->others_by_age, &o->age);
    return 0;
}

int idset_add(struct idset *s, struct slice id)
{
    struct slice prefix;
    uint64_t n;
    return split(id, &prefix, &n) ? add_number(s, prefix, n) : add_other(s, id);
}

bool idset_has(struct idset *s, struct slice id)
{
    struct slice prefix;
    uint64_t n;
    if (!split(id, &prefix, &n))
        return map_get(&s->others, id.data, id.len);
    const struct id_prefix *p = find_prefix(s, prefix);
    if (!p)
        return false;
    size_t at = place_of(p, n);
    return at < p->n && p->runs[at].first <= n;
}

void idset_remove(struct idset *s, struct slice id)
{
    struct slice prefix;
    uint64_t n;
    if (!split(id, &prefix, &n)) {
        struct other *o = map_get(&s->others, id.data, id.len);
        if (o)
            drop_other(s, o);
        return;
    }
    struct id_prefix *p = find_prefix(s, prefix);
    size_t at = p ? place_of(p, n) : 0;
    if (!p || at == p->n || p->runs[at].first > n)
        return;
    struct run *run = &p->runs[at];
    if (run->first == n && run->last == n)
        remove_run(s, p, at);
    else if (run->first == n)
        run->first++;
    else if (run->last == n)
        run->last--;
    else if (insert_run(s, p, at, (struct run){run->first, n - 1}) == 0)
        p->runs[at + 1].first = n + 1;
    if (p->n == 0)
        drop_prefix(s, p);
}
