/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether to look for more before sleeping. To wake a sleeping thread takes 20 to 35 us on a
 * virtual machine, for the thread and for the processor of who wakes it; where messages follow
 * each other more quickly than that, looking a little longer is cheaper, for both. So the loop
 * looks for `window_ns` while the last RUN waits have all been shorter than that, and one that
 * was longer ends it: an idle loop sleeps, and at worst one window of looking is spent in RUN +
 * 1 waits. */
#ifndef ERSA_LOOP_BUSY_H
#define ERSA_LOOP_BUSY_H

#include <stdbool.h>
#include <stdint.h>

#define BUSY_RUN 8

struct busy {
    int64_t window_ns;    /* 0: never */
    unsigned short_waits; /* one after the other, up to now */
};

static inline bool busy_should_look(const struct busy *b)
{
    return b->window_ns && b->short_waits >= BUSY_RUN;
}

/* A wait of that length is over, or was given up for sleeping. */
static inline void busy_waited(struct busy *b, int64_t ns)
{
    if (ns >= b->window_ns)
        b->short_waits = 0;
    else if (b->short_waits < BUSY_RUN)
        b->short_waits++;
}

#endif
