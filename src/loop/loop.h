/* SPDX-License-Identifier: BSD-3-Clause */
/* The event loop: one thread, epoll, level-triggered. One turn is
 *
 *     due timers -> epoll_wait -> ready descriptors, urgent ones first -> deferred work
 *
 * Callbacks never free the object they run on: loop_unwatch(), loop_cancel() and loop_undefer()
 * take effect at once, and a descriptor that was ready in this turn is not served any more.
 * All functions belong to the loop's thread; others reach it by a ring (loop/ring.h) or a
 * descriptor of their own. */
#ifndef ERSA_LOOP_LOOP_H
#define ERSA_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/heap.h"
#include "util/list.h"

struct loop;

enum loop_prio { LOOP_URGENT, LOOP_NORMAL, LOOP_BULK, LOOP_PRIO_MAX };

#define LOOP_READ 1u
#define LOOP_WRITE 2u

struct watch;
typedef void (*watch_fn)(struct watch *w, unsigned events);

/* Embedded in the object that owns the descriptor; found again with container_of(). A hang-up
 * or an error is delivered as LOOP_READ (and LOOP_WRITE where that was asked for). */
struct watch {
    int fd;
    unsigned events; /* LOOP_READ | LOOP_WRITE */
    enum loop_prio prio;
    watch_fn fn;
    unsigned slot; /* the loop's */
};

struct timer;
typedef void (*timer_fn)(struct timer *t);

struct timer {
    struct heap_node node;
    int64_t due_ns;
    timer_fn fn;
};

struct defer;
typedef void (*defer_fn)(struct defer *d);

/* Work for the end of this turn (flush, sweep); a link of its own, so queued at most once. */
struct defer {
    struct list link;
    defer_fn fn;
};

/* NULL when the system has no descriptors left. */
struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Runs until loop_stop(). Returns 0 or ERSA_EIO. */
int loop_run(struct loop *l);
/* One turn that waits at most `max_wait_ms` (-1: until something happens); for tests. */
int loop_turn(struct loop *l, int max_wait_ms);
void loop_stop(struct loop *l);

/* Monotonic time at the start of this turn: what timers and deadlines are reckoned from. */
int64_t loop_now_ns(const struct loop *l);
/* A fake clock for tests: from now on time is what the test says. */
void loop_set_clock(struct loop *l, int64_t now_ns);

/* For the thread that others wait for. While messages follow each other within `window_ns` or
 * so, the loop looks for more instead of sleeping (loop/busy.h), and when its thread is crowded
 * out it goes to another processor (loop/hop.h); 0, the default: neither. */
void loop_set_busy_poll(struct loop *l, int64_t window_ns);

/* w->fn must be set. Returns 0, ERSA_ENOMEM or ERSA_EIO. */
int loop_watch(struct loop *l, struct watch *w, int fd, unsigned events, enum loop_prio prio);
/* Changes the events; 0 keeps the descriptor but hears nothing. */
int loop_rewatch(struct loop *l, struct watch *w, unsigned events);
void loop_unwatch(struct loop *l, struct watch *w); /* no-op when not watched (slot 0) */

/* (Re)starts a timer; it fires once. t->fn must be set. */
int loop_after(struct loop *l, struct timer *t, int64_t after_ns);
void loop_cancel(struct loop *l, struct timer *t); /* no-op when not running */
static inline bool timer_is_set(const struct timer *t)
{
    return t->node.index != 0;
}

/* d->fn must be set and d->link initialised (list_init). Deferred work that defers again runs
 * in the next turn, which then does not sleep. */
void loop_defer(struct loop *l, struct defer *d);
void loop_undefer(struct defer *d);
/* Runs it at the end of the turn in which the last of those descriptors was served that are
 * ready now: one that has not been heard until then was silent when this was called. With many
 * of them that may be some turns from now. Like loop_defer() otherwise. */
void loop_hear_out(struct loop *l, struct defer *d);

#define MS_TO_NS(ms) ((int64_t)(ms)*1000000)

#endif
