/* SPDX-License-Identifier: BSD-3-Clause */
/* Rounds over many: whoever takes part is visited once a round, a few in a turn of the loop and
 * equally spaced over the round's time, so that a crowd delays nobody. They may come and go at
 * any time; the order stays, and who comes waits for the next round. */
#ifndef ERSA_ROUTER_ROUNDS_H
#define ERSA_ROUTER_ROUNDS_H

#include <stddef.h>

#include "loop/loop.h"
#include "util/list.h"

#define ROUNDS_A_TURN 64

struct rounds {
    struct loop *loop; /* borrowed */
    /* May take out anybody, and free whom it visits. */
    void (*visit)(struct rounds *rs, struct list *item);
    struct timer timer;
    struct list due, done; /* in this round */
    size_t n;
    int64_t gap_ns, next_ns; /* between its turns; the next one */
};

void rounds_init(struct rounds *rs, struct loop *l,
                 void (*visit)(struct rounds *rs, struct list *item));
void rounds_stop(struct rounds *rs); /* also when it is all zero: nothing began */
/* Begins a round, now, that is through within that time. Who was not visited in the last one
 * comes first. */
void rounds_start(struct rounds *rs, int64_t within_ns);

/* `item` is a link in no list (list_init); taking out who is not in is a no-op. */
void rounds_add(struct rounds *rs, struct list *item);
void rounds_remove(struct rounds *rs, struct list *item);

#endif
