/* SPDX-License-Identifier: BSD-3-Clause */
/* Seats are one array a task, made when it begins to wait and freed when it stops waiting. */
#include "router/seats.h"

#include <stdlib.h>

#include "router/sched_core.h"
#include "router/terms.h"

static void sit(struct terms *terms, struct seat *seat, struct list *at)
{
    list_push_back(at, &seat->link);
    terms->n_taken++;
}

static struct seat *make_seats(struct terms *terms, size_t n)
{
    terms->seats = n > 1 ? calloc(n, sizeof(*terms->seats)) : &terms->only_seat;
    terms->n_seats = terms->seats ? n : 0;
    for (size_t i = 0; i < terms->n_seats; i++) {
        terms->seats[i].terms = terms;
        list_init(&terms->seats[i].link);
    }
    return terms->seats;
}

static void find_seat(struct sched *s, struct seat *seat, uint32_t number, bool may_start)
{
    struct sched_engine *e = sched_live_by_number(s, number);
    struct former *former = e ? NULL : formers_by_number(&s->formers, number);
    if (e)
        sit(seat->terms, seat, may_start ? &e->offers : &e->watchers);
    else if (former)
        list_push_back(&former->seats, &seat->link);
}

int seats_take(struct sched *s, struct terms *terms, bool may_start)
{
    const struct numbers *places = terms_places(terms);
    if (!places || places->n == 0)
        return 0;
    if (!make_seats(terms, places->n))
        return ERSA_ENOMEM;
    for (size_t i = 0; i < places->n; i++)
        if (terms_allow(terms, places->items[i]))
            find_seat(s, &terms->seats[i], places->items[i], may_start);
    return 0;
}

void seats_leave(struct terms *terms)
{
    for (size_t i = 0; i < terms->n_seats; i++)
        list_remove(&terms->seats[i].link);
    if (terms->seats != &terms->only_seat)
        free(terms->seats);
    terms->seats = NULL;
    terms->n_seats = terms->n_taken = 0;
}

/* As long as tasks that it follows run, other places may come up. */
void seats_watch(struct sched *s, struct terms *terms)
{
    if (terms->n_seats == 0 && terms_are_choosy(terms) &&
        !(terms->follow.n && dep_is_open(&terms->follow)))
        seats_take(s, terms, false);
}

static void close_all(struct sched *s, struct list *seats, struct former *former)
{
    struct list *it;
    while ((it = list_pop_front(seats))) {
        struct terms *terms = container_of(it, struct seat, link)->terms;
        if (former)
            list_push_back(&former->seats, it);
        if (--terms->n_taken == 0)
            sched_decide(s, terms);
    }
}

void seats_close(struct sched *s, struct sched_engine *e, struct former *former)
{
    close_all(s, &e->offers, former);
    close_all(s, &e->watchers, former);
}

void seats_reopen(struct former *former, struct sched_engine *e)
{
    struct list *it;
    while ((it = list_pop_front(&former->seats))) {
        struct seat *seat = container_of(it, struct seat, link);
        bool may_start = seat->terms->task->where == IN_LINE;
        sit(seat->terms, seat, may_start ? &e->offers : &e->watchers);
    }
}

struct terms *seats_first(const struct sched_engine *e)
{
    return list_is_empty(&e->offers) ? NULL
                                     : container_of(e->offers.next, struct seat, link)->terms;
}
