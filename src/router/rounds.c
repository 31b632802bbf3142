/* SPDX-License-Identifier: BSD-3-Clause */
/* Two lists: who is visited moves from the one to the other, and a round begins by moving all
 * back in one step, in their order. So there is no cursor that could point to somebody gone. */
#include "router/rounds.h"

static void on_turn(struct timer *t)
{
    struct rounds *rs = container_of(t, struct rounds, timer);
    struct list *item;
    for (int i = 0; i < ROUNDS_A_TURN && (item = list_pop_front(&rs->due)); i++) {
        list_push_back(&rs->done, item);
        rs->visit(rs, item);
    }
    if (list_is_empty(&rs->due))
        return;
    rs->next_ns += rs->gap_ns;
    int64_t left_ns = rs->next_ns - loop_now_ns(rs->loop);
    loop_after(rs->loop, t, left_ns > 0 ? left_ns : 0);
}

void rounds_init(struct rounds *rs, struct loop *l,
                 void (*visit)(struct rounds *rs, struct list *item))
{
    *rs = (struct rounds){.loop = l, .visit = visit, .timer.fn = on_turn};
    list_init(&rs->due);
    list_init(&rs->done);
}

void rounds_stop(struct rounds *rs)
{
    if (rs->loop)
        loop_cancel(rs->loop, &rs->timer);
}

void rounds_start(struct rounds *rs, int64_t within_ns)
{
    size_t turns = (rs->n + ROUNDS_A_TURN - 1) / ROUNDS_A_TURN;
    list_append_all(&rs->due, &rs->done);
    rs->gap_ns = turns ? within_ns / (int64_t)turns : within_ns;
    rs->next_ns = loop_now_ns(rs->loop);
    on_turn(&rs->timer);
}

void rounds_add(struct rounds *rs, struct list *item)
{
    list_push_back(&rs->done, item);
    rs->n++;
}

void rounds_remove(struct rounds *rs, struct list *item)
{
    if (list_is_empty(item))
        return;
    list_remove(item);
    rs->n--;
}
