/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/hop.h"

#include <sched.h>
#include <sys/resource.h>

/* Nothing happens where there is one processor, or more than the set can name. */
static void move(void)
{
    cpu_set_t may, others;
    int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof(may), &may) < 0)
        return;
    others = may;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0)
        sched_setaffinity(0, sizeof(may), &may);
}

void hop_look(struct hop *h, int64_t now_ns)
{
    struct rusage used;
    if (getrusage(RUSAGE_THREAD, &used) == 0 && hop_decide(h, now_ns, used.ru_nivcsw))
        move();
}
