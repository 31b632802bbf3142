/* SPDX-License-Identifier: BSD-3-Clause */
/* epoll with a table of slots: an epoll event names slot and generation, so that one which was
 * fetched before a descriptor was unwatched (and perhaps its slot given to another) reaches
 * nobody. */
#include "loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ersa/error.h"
#include "loop/busy.h"
#include "loop/hop.h"
#include "util/clock.h"

#define EVENTS_A_TURN 64 /* what a turn touches fits a cache */

struct slot {
    struct watch *watch; /* borrowed; NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

struct loop {
    int epoll;
    struct slot *slots; /* [0] is never given out */
    uint32_t n_slots, cap_slots, free_slot;
    struct heap timers;
    struct list deferred;
    struct watch mark;            /* always ready; watched while somebody hears out */
    struct list hearing, to_hear; /* until the mark comes up; until the one after it */
    int64_t now_ns;
    bool fake_clock;
    bool stopping;
    struct busy busy;
    struct hop hop; /* looks where `busy` does */
    struct epoll_event ready[EVENTS_A_TURN];
};

static bool is_earlier(const struct heap_node *a, const struct heap_node *b)
{
    return container_of(a, struct timer, node)->due_ns <
           container_of(b, struct timer, node)->due_ns;
}

static void update_now(struct loop *l)
{
    if (!l->fake_clock)
        l->now_ns = clock_mono_ns();
}

static uint32_t epoll_bits(unsigned events)
{
    return ((events & LOOP_READ) ? EPOLLIN : 0u) | ((events & LOOP_WRITE) ? EPOLLOUT : 0u);
}

static int control(struct loop *l, int op, const struct watch *w)
{
    struct epoll_event ev = {
        .events = epoll_bits(w->events),
        .data.u64 = (uint64_t)l->slots[w->slot].generation << 32 | w->slot,
    };
    return epoll_ctl(l->epoll, op, w->fd, &ev);
}

static int take_slot(struct loop *l, unsigned *ret)
{
    if (l->free_slot) {
        *ret = l->free_slot;
        l->free_slot = l->slots[*ret].next_free;
        return 0;
    }
    if (l->n_slots == l->cap_slots) {
        uint32_t cap = 2 * l->cap_slots;
        struct slot *slots = reallocarray(l->slots, cap, sizeof(*slots));
        if (!slots)
            return ERSA_ENOMEM;
        l->slots = slots;
        l->cap_slots = cap;
    }
    *ret = l->n_slots++;
    l->slots[*ret] = (struct slot){0};
    return 0;
}

static void give_slot(struct loop *l, unsigned slot)
{
    l->slots[slot].watch = NULL;
    l->slots[slot].generation++;
    l->slots[slot].next_free = l->free_slot;
    l->free_slot = slot;
}

static void on_mark(struct watch *w, unsigned events)
{
    struct loop *l = container_of(w, struct loop, mark);
    loop_rewatch(l, w, 0);
    list_append_all(&l->deferred, &l->hearing);
    list_append_all(&l->hearing, &l->to_hear);
    if (!list_is_empty(&l->hearing) && loop_rewatch(l, w, LOOP_READ) < 0)
        list_append_all(&l->deferred, &l->hearing);
}

/* Behind all that is ready: epoll hands that out in turn. */
static int set_mark(struct loop *l)
{
    if (l->mark.slot)
        return loop_rewatch(l, &l->mark, LOOP_READ);
    int fd = l->mark.fd >= 0 ? l->mark.fd : eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return ERSA_EIO;
    l->mark.fd = fd;
    return loop_watch(l, &l->mark, fd, LOOP_READ, LOOP_URGENT);
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->cap_slots = 16;
    l->n_slots = 1;
    l->slots = calloc(l->cap_slots, sizeof(*l->slots));
    heap_init(&l->timers, is_earlier);
    list_init(&l->deferred);
    list_init(&l->hearing);
    list_init(&l->to_hear);
    l->mark = (struct watch){.fd = -1, .fn = on_mark};
    update_now(l);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l->slots || l->epoll < 0) {
        loop_free(l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->mark.fd >= 0)
        close(l->mark.fd);
    if (l->epoll >= 0)
        close(l->epoll);
    heap_fini(&l->timers);
    free(l->slots);
    free(l);
}

/* As many as are running now: one that starts itself again at once waits for the next turn. */
static void run_timers(struct loop *l)
{
    struct heap_node *top;
    for (size_t left = l->timers.n; left && (top = heap_top(&l->timers)); left--) {
        struct timer *t = container_of(top, struct timer, node);
        if (t->due_ns > l->now_ns)
            return;
        heap_remove(&l->timers, top);
        t->fn(t);
    }
}

/* Milliseconds until the next deadline, rounded up, at most `max`; -1: for ever. */
static int time_to_wait(const struct loop *l, int max)
{
    if (!list_is_empty(&l->deferred) || l->stopping)
        return 0;
    const struct heap_node *top = heap_top(&l->timers);
    if (!top)
        return max;
    int64_t due = container_of(top, struct timer, node)->due_ns;
    if (l->fake_clock)
        return due <= l->now_ns ? 0 : max;
    int64_t left = due - clock_mono_ns();
    int64_t ms = left <= 0 ? 0 : (left + 999999) / 1000000;
    if (ms > INT32_MAX)
        ms = INT32_MAX;
    return max >= 0 && max < ms ? max : (int)ms;
}

/* What of an epoll event the watch wants to hear now: a callback of this turn may have changed
 * that. */
static unsigned heard(const struct watch *w, uint32_t bits)
{
    unsigned events =
        ((bits & EPOLLIN) ? LOOP_READ : 0u) | ((bits & EPOLLOUT) ? LOOP_WRITE : 0u);
    events &= w->events;
    if (w->events && bits & (EPOLLHUP | EPOLLERR))
        events |= LOOP_READ | (w->events & LOOP_WRITE);
    return events;
}

static void serve(struct loop *l, int n, enum loop_prio prio)
{
    for (int i = 0; i < n; i++) {
        const struct epoll_event *ev = &l->ready[i];
        const struct slot *s = &l->slots[(uint32_t)ev->data.u64];
        if (!s->watch || s->generation != (uint32_t)(ev->data.u64 >> 32) ||
            s->watch->prio != prio)
            continue;
        struct watch *w = s->watch;
        unsigned events = heard(w, ev->events);
        if (events)
            w->fn(w, events);
    }
}

static void run_deferred(struct loop *l)
{
    struct list now;
    if (list_is_empty(&l->deferred))
        return;
    list_init(&now);
    now.next = l->deferred.next;
    now.prev = l->deferred.prev;
    now.next->prev = &now;
    now.prev->next = &now;
    list_init(&l->deferred);
    struct list *it;
    while ((it = list_pop_front(&now))) {
        struct defer *d = container_of(it, struct defer, link);
        d->fn(d);
    }
}

/* As epoll_wait(), but looks for a while before it sleeps where that is worth while. A timer
 * that is due in between is late by that. */
static int wait_for_events(struct loop *l, int wait_ms)
{
    if (!wait_ms || !l->busy.window_ns || l->fake_clock)
        return epoll_wait(l->epoll, l->ready, EVENTS_A_TURN, wait_ms);
    int64_t began = clock_mono_ns(), took = 0;
    if (l->busy.looking) {
        int n = 0;
        while (!n && took < busy_longest_ns(&l->busy)) {
            n = epoll_wait(l->epoll, l->ready, EVENTS_A_TURN, 0);
            took = clock_mono_ns() - began;
        }
        busy_looked(&l->busy, took, n != 0);
        if (n)
            return n;
        began += took;
    }
    int n = epoll_wait(l->epoll, l->ready, EVENTS_A_TURN, wait_ms);
    busy_slept(&l->busy, clock_mono_ns() - began);
    return n;
}

int loop_turn(struct loop *l, int max_wait_ms)
{
    update_now(l);
    run_timers(l);
    int n = wait_for_events(l, time_to_wait(l, max_wait_ms));
    if (n < 0 && errno != EINTR)
        return ERSA_EIO;
    update_now(l);
    for (enum loop_prio prio = 0; prio < LOOP_PRIO_MAX; prio++)
        serve(l, n, prio);
    run_deferred(l);
    if (l->busy.window_ns && hop_is_due(&l->hop, l->now_ns))
        hop_look(&l->hop, l->now_ns);
    return 0;
}

int loop_run(struct loop *l)
{
    int rc = 0;
    while (!l->stopping && rc == 0)
        rc = loop_turn(l, -1);
    l->stopping = false; /* a stop before the run counts, and for one run */
    return rc;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

void loop_set_busy_poll(struct loop *l, int64_t window_ns)
{
    l->busy = busy_make(window_ns);
}

int64_t loop_now_ns(const struct loop *l)
{
    return l->now_ns;
}

void loop_set_clock(struct loop *l, int64_t now_ns)
{
    l->fake_clock = true;
    l->now_ns = now_ns;
}

int loop_watch(struct loop *l, struct watch *w, int fd, unsigned events, enum loop_prio prio)
{
    unsigned slot;
    int rc = take_slot(l, &slot);
    if (rc < 0)
        return rc;
    w->fd = fd;
    w->events = events;
    w->prio = prio;
    w->slot = slot;
    l->slots[slot].watch = w;
    if (events && control(l, EPOLL_CTL_ADD, w) < 0) {
        w->slot = 0;
        give_slot(l, slot);
        return errno == ENOMEM || errno == ENOSPC ? ERSA_ENOMEM : ERSA_EIO;
    }
    return 0;
}

int loop_rewatch(struct loop *l, struct watch *w, unsigned events)
{
    if (!w->slot || w->events == events)
        return 0;
    /* epoll reports hang-ups even with an empty mask: who wants to hear nothing is taken out.
     */
    unsigned before = w->events;
    w->events = events;
    int op = !events ? EPOLL_CTL_DEL : before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (control(l, op, w) == 0)
        return 0;
    w->events = before;
    return errno == ENOMEM || errno == ENOSPC ? ERSA_ENOMEM : ERSA_EIO;
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (!w->slot)
        return;
    if (w->events)
        control(l, EPOLL_CTL_DEL, w);
    give_slot(l, w->slot);
    w->slot = 0;
}

int loop_after(struct loop *l, struct timer *t, int64_t after_ns)
{
    t->due_ns = l->now_ns + after_ns;
    if (t->node.index) {
        heap_changed(&l->timers, &t->node);
        return 0;
    }
    return heap_push(&l->timers, &t->node);
}

void loop_cancel(struct loop *l, struct timer *t)
{
    heap_remove(&l->timers, &t->node);
}

void loop_defer(struct loop *l, struct defer *d)
{
    if (list_is_empty(&d->link))
        list_push_back(&l->deferred, &d->link);
}

void loop_hear_out(struct loop *l, struct defer *d)
{
    if (!list_is_empty(&d->link))
        return;
    if (!list_is_empty(&l->hearing))
        list_push_back(&l->to_hear, &d->link);
    else if (set_mark(l) == 0)
        list_push_back(&l->hearing, &d->link);
    else
        loop_defer(l, d); /* it will have heard less */
}

void loop_undefer(struct defer *d)
{
    list_remove(&d->link);
}
