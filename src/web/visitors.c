/* SPDX-License-Identifier: BSD-3-Clause */
/* A list in the order of service, and one timer over it, which runs while anybody is there. */
#include "web/visitors.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SWEEP_MS 500

struct visitor {
    struct list link;
    int fd;
    int64_t since_ns;
    bool is_cut;
};

/* Whom it belongs to sees the end and closes it. */
static void cut(struct visitors *vs, struct visitor *v)
{
    if (v->is_cut)
        return;
    v->is_cut = true;
    vs->n_evicted++;
    shutdown(v->fd, SHUT_RDWR);
}

static void on_sweep(struct timer *t)
{
    struct visitors *vs = container_of(t, struct visitors, sweep);
    int64_t limit = loop_now_ns(vs->loop) - MS_TO_NS(vs->patience_ms);
    list_for_each (&vs->all, it) {
        struct visitor *v = container_of(it, struct visitor, link);
        if (v->since_ns > limit)
            break;
        cut(vs, v);
    }
    if (vs->n)
        loop_after(vs->loop, t, MS_TO_NS(SWEEP_MS));
}

static void push_out_oldest(struct visitors *vs)
{
    unsigned n = vs->n;
    list_for_each (&vs->all, it) {
        if (n-- <= vs->kept)
            return;
        cut(vs, container_of(it, struct visitor, link));
    }
}

void visitors_init(struct visitors *vs, struct loop *l, unsigned kept, unsigned patience_ms)
{
    *vs = (struct visitors){.loop = l, .kept = kept, .patience_ms = patience_ms};
    vs->sweep.fn = on_sweep;
    list_init(&vs->all);
}

void visitors_fini(struct visitors *vs)
{
    loop_cancel(vs->loop, &vs->sweep);
}

struct visitor *visitor_came(struct visitors *vs, int fd)
{
    struct visitor *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->fd = fd;
    v->since_ns = loop_now_ns(vs->loop);
    list_push_back(&vs->all, &v->link);
    vs->n++;
    push_out_oldest(vs);
    if (!timer_is_set(&vs->sweep))
        loop_after(vs->loop, &vs->sweep, MS_TO_NS(SWEEP_MS));
    return v;
}

void visitor_left(struct visitors *vs, struct visitor *v)
{
    list_remove(&v->link);
    vs->n--;
    free(v);
}

void visitor_served(struct visitors *vs, struct visitor *v)
{
    v->since_ns = loop_now_ns(vs->loop);
    list_remove(&v->link);
    list_push_back(&vs->all, &v->link);
}
