/* SPDX-License-Identifier: BSD-3-Clause */
/* The row is a ring of pointers with holes where tasks left; holes at its front go at once, the
 * others when the ring is full: it is packed or doubled then, under new numbers that are higher
 * than all old ones, so that cursors stay true (they only look again). */
#include "router/line.h"

#include <stdlib.h>

#include "ersa/error.h"
#include "router/sched_core.h"
#include "router/seats.h"
#include "router/terms.h"

#define ROW_MIN 64

static struct task **slot(const struct line *l, uint64_t entry)
{
    return &l->row[entry & (l->cap - 1)];
}

static void trim_front(struct line *l)
{
    while (l->first < l->next && !*slot(l, l->first))
        l->first++;
}

/* Makes a row that is at most half full, with what is in this one. */
static int rebuild(struct line *l)
{
    size_t cap = ROW_MIN;
    while (cap < 2 * (l->n_wary + 1))
        cap *= 2;
    struct task **row = calloc(cap, sizeof(struct task *));
    if (!row)
        return ERSA_ENOMEM;
    uint64_t next = l->next;
    for (uint64_t i = l->first; i < l->next; i++) {
        struct task *t = *slot(l, i);
        if (!t)
            continue;
        t->terms->entry = next;
        row[next++ & (cap - 1)] = t;
    }
    free(l->row);
    l->row = row;
    l->cap = cap;
    l->first = l->next;
    l->next = next;
    return 0;
}

static int row_push(struct line *l, struct task *t)
{
    if (l->next - l->first == l->cap && rebuild(l) < 0)
        return ERSA_ENOMEM;
    t->terms->entry = l->next;
    *slot(l, l->next++) = t;
    if (l->n_wary++ == 0)
        l->most_excluded = 0;
    if (t->terms->excluded.n > l->most_excluded)
        l->most_excluded = t->terms->excluded.n;
    return 0;
}

static struct task *row_first_for(struct line *l, struct sched_engine *e)
{
    if (e->cursor < l->first)
        e->cursor = l->first;
    for (; e->cursor < l->next; e->cursor++) {
        struct task *t = *slot(l, e->cursor);
        if (t && terms_allow(t->terms, e->number))
            return t;
    }
    return NULL;
}

static struct task *head(const struct list *queue)
{
    return list_is_empty(queue) ? NULL : container_of(queue->next, struct task, link);
}

void line_init(struct line *l)
{
    *l = (struct line){.first = 1, .next = 1};
    list_init(&l->resumed);
    list_init(&l->plain);
    list_init(&l->choosy);
    list_init(&l->wary);
}

void line_fini(struct line *l)
{
    free(l->row);
    l->row = NULL;
}

int line_push(struct sched *s, struct task *t)
{
    struct line *l = &s->line;
    struct list *queue = t->resumed ? &l->resumed : &l->plain;
    if (terms_are_choosy(t->terms)) {
        bool names_engines = terms_places(t->terms);
        queue = names_engines ? &l->choosy : &l->wary;
        int rc = names_engines ? seats_take(s, t->terms, true) : row_push(l, t);
        if (rc < 0)
            return rc;
    }
    list_push_back(queue, &t->link);
    return 0;
}

void line_remove(struct line *l, struct task *t)
{
    list_remove(&t->link);
    if (!t->terms)
        return;
    seats_leave(t->terms);
    if (!t->terms->entry)
        return;
    *slot(l, t->terms->entry) = NULL;
    t->terms->entry = 0;
    l->n_wary--;
    trim_front(l);
}

static struct task *older(struct task *a, struct task *b)
{
    if (!a || !b)
        return a ? a : b;
    return a->seq < b->seq ? a : b;
}

struct task *line_first_for(struct line *l, struct sched_engine *e)
{
    struct task *resumed = head(&l->resumed);
    if (resumed)
        return resumed;
    struct terms *offer = seats_first(e);
    struct task *first = older(offer ? offer->task : NULL, head(&l->plain));
    return l->n_wary ? older(row_first_for(l, e), first) : first;
}

/* As long as more engines live than any of them excludes, there is hope for all. */
void line_review(struct sched *s)
{
    if (s->n_live > s->line.most_excluded)
        return;
    list_for_each (&s->line.wary, it) {
        struct terms *terms = container_of(it, struct task, link)->terms;
        if (terms_are_hopeless(s, terms))
            sched_decide(s, terms);
    }
}
