/* SPDX-License-Identifier: BSD-3-Clause */
/* Room for messages that are not all there yet: bounds for all connections of a wire together,
 * so that many who send at once, or begin and never end, cost no more than a few.
 *
 *     idle     -> going_on   some of a message came
 *     going_on -> idle       the rest came, or the connection is gone
 *     going_on -> waiting    more came, and there is no room
 *     waiting  -> going_on   there is room again
 *
 * From ROOMY_BYTES on, one connection (`first`) goes on, however large its message is, and so
 * do those that have less than their share of that: small messages do not wait for large ones.
 * The others are not read until then, which costs no time in the end: their octets have to pass
 * here one after the other anyway. A first one that is quiet is passed over; it keeps what it
 * has, and takes its turn again when it sends more. From the bound on nobody is passed over any
 * more: who is silent with more than its share, while others wait, is closed. So all together
 * take the bound, ROOMY_BYTES and one message at most. A peer that is paused for other reasons
 * stands aside, with what it has. */
#include "wire/wire_impl.h"

#define ROOMY_BYTES ((size_t)64 << 20)
#define SHARE_MIN_BYTES 4096
#define READ_MIN_BYTES 65536
#define BOUND_MIN_BYTES ((size_t)16 << 20)
#define LOOK_MS 100 /* and how long one may be quiet before it is passed over */
#define SILENT_MS 10000

static size_t share_of(const struct unfinished *u)
{
    const size_t share = u->n ? u->roomy / u->n : u->roomy;
    return share < SHARE_MIN_BYTES ? SHARE_MIN_BYTES : share;
}

static bool has_its_share(const struct conn *c)
{
    return c->kept >= share_of(&c->port->wire->unfinished);
}

size_t unfinished_room(const struct conn *c)
{
    const struct unfinished *u = &c->port->wire->unfinished;
    if (u->first == c || c->draining)
        return SIZE_MAX;
    size_t left = u->bytes < u->roomy ? u->roomy - u->bytes : 0, share = share_of(u);
    if (c->kept < share && share - c->kept > left)
        left = share - c->kept;
    return left < READ_MIN_BYTES ? READ_MIN_BYTES : left;
}

bool unfinished_has_room(const struct conn *c)
{
    const struct unfinished *u = &c->port->wire->unfinished;
    return !c->kept || u->bytes < u->roomy || u->first == c || c->draining || !has_its_share(c);
}

static bool is_aside(const struct conn *c)
{
    return c->peer && c->peer->paused;
}

static void go_on(struct conn *c)
{
    struct wire *w = c->port->wire;
    c->waits = false;
    c->kept_at = loop_now_ns(w->loop);
    list_remove(&c->unfinished);
    list_push_back(&w->unfinished.going_on, &c->unfinished);
    conn_go_on(c);
}

/* There is room, or nobody is `first` any more: who has waited longest is next. */
static void call_next(struct unfinished *u)
{
    while (!list_is_empty(&u->waiting)) {
        struct conn *c = container_of(u->waiting.next, struct conn, unfinished);
        if (!u->first)
            u->first = c;
        if (!unfinished_has_room(c))
            return;
        go_on(c);
    }
}

/* Callbacks may end any connection meanwhile: they are taken off one by one. */
static void look_at(struct list *conns, void (*look)(struct conn *c))
{
    struct list now;
    list_init(&now);
    list_append_all(&now, conns);
    while (!list_is_empty(&now)) {
        struct list *it = list_pop_front(&now);
        list_push_back(conns, it);
        look(container_of(it, struct conn, unfinished));
    }
}

static bool is_quiet(const struct conn *c, int64_t ms)
{
    return loop_now_ns(c->port->wire->loop) - c->kept_at >= MS_TO_NS(ms);
}

static void end_if_silent(struct conn *c)
{
    struct wire *w = c->port->wire;
    if (w->unfinished.bytes < w->unfinished.bound || !has_its_share(c) ||
        !is_quiet(c, SILENT_MS))
        return;
    w->stats.stalled++;
    conn_complain(c, "no more of its message came, and others wait for the room");
    conn_fail(c, DOWN_TIMEOUT);
}

static void go_on_if_room(struct conn *c)
{
    if (unfinished_has_room(c))
        go_on(c);
}

static void on_look(struct timer *t)
{
    struct wire *w = container_of(t, struct wire, unfinished.look);
    struct unfinished *u = &w->unfinished;
    if (u->first && u->bytes < u->bound && is_quiet(u->first, LOOK_MS))
        u->first = NULL;
    look_at(&u->going_on, end_if_silent);
    look_at(&u->waiting, go_on_if_room);
    call_next(u);
    if (!list_is_empty(&u->waiting))
        loop_after(w->loop, t, MS_TO_NS(LOOK_MS));
}

bool unfinished_must_wait(struct conn *c)
{
    struct wire *w = c->port->wire;
    struct unfinished *u = &w->unfinished;
    if (u->bytes >= u->roomy && !u->first)
        u->first = c;
    if (unfinished_has_room(c))
        return false;
    w->stats.held_up++;
    c->waits = true;
    if (list_is_empty(&u->waiting))
        loop_after(w->loop, &u->look, MS_TO_NS(LOOK_MS));
    list_remove(&c->unfinished);
    list_push_back(&u->waiting, &c->unfinished);
    conn_update_events(c);
    return true;
}

void unfinished_changed(struct conn *c, size_t bytes)
{
    struct wire *w = c->port->wire;
    struct unfinished *u = &w->unfinished;
    u->bytes += bytes - c->kept;
    u->n += (bytes != 0) - (c->kept != 0);
    c->kept = bytes;
    c->kept_at = loop_now_ns(w->loop);
    if (!bytes)
        unfinished_step_aside(c);
    else if (list_is_empty(&c->unfinished) && !is_aside(c))
        list_push_back(&u->going_on, &c->unfinished);
}

void unfinished_step_aside(struct conn *c)
{
    struct unfinished *u = &c->port->wire->unfinished;
    c->waits = false;
    list_remove(&c->unfinished);
    if (u->first == c)
        u->first = NULL;
    call_next(u);
}

void unfinished_step_back(struct conn *c)
{
    if (c->kept && list_is_empty(&c->unfinished))
        go_on(c);
    else
        conn_go_on(c);
}

void unfinished_init(struct wire *w)
{
    struct unfinished *u = &w->unfinished;
    list_init(&u->going_on);
    list_init(&u->waiting);
    u->look.fn = on_look;
    wire_bound_unfinished(w, w->default_msg_max / 2);
}

void wire_bound_unfinished(struct wire *w, size_t bytes)
{
    struct unfinished *u = &w->unfinished;
    u->bound = bytes < BOUND_MIN_BYTES ? BOUND_MIN_BYTES : bytes;
    u->roomy = u->bound < ROOMY_BYTES ? u->bound : ROOMY_BYTES;
}
