/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers are an array of their port. As in the library, a peer that is closed is not found any
 * more, and its end is told at the end of the turn. */
#include "fake_port.h"

#include <stdlib.h>

#include "fuzz.h"
#include "util/list.h"

#define CAP_BYTES 4096 /* of a peer that doesn't read */

struct wire {
    struct loop *loop;
    struct block_pool *pool;
    struct list closing;
    struct defer sweep;
    struct wire_stats stats;
    unsigned n_ports;
};

struct port {
    struct port_config cfg;
    struct wire *wire;
    struct peer *peers[FAKE_PEERS_MAX];
    size_t n;
    uint32_t n_nameless;
};

struct peer {
    struct port *port;
    struct list closing;
    void *user;
    size_t queued, id_len;
    unsigned n_pauses;
    bool is_full, is_deaf, is_closed, has_subscribed;
    char id[256];
};

struct fake_hooks fake_hooks;
static int next_number;

/* What the tests do */

static void tell_gone(struct peer *p, enum peer_down why)
{
    struct port *port = p->port;
    if (port->cfg.ops->peer_down)
        port->cfg.ops->peer_down(port->cfg.ctx, p, why);
    if (fake_hooks.gone)
        fake_hooks.gone(p);
    free(p);
}

static void delist(struct peer *p)
{
    struct port *port = p->port;
    p->is_closed = true;
    for (size_t i = 0; i < port->n; i++)
        if (port->peers[i] == p)
            port->peers[i] = port->peers[--port->n];
}

struct peer *fake_connect(struct port *p, struct slice identity)
{
    char nameless[5] = {0};
    memcpy(nameless + 1, &p->n_nameless, 4);
    if (identity.len == 0) {
        identity = (struct slice){nameless, sizeof(nameless)};
        p->n_nameless++;
    }
    struct peer *old = port_find(p, identity.data, identity.len);
    if (old) {
        if (p->cfg.ops->peer_taken_over)
            p->cfg.ops->peer_taken_over(p->cfg.ctx, old);
        return old->is_closed ? NULL : old;
    }
    if (p->n == FAKE_PEERS_MAX || identity.len > 255)
        return NULL;
    struct peer *peer = calloc(1, sizeof(*peer));
    FUZZ_CHECK(peer);
    peer->port = p;
    list_init(&peer->closing);
    peer->id_len = identity.len;
    memcpy(peer->id, identity.data, identity.len);
    p->peers[p->n++] = peer;
    p->cfg.ops->peer_up(p->cfg.ctx, peer);
    return peer;
}

void fake_say(struct peer *p, const struct frame *frames, unsigned n)
{
    struct frame *copy = calloc(n, sizeof(*copy));
    if (p->is_closed || p->n_pauses || !p->port->cfg.ops->message || n == 0) {
        free(copy);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t *own = malloc(frames[i].len ? frames[i].len : 1);
        if (frames[i].len)
            memcpy(own, frames[i].data, frames[i].len);
        copy[i] = (struct frame){own, frames[i].len, NULL};
    }
    struct msg m = {copy, n};
    p->port->cfg.ops->message(p->port->cfg.ctx, p, &m);
    for (unsigned i = 0; i < n; i++)
        free((void *)copy[i].data);
    free(copy);
}

void fake_hang_up(struct peer *p)
{
    if (p->is_closed)
        return;
    delist(p);
    tell_gone(p, DOWN_EOF);
}

void fake_subscribe(struct peer *p)
{
    bool publishes = p->port->cfg.kind == PORT_PUB || p->port->cfg.kind == PORT_XPUB;
    if (p->is_closed || !publishes)
        return;
    p->has_subscribed = true;
    if (p->port->cfg.ops->subscribed)
        p->port->cfg.ops->subscribed(p->port->cfg.ctx, p, SLICE_LIT(""), true);
}

void fake_set_deaf(struct peer *p, bool on)
{
    p->is_deaf = on;
    if (on)
        return;
    bool was_full = p->is_full;
    p->queued = 0;
    p->is_full = false;
    if (was_full && !p->is_closed && p->port->cfg.ops->drained)
        p->port->cfg.ops->drained(p->port->cfg.ctx, p);
    if (was_full && !p->is_closed && p->port->cfg.ops->written)
        p->port->cfg.ops->written(p->port->cfg.ctx, p);
}

unsigned fake_pauses(const struct peer *p)
{
    return p->n_pauses;
}

/* wire/port.h */

static void on_sweep(struct defer *d)
{
    struct wire *w = container_of(d, struct wire, sweep);
    struct list *it;
    while ((it = list_pop_front(&w->closing)))
        tell_gone(container_of(it, struct peer, closing), DOWN_CLOSED);
}

void wire_bound_unfinished(struct wire *w, size_t bytes)
{
    FUZZ_CHECK(w && bytes);
}

struct wire *wire_new(struct loop *l, struct block_pool *pool)
{
    struct wire *w = calloc(1, sizeof(*w));
    FUZZ_CHECK(w);
    w->loop = l;
    w->pool = pool;
    list_init(&w->closing);
    list_init(&w->sweep.link);
    w->sweep.fn = on_sweep;
    next_number = 10000;
    if (fake_hooks.opened)
        fake_hooks.opened(l);
    return w;
}

static void free_closing(struct wire *w, struct port *only)
{
    list_for_each (&w->closing, it) {
        struct peer *p = container_of(it, struct peer, closing);
        if (only && p->port != only)
            continue;
        list_remove(&p->closing);
        free(p);
    }
}

void wire_free(struct wire *w)
{
    if (!w)
        return;
    FUZZ_CHECK(w->n_ports == 0);
    loop_undefer(&w->sweep);
    free_closing(w, NULL);
    free(w);
}

const struct wire_stats *wire_stats(const struct wire *w)
{
    return &w->stats;
}

struct port *port_new(struct wire *w, const struct port_config *cfg, struct ersa_error *err)
{
    struct port *p = calloc(1, sizeof(*p));
    FUZZ_CHECK(p);
    p->cfg = *cfg;
    p->wire = w;
    w->n_ports++;
    return p;
}

int port_bind(struct port *p, const char *endpoint, char ret_endpoint[PORT_ENDPOINT_MAX],
              struct ersa_error *err)
{
    snprintf(ret_endpoint, PORT_ENDPOINT_MAX, "tcp://127.0.0.1:%d", ++next_number);
    return 0;
}

int port_connect(struct port *p, const char *endpoint, struct ersa_error *err)
{
    if (fake_hooks.connects)
        fake_hooks.connects(p, endpoint);
    return 0;
}

void port_close(struct port *p, unsigned linger_ms)
{
    while (p->n)
        free(p->peers[--p->n]);
    free_closing(p->wire, p);
    p->wire->n_ports--;
    free(p);
}

int port_subscribe(struct port *p, const void *prefix, size_t len)
{
    return 0;
}

size_t port_queued_bytes(const struct port *p)
{
    size_t sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += p->peers[i]->queued;
    return sum;
}

struct peer *port_find(const struct port *p, const void *identity, size_t len)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->peers[i]->id_len == len && memcmp(p->peers[i]->id, identity, len) == 0)
            return p->peers[i];
    return NULL;
}

struct peer *port_next_peer(const struct port *p, size_t *pos)
{
    return *pos < p->n ? p->peers[(*pos)++] : NULL;
}

size_t port_peers(const struct port *p)
{
    return p->n;
}

int peer_send(struct peer *p, const struct frame *frames, unsigned n)
{
    if (p->is_closed)
        return ERSA_ECLOSED;
    if (fake_hooks.heard)
        fake_hooks.heard(p, frames, n);
    for (unsigned i = 0; p->is_deaf && i < n; i++)
        p->queued += frames[i].len;
    p->is_full = p->queued >= CAP_BYTES;
    return 0;
}

int peer_write_out(struct peer *p)
{
    return p->is_closed ? ERSA_ECLOSED : p->is_full ? ERSA_EAGAIN : 0;
}

int port_send(struct port *p, const struct frame *frames, unsigned n)
{
    return p->n ? peer_send(p->peers[0], frames, n) : 0;
}

int port_send_to(struct port *p, struct slice id, const struct frame *frames, unsigned n)
{
    struct peer *to = port_find(p, id.data, id.len);
    return to ? peer_send(to, frames, n) : ERSA_ENOENT;
}

unsigned port_publish(struct port *p, const struct frame *frames, unsigned n)
{
    unsigned missed = 0;
    for (size_t i = 0; i < p->n; i++) {
        if (p->peers[i]->has_subscribed && p->peers[i]->is_full)
            missed++;
        else if (p->peers[i]->has_subscribed)
            peer_send(p->peers[i], frames, n);
    }
    return missed;
}

struct slice peer_identity(const struct peer *p)
{
    return (struct slice){p->id, p->id_len};
}

void peer_set_user(struct peer *p, void *user)
{
    p->user = user;
}

void *peer_user(const struct peer *p)
{
    return p->user;
}

size_t peer_queued_bytes(const struct peer *p)
{
    return p->queued;
}

uint64_t peer_moved(const struct peer *p)
{
    return 0;
}

bool peer_is_full(const struct peer *p)
{
    return p->is_full;
}

const char *peer_address(const struct peer *p)
{
    return p->is_closed ? "an address unknown by now" : "tcp://127.0.0.1:1";
}

const char *peer_own_address(const struct peer *p)
{
    return "tcp://127.0.0.1:2";
}

void peer_pause(struct peer *p)
{
    p->n_pauses++;
}

void peer_resume(struct peer *p)
{
    FUZZ_CHECK(p->n_pauses > 0);
    p->n_pauses--;
}

bool peer_is_paused(const struct peer *p)
{
    return p->n_pauses > 0;
}

/* It isn't held back in fact: that both are there is what is asked. */
void peer_stall(struct peer *source, struct peer *sink)
{
    FUZZ_CHECK(source->port && sink->port);
}

void peer_close(struct peer *p)
{
    if (p->is_closed)
        return;
    delist(p);
    list_push_back(&p->port->wire->closing, &p->closing);
    loop_defer(p->port->wire->loop, &p->port->wire->sweep);
}

void peer_reset(struct peer *p)
{
    peer_close(p);
}

size_t peer_unacknowledged(const struct peer *p)
{
    return 0;
}
