/* SPDX-License-Identifier: BSD-3-Clause */
/* Moves a thread to another processor when it shares its own with those that it wakes. Who is
 * woken runs where the waker runs if the system looks no further, and Linux looks no further
 * when processors are busy on average (SIS_UTIL). Then two threads that answer each other take
 * turns on one processor, each preempted by each message that it sends, and what a third one
 * leaves of the other processor is idle. They stay there: each waits too briefly to be moved.
 *
 * So a thread that was preempted HOP_PREEMPTED times a millisecond goes elsewhere. Programs
 * that compute preempt less often than that. Where it does not help, since all processors are
 * like that, the next hop waits twice as long. */
#ifndef ERSA_LOOP_HOP_H
#define ERSA_LOOP_HOP_H

#include <stdbool.h>
#include <stdint.h>

#define HOP_LOOK_NS INT64_C(1000000) /* between two looks */
#define HOP_LOOKS_MAX 64             /* of them between two hops that don't help */
#define HOP_PREEMPTED 3              /* a millisecond */

struct hop {
    int64_t looked_ns, preempted; /* at the last look */
    unsigned pause, left;         /* looks after a hop: of the next one, of this one */
};

static inline bool hop_is_due(const struct hop *h, int64_t now_ns)
{
    return now_ns - h->looked_ns >= HOP_LOOK_NS;
}

/* What to do at a look, when so many times altogether the thread was preempted: move it? */
static inline bool hop_decide(struct hop *h, int64_t now_ns, int64_t preempted)
{
    const int64_t looks = (now_ns - h->looked_ns) / HOP_LOOK_NS;
    const bool is_crowded = preempted - h->preempted >= HOP_PREEMPTED * looks;
    h->looked_ns = now_ns;
    h->preempted = preempted;
    if (!is_crowded)
        h->pause /= 2;
    h->left = h->left > h->pause ? h->pause : h->left;
    if (h->left > 0)
        h->left--;
    if (!is_crowded || h->left > 0)
        return false;
    h->pause = h->pause == 0 ? 1 : h->pause < HOP_LOOKS_MAX ? 2 * h->pause : HOP_LOOKS_MAX;
    h->left = h->pause;
    return true;
}

/* Looks after the thread that calls, and moves it if it is to be moved. Which processors it may
 * use stays as it was. */
void hop_look(struct hop *h, int64_t now_ns);

#endif
