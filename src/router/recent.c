/* SPDX-License-Identifier: BSD-3-Clause */
/* A list of held messages with a bound; nothing is kept, and nothing costs, when no client is
 * new. */
#include "router/recent.h"

#include <stdlib.h>

#include "router/core.h"

struct kept {
    struct list link;
    struct held *msg; /* owned */
};

static void drop(struct recent *c, struct kept *k)
{
    c->bytes -= k->msg->bytes;
    list_remove(&k->link);
    held_free(k->msg);
    free(k);
}

static void drop_all(struct recent *c)
{
    list_for_each (&c->kept, it)
        drop(c, container_of(it, struct kept, link));
}

static void on_expire(struct timer *t)
{
    drop_all(container_of(t, struct recent, expire));
}

void recent_init(struct recent *c)
{
    list_init(&c->kept);
    c->expire.fn = on_expire;
}

void recent_fini(struct router *r)
{
    loop_cancel(r->loop, &r->recent.expire);
    drop_all(&r->recent);
}

void recent_on_client(struct link *l)
{
    struct router *r = l->router;
    r->recent.until_ns = loop_now_ns(r->loop) + MS_TO_NS(RECENT_SETTLE_MS);
    loop_after(r->loop, &r->recent.expire, MS_TO_NS(RECENT_SETTLE_MS));
}

void recent_keep(struct router *r, const struct msg *m)
{
    struct recent *c = &r->recent;
    if (loop_now_ns(r->loop) >= c->until_ns)
        return;
    struct kept *k = malloc(sizeof(*k));
    struct held *held = k ? msg_hold(m->frames, m->n) : NULL;
    if (!held || held->bytes > RECENT_MAX_BYTES) { /* then it is only for those who are there */
        held_free(held);
        free(k);
        return;
    }
    k->msg = held;
    list_push_back(&c->kept, &k->link);
    c->bytes += held->bytes;
    while (c->bytes > RECENT_MAX_BYTES)
        drop(c, container_of(c->kept.next, struct kept, link));
}

void recent_on_subscribed(struct link *l)
{
    const struct recent *c = &l->router->recent;
    for (const struct list *it = c->kept.next; it != &c->kept; it = it->next) {
        const struct held *held = container_of(it, struct kept, link)->msg;
        if (link_send(l, held->frames, held->n, NULL) < 0)
            return;
    }
}
