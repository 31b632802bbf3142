/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is at the other end: coming up, taking over, sending, going. */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "wire/wire_impl.h"

#define IOV_MAX_USED 64
#define FLUSH_BUDGET (1u << 20) /* octets of one peer a turn */
#define PORT_CAPS 2             /* with that many full queues a port is crowded: then peers */
#define CROWDED_PART 16         /* are full with this part of their cap */

struct peer *peer_new(struct port *port, struct slice identity)
{
    struct wire *w = port->wire;
    char made[5] = {0};
    if (identity.len == 0 || identity.data[0] == '\0') { /* peers don't choose such ones */
        do {
            uint32_t number = w->next_identity++;
            memcpy(made + 1, &number, 4);
        } while (port_find(port, made, sizeof(made)));
        identity = (struct slice){made, sizeof(made)};
    }
    struct peer *p = calloc(1, sizeof(*p) + identity.len);
    if (!p)
        return NULL;
    p->port = port;
    p->id_len = identity.len;
    memcpy(p->id, identity.data, identity.len);
    list_init(&p->flush);
    list_init(&p->ended);
    list_init(&p->sources);
    list_init(&p->sinks);
    return p;
}

void peer_free(struct peer *p)
{
    struct port *port = p->port;
    list_remove(&p->flush);
    list_remove(&p->ended);
    port->queued -= p->tx.bytes;
    txq_fini(&p->tx, &port->wire->chunks);
    subs_fini(&p->subs);
    free(p);
}

/* Coming up */

static int enlist(struct peer *p)
{
    struct port *port = p->port;
    if (port->n_peers == port->cap_peers) {
        size_t cap = port->cap_peers ? 2 * port->cap_peers : 4;
        struct peer **peers = reallocarray(port->peers, cap, sizeof(struct peer *));
        if (!peers)
            return ERSA_ENOMEM;
        port->peers = peers;
        port->cap_peers = cap;
    }
    int rc = map_put(&port->by_identity, p->id, p->id_len, p);
    if (rc < 0)
        return rc;
    port->peers[port->n_peers++] = p;
    p->index = port->n_peers;
    return 0;
}

static void delist(struct peer *p)
{
    struct port *port = p->port;
    if (!p->index)
        return;
    map_remove(&port->by_identity, p->id, p->id_len);
    struct peer *last = port->peers[--port->n_peers];
    port->peers[p->index - 1] = last;
    last->index = p->index;
    p->index = 0;
}

static void flush_later(struct peer *p)
{
    struct wire *w = p->port->wire;
    if (list_is_empty(&p->flush)) {
        list_push_back(&w->to_flush, &p->flush);
        loop_defer(w->loop, &w->flush);
    }
}

/* The connection slips under the peer that is there; the one made for it goes. */
static void take_over(struct peer *p, struct conn *c)
{
    struct conn *old = p->conn;
    const struct port_config *cfg = &p->port->cfg;
    struct peer *made = c->peer;
    old->peer = NULL;
    conn_drop(old);
    c->peer = p;
    p->conn = c;
    if (p->paused)
        unfinished_step_aside(c);
    peer_free(made);
    p->port->queued += p->tx.written;
    txq_rewind(&p->tx);
    subs_fini(&p->subs);
    p->port->wire->stats.takeovers++;
    conn_update_events(c);
    flush_later(p);
    if (cfg->ops->peer_taken_over)
        cfg->ops->peer_taken_over(cfg->ctx, p);
}

/* Its share of the port: with several peers that don't read, what each may have waiting is
 * small.
 */
static size_t tx_limit(const struct peer *p)
{
    size_t cap = p->port->cfg.tx_cap_bytes;
    return p->port->queued < PORT_CAPS * cap ? cap : cap / CROWDED_PART;
}

static bool is_full_now(const struct peer *p)
{
    return p->tx.bytes >= tx_limit(p);
}

/* What waited for a connection: a DEALER's messages go to whoever comes, a ROUTER's to the
 * identity that they were for. */
static int adopt_unsent(struct peer *p)
{
    struct port *port = p->port;
    struct connector *k = p->connector;
    int rc = 0;
    if (k && k->unsent.bytes) {
        if (k->id_len == p->id_len && memcmp(k->id, p->id, p->id_len) == 0)
            rc = txq_move(&p->tx, &k->unsent);
        else
            connector_forget(k);
    }
    if (rc == 0 && port->unsent.bytes)
        rc = txq_move(&p->tx, &port->unsent);
    p->is_full = is_full_now(p);
    return rc;
}

static int subscribe_all(struct peer *p)
{
    const struct subs *s = &p->port->wanted;
    int rc = s->all ? port_send_subscription(p->port, p, SLICE_LIT("")) : 0;
    for (unsigned i = 0; i < s->n && rc == 0; i++)
        rc = port_send_subscription(p->port, p, s->items[i]);
    return rc;
}

/* An identity that somebody has, at a port where it does not mean a take-over: one of our own.
 */
static struct peer *rename_peer(struct conn *c)
{
    struct peer *p = peer_new(c->port, (struct slice){NULL, 0});
    if (p) {
        peer_free(c->peer);
        c->peer = p;
    }
    return p;
}

void peer_join(struct conn *c)
{
    struct port *port = c->port;
    struct peer *p = c->peer;
    struct peer *there = port_find(port, p->id, p->id_len);
    if (there && port->cfg.kind == PORT_ROUTER && !c->connector && !there->connector) {
        conn_drain(there->conn);
        if (c->state == CONN_DEAD)
            return;
        there = port_find(port, p->id, p->id_len);
        if (there) {
            take_over(there, c);
            return;
        }
    } else if (there) {
        p = rename_peer(c);
    }
    wire_tell_closed(port->wire); /* one with this identity may be among them */
    if (c->state == CONN_DEAD)
        return;
    if (p) {
        p->conn = c;
        p->connector = c->connector;
    }
    if (!p || enlist(p) < 0 || adopt_unsent(p) < 0 || subscribe_all(p) < 0) {
        conn_error(c, ERSA_ENOMEM);
        return;
    }
    if (c->connector)
        c->connector->wait_ms = 0;
    if (p->tx.bytes || port->closed)
        flush_later(p);
    p->is_up = true;
    if (port->cfg.ops->peer_up)
        port->cfg.ops->peer_up(port->cfg.ctx, p);
}

/* Going */

/* The counterpart of adopt_unsent(). What can't be moved for want of memory goes with the peer.
 */
static void keep_unsent(struct peer *p)
{
    struct port *port = p->port;
    struct connector *k = p->connector;
    bool is_over = port->closed && list_is_empty(&port->connectors);
    if (port->cfg.kind == PORT_ROUTER && k) {
        k->id_len = p->id_len;
        memcpy(k->id, p->id, p->id_len);
    }
    port->queued += p->tx.written;
    txq_rewind(&p->tx);
    if (p->tx.bytes == 0 || is_over)
        return;
    if (port->cfg.kind == PORT_DEALER) {
        struct peer *other = port->n_peers ? port_next_in_turn(port) : NULL;
        (void)txq_move(other ? &other->tx : &port->unsent, &p->tx);
        if (other) {
            other->is_full |= is_full_now(other);
            flush_later(other);
        }
    } else if (port->cfg.kind == PORT_ROUTER && k) {
        (void)txq_move(&k->unsent, &p->tx);
    }
}

static void bury(struct peer *p)
{
    struct wire *w = p->port->wire;
    list_remove(&p->flush);
    list_remove(&p->ended);
    list_push_back(&w->dead_peers, &p->ended);
    wire_sweep_later(w);
}

void peer_gone(struct peer *p, enum peer_down why)
{
    struct port *port = p->port;
    p->conn = NULL;
    delist(p);
    keep_unsent(p);
    peer_release_sources(p);
    peer_leave_sinks(p);
    bury(p);
    if (p->is_up && port->cfg.ops->peer_down)
        port->cfg.ops->peer_down(port->cfg.ctx, p, why);
    port_free_when_done(port);
}

void peer_close(struct peer *p)
{
    struct wire *w = p->port->wire;
    if (!p->index)
        return;
    delist(p);
    struct conn *c = p->conn;
    p->conn = NULL;
    if (c) {
        c->peer = NULL;
        conn_drop(c);
    }
    peer_release_sources(p);
    peer_leave_sinks(p);
    list_remove(&p->flush);
    list_push_back(&w->closing, &p->ended);
    wire_sweep_later(w);
}

/* Sending */

static void note_queued(struct peer *p, size_t before)
{
    struct port *port = p->port;
    port->queued += p->tx.bytes - before;
    if (is_full_now(p))
        p->is_full = true;
    flush_later(p);
}

int peer_send(struct peer *p, const struct frame *frames, unsigned n)
{
    struct wire *w = p->port->wire;
    if (!p->conn)
        return ERSA_ECLOSED;
    size_t before = p->tx.bytes;
    int rc = txq_put(&p->tx, &w->chunks, frames, n);
    if (rc < 0) {
        peer_close(p);
        return rc;
    }
    w->stats.msgs_out++;
    note_queued(p, before);
    return 0;
}

int peer_send_raw(struct peer *p, const void *data, size_t len)
{
    if (!p->conn)
        return ERSA_ECLOSED;
    size_t before = p->tx.bytes;
    int rc = txq_put_raw(&p->tx, &p->port->wire->chunks, data, len);
    if (rc == 0)
        note_queued(p, before);
    return rc;
}

static void note_drained(struct peer *p)
{
    const struct port_config *cfg = &p->port->cfg;
    if (!p->is_full || p->tx.bytes >= tx_limit(p) / 2)
        return;
    p->is_full = false;
    peer_release_sources(p);
    if (cfg->ops->drained)
        cfg->ops->drained(cfg->ctx, p);
}

/* False: the connection has ended, or is about to. */
static bool flush_plain(struct peer *p)
{
    struct port *port = p->port;
    struct conn *c = p->conn;
    size_t sent = 0;
    bool is_blocked = false;
    while (p->tx.bytes && !is_blocked && sent < FLUSH_BUDGET) {
        struct iovec iov[IOV_MAX_USED];
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = txq_peek(&p->tx, iov, IOV_MAX_USED)};
        ssize_t n = sendmsg(c->watch.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        port->wire->stats.writes++;
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_write_failed(c);
            return false;
        }
        is_blocked = n <= 0;
        if (n > 0) {
            txq_advance(&p->tx, &port->wire->chunks, (size_t)n);
            port->queued -= (size_t)n;
            port->wire->stats.bytes_out += (uint64_t)n;
            sent += (size_t)n;
            if (p->tx.bytes)
                p->moved += (size_t)n;
        }
    }
    return true;
}

void peer_flush(struct peer *p)
{
    struct port *port = p->port;
    struct conn *c = p->conn;
    list_remove(&p->flush);
    if (!c || c->is_broken || !(c->sealed ? sealed_flush(p, FLUSH_BUDGET) : flush_plain(p)))
        return;
    bool has_waited = c->wants_write;
    c->wants_write = p->tx.bytes != 0;
    conn_update_events(c);
    note_drained(p);
    if (has_waited && p->tx.bytes == 0 && port->cfg.ops->written)
        port->cfg.ops->written(port->cfg.ctx, p);
    if (port->closed && p->tx.bytes == 0 && p->conn)
        port_wind_up(port, p->conn);
}

int peer_write_out(struct peer *p)
{
    if (p->conn && p->tx.bytes)
        peer_flush(p);
    if (!p->conn || p->conn->is_broken)
        return ERSA_ECLOSED;
    return p->tx.bytes ? ERSA_EAGAIN : 0;
}

void peer_reset(struct peer *p)
{
    if (!p->conn)
        return;
    conn_drain(p->conn);
    if (p->conn)
        p->conn->is_reset = true;
    peer_close(p);
}

size_t peer_unacknowledged(const struct peer *p)
{
    int n = 0, domain = AF_UNIX;
    socklen_t len = sizeof(domain);
    if (!p->conn || getsockopt(p->conn->watch.fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 ||
        domain == AF_UNIX || ioctl(p->conn->watch.fd, SIOCOUTQ, &n) < 0)
        return 0;
    return n > 0 ? (size_t)n : 0;
}

/* What a peer is */

struct slice peer_identity(const struct peer *p)
{
    return (struct slice){(const char *)p->id, p->id_len};
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
    return p->tx.bytes;
}

uint64_t peer_moved(const struct peer *p)
{
    return p->moved;
}

bool peer_is_full(const struct peer *p)
{
    return p->is_full;
}

const char *peer_address(const struct peer *p)
{
    return p->conn ? conn_address(p->conn) : "a closed connection";
}

const char *peer_own_address(const struct peer *p)
{
    return p->conn ? conn_own_address(p->conn) : "a closed connection";
}
