/* SPDX-License-Identifier: BSD-3-Clause */
/* Which engine is late with its present task, or does not begin it. With hwm=auto also: how
 * much each engine holds (its window), which holds the most work that somebody else could do,
 * and whether tasks are so short that several go to one engine though others are idle.
 * Everything is O(1) a task: engines stand in order of their last reply anyway, and work is
 * told in powers of two. */
#ifndef ERSA_ROUTER_PACE_H
#define ERSA_ROUTER_PACE_H

#include "loop/loop.h"
#include "router/window.h"
#include "util/list.h"

struct parts;
struct sched;
struct sched_engine;

#define PACE_LATE_NS WINDOW_NS        /* a task runs so long: its engine gets no more */
#define PACE_STUCK_NS (2 * WINDOW_NS) /* what stands behind it is called back */
#define PACE_WORTH_NS (WINDOW_NS / 8) /* less work is done before it could be called back */
#define PACE_SIZES 4
#define PACE_BYTES ((size_t)16 << 20) /* an engine that holds more gets no second task */

/* A flood of short tasks: a message to an idle engine costs more than they do, or nearly. */
#define PACE_TOGETHER 16u                 /* so many at once, of PACE_WORTH_NS in all, ... */
#define PACE_SHORT_NS (PACE_WORTH_NS / 2) /* ... where two of them take no longer, ... */
#define PACE_STREAM 256u /* and so did that many before it, without a break of ... */
#define PACE_BREAK_NS (10 * WINDOW_NS)
#define PACE_SPREAD 16u /* engines that get one task each before that, a turn of the loop */
#define PACE_TOGETHER_BYTES ((size_t)64 << 10) /* what an engine holds then */

struct pace {        /* an engine's */
    bool is_watched; /* it tells `begun` and has `recall`; */
    bool adapts;     /* and with hwm=auto it may hold more than one task for that */
    enum { PACE_ON_TIME, PACE_LATE, PACE_STUCK } delay;
    bool is_asked;    /* a recall is under way; */
    bool names_tasks; /* not only to be told when it is free */
    bool ask_again;   /* another one is wanted behind it */
    bool is_giving;   /* the tasks that it gave back look for other engines */
    size_t bytes;     /* of the requests that it holds */
    struct window window;
    struct list by_age;  /* has work: in pacer.on_time or pacer.late */
    struct list by_work; /* has work for others: in pacer.by_work */
};

struct pacer {                       /* the scheduler's */
    struct list on_time, late;       /* by last reply, oldest first */
    struct list by_work[PACE_SIZES]; /* PACE_WORTH_NS and twice, four times, ... that */
    struct timer timer;              /* for the oldest */
    struct defer heard; /* all that was ready at asked_ns has been read, late engines' not */
    int64_t asked_ns;

    struct sched_engine *last; /* was chosen last, in the turn at turn_ns ... */
    int64_t turn_ns;
    unsigned n_chosen;   /* ... as so manieth */
    unsigned n_short;    /* answers in a row of engines whose tasks are short; */
    int64_t answered_ns; /* the last one */
};

void pacer_init(struct pacer *p);
void pace_init(struct pace *p);
bool pace_is_full(const struct sched_engine *e);
/* Of its tasks, how many nobody else may have: the one that it is at, or none where it is stuck
 * and has not begun that: it is at something else. */
unsigned pace_keeps(const struct sched_engine *e);

/* A task of the engine was answered; it is off its load afterwards. */
void pace_answered(struct sched *s, struct sched_engine *e, const struct parts *reply);
/* The engine's load is another one now. */
void pace_load_changed(struct sched *s, struct sched_engine *e);
void pace_leave(struct sched_engine *e);
void pace_stop(struct sched *s); /* before the scheduler goes */

/* This one was chosen for a task that may run anywhere. */
void pace_chose(struct sched *s, struct sched_engine *e);
/* The next task of this turn may follow the last one to that engine; NULL: choose. */
struct sched_engine *pace_same_again(const struct sched *s);

/* Who has the most work for others; NULL when nobody has any that is worth it. */
struct sched_engine *pace_richest(const struct sched *s);
/* Not to be found by pace_richest() until its load changes. */
void pace_hide(struct sched_engine *e);

#endif
