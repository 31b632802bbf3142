/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ports of one loop share, and the end of a turn: write what was queued, read what was
 * left, free what has ended. */
#include <stdlib.h>
#include <unistd.h>

#include "util/rand.h"
#include "wire/wire_impl.h"

#define POOL_KEEP_BYTES ((size_t)64 << 20)

static void flush_all(struct defer *d)
{
    struct wire *w = container_of(d, struct wire, flush);
    struct list *it;
    while ((it = list_pop_front(&w->to_flush)))
        peer_flush(container_of(it, struct peer, flush));
}

static void read_left(struct defer *d)
{
    struct wire *w = container_of(d, struct wire, read_again);
    struct list now;
    list_init(&now);
    struct list *it;
    while ((it = list_pop_front(&w->again)))
        list_push_back(&now, it);
    while ((it = list_pop_front(&now)))
        conn_read_tail(container_of(it, struct conn, again));
}

void wire_tell_closed(struct wire *w)
{
    struct list *it;
    while ((it = list_pop_front(&w->closing))) {
        struct peer *p = container_of(it, struct peer, ended);
        const struct port_config *cfg = &p->port->cfg;
        list_push_back(&w->dead_peers, &p->ended);
        if (p->is_up && cfg->ops->peer_down)
            cfg->ops->peer_down(cfg->ctx, p, DOWN_CLOSED);
        port_free_when_done(p->port);
    }
}

static void sweep_all(struct defer *d)
{
    struct wire *w = container_of(d, struct wire, sweep);
    struct list *it;
    wire_tell_closed(w);
    while ((it = list_pop_front(&w->dead_conns)))
        conn_free(container_of(it, struct conn, link));
    while ((it = list_pop_front(&w->dead_peers)))
        peer_free(container_of(it, struct peer, ended));
    while ((it = list_pop_front(&w->dead_ports)))
        port_free(container_of(it, struct port, link));
}

void wire_sweep_later(struct wire *w)
{
    loop_defer(w->loop, &w->sweep);
}

int wire_need_seal(struct wire *w)
{
    if (!w->seal)
        w->seal = malloc(SEAL_SIZE);
    return w->seal ? 0 : ERSA_ENOMEM;
}

int wire_grow_vec(struct wire *w, unsigned n)
{
    if (n <= w->vec_cap)
        return 0;
    unsigned cap = w->vec_cap ? 2 * w->vec_cap : 32;
    struct frame *vec = reallocarray(w->vec, cap, sizeof(*vec));
    if (!vec)
        return ERSA_ENOMEM;
    w->vec = vec;
    w->vec_cap = cap;
    return 0;
}

struct wire *wire_new(struct loop *l, struct block_pool *pool)
{
    struct wire *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->loop = l;
    w->owns_pool = !pool;
    w->pool = pool ? pool : block_pool_new(POOL_KEEP_BYTES, false);
    w->chunks.blocks = w->pool;
    w->scratch = malloc(SCRATCH_SIZE);
    if (!w->pool || !w->scratch) {
        if (w->owns_pool)
            block_pool_free(w->pool);
        free(w->scratch);
        free(w);
        return NULL;
    }
    struct list *lists[] = {&w->ports,      &w->to_flush,       &w->again,      &w->closing,
                            &w->dead_peers, &w->dead_conns,     &w->dead_ports, &w->flush.link,
                            &w->sweep.link, &w->read_again.link};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_init(lists[i]);
    w->flush.fn = flush_all;
    w->read_again.fn = read_left;
    w->sweep.fn = sweep_all;
    w->next_identity = (uint32_t)rand_u64();
    w->default_msg_max = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) / 4;
    unfinished_init(w);
    complaints_init(&w->complaints, l);
    return w;
}

void wire_free(struct wire *w)
{
    if (!w)
        return;
    list_for_each (&w->ports, it) {
        struct port *p = container_of(it, struct port, link);
        port_close(p, 0);
    }
    sweep_all(&w->sweep);
    loop_undefer(&w->flush);
    loop_undefer(&w->read_again);
    loop_undefer(&w->sweep);
    loop_cancel(w->loop, &w->unfinished.look);
    complaints_fini(&w->complaints);
    chunk_pool_fini(&w->chunks);
    if (w->owns_pool)
        block_pool_free(w->pool);
    free(w->scratch);
    free(w->seal);
    free(w->vec);
    free(w);
}

struct block_pool *wire_pool(struct wire *w)
{
    return w->pool;
}

const struct wire_stats *wire_stats(const struct wire *w)
{
    return &w->stats;
}
