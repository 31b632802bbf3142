/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether to look for more before sleeping. To wake a sleeping thread takes 20 to 70 us on a
 * virtual machine, for the thread and for the processor of who wakes it; where messages follow
 * each other more quickly than that, looking a little longer is cheaper, for both.
 *
 * What a wait would take without sleeping can't be told while one sleeps: the other side's
 * sleep is in it too. So the loop tries: after a run of waits that were all shorter than
 * BUSY_LONGEST windows it looks, each time for that long at most, and goes on while the looks
 * take no more than a window on average. A trial that was too dear doubles the run that the
 * next one needs. So an idle loop sleeps, and one whose messages come too slowly spends at most
 * a few looks in RUN waits, and soon in RUN_MAX. */
#ifndef ERSA_LOOP_BUSY_H
#define ERSA_LOOP_BUSY_H

#include <stdbool.h>
#include <stdint.h>

#define BUSY_RUN 8
#define BUSY_RUN_MAX 1024
#define BUSY_LONGEST 4 /* windows that one look may take */
#define BUSY_SMOOTH 8  /* looks that the average is over */

struct busy {
    int64_t window_ns;    /* what a look may take on average; 0: never look */
    int64_t average_ns;   /* of the looks of this trial */
    unsigned short_waits; /* one after the other, up to now */
    unsigned run;         /* of them before it looks */
    bool looking;
};

static inline struct busy busy_make(int64_t window_ns)
{
    return (struct busy){.window_ns = window_ns, .run = BUSY_RUN};
}

static inline int64_t busy_longest_ns(const struct busy *b)
{
    return BUSY_LONGEST * b->window_ns;
}

/* It slept for that long. */
static inline void busy_slept(struct busy *b, int64_t ns)
{
    if (ns >= busy_longest_ns(b))
        b->short_waits = 0;
    else
        b->short_waits++;
    if (b->short_waits < b->run)
        return;
    b->looking = true;
    b->average_ns = b->window_ns / 2;
}

/* It looked for that long, and something came or not. What is longer than a look may be is the
 * doing of somebody else, who had the processor meanwhile. */
static inline void busy_looked(struct busy *b, int64_t ns, bool came)
{
    const int64_t took = ns < busy_longest_ns(b) ? ns : busy_longest_ns(b);
    b->average_ns += (took - b->average_ns) / BUSY_SMOOTH;
    const bool dear = b->average_ns > b->window_ns;
    if (came && !dear)
        return;
    b->looking = false;
    b->short_waits = 0;
    b->run = !dear ? BUSY_RUN : b->run < BUSY_RUN_MAX ? 2 * b->run : BUSY_RUN_MAX;
}

#endif
