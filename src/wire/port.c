/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: listening, connecting with back-off, addressing peers, closing. */
#include "wire/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/log.h"
#include "util/rand.h"
#include "wire/mechanism.h"
#include "wire/wire_impl.h"

#define ACCEPTS_A_TURN 128
#define NO_DESCRIPTORS_MS 100

#define DEFAULT_TX_CAP ((size_t)64 << 20)
#define DEFAULT_UNSENT ((size_t)64 << 20)
#define SUBSCRIPTION_MAX 65536 /* all that a publisher is sent are subscriptions */
#define SHARE_OF_REST 4        /* of what is left of a publisher's cap, to each subscriber */
#define DEFAULT_HANDSHAKE_MS 30000
#define DEFAULT_RECONNECT_MIN_MS 100
#define DEFAULT_RECONNECT_MAX_MS 5000

const struct kind kinds[PORT_KIND_MAX] = {
    [PORT_ROUTER] = {"ROUTER", {"DEALER", "ROUTER", "REQ"}, .tells_identity = true},
    [PORT_DEALER] = {"DEALER", {"ROUTER", "DEALER", "REP"}, .tells_identity = true},
    [PORT_PUB] = {"PUB", {"SUB", "XSUB"}, .is_publisher = true},
    [PORT_XPUB] = {"XPUB", {"SUB", "XSUB"}, .is_publisher = true},
    [PORT_SUB] = {"SUB", {"PUB", "XPUB"}},
};

static const struct port_ops no_ops;

static void on_linger_end(struct timer *t);

struct port *port_new(struct wire *w, const struct port_config *cfg, struct ersa_error *err)
{
    if (cfg->kind >= PORT_KIND_MAX || !cfg->ops || cfg->identity_len > ZMTP_IDENTITY_MAX) {
        err_set(err, ERSA_EINVAL, "port %s: no such kind, no operations or a long identity",
                cfg->name);
        return NULL;
    }
    struct port *p = calloc(1, sizeof(*p));
    char *identity = p ? str_dup_slice((struct slice){cfg->identity, cfg->identity_len}) : NULL;
    if (!identity) {
        free(p);
        err_set(err, ERSA_ENOMEM, "out of memory");
        return NULL;
    }
    p->wire = w;
    p->cfg = *cfg;
    p->cfg.identity = identity;
    if (!p->cfg.tx_cap_bytes)
        p->cfg.tx_cap_bytes = DEFAULT_TX_CAP;
    if (!p->cfg.msg_max_bytes)
        p->cfg.msg_max_bytes = w->default_msg_max;
    if (!p->cfg.handshake_ms)
        p->cfg.handshake_ms = DEFAULT_HANDSHAKE_MS;
    if (!p->cfg.reconnect_min_ms)
        p->cfg.reconnect_min_ms = DEFAULT_RECONNECT_MIN_MS;
    if (!p->cfg.reconnect_max_ms)
        p->cfg.reconnect_max_ms = DEFAULT_RECONNECT_MAX_MS;
    if (!p->cfg.unsent_max_bytes)
        p->cfg.unsent_max_bytes = DEFAULT_UNSENT;
    if (kinds[cfg->kind].is_publisher && p->cfg.msg_max_bytes > SUBSCRIPTION_MAX)
        p->cfg.msg_max_bytes = SUBSCRIPTION_MAX;
    p->mechanism = !cfg->curve             ? &mechanism_null
                   : cfg->curve->is_server ? &mechanism_curve_server
                                           : &mechanism_curve_client;
    p->linger.fn = on_linger_end;
    list_init(&p->listeners);
    list_init(&p->connectors);
    list_init(&p->conns);
    map_init(&p->by_identity);
    list_push_back(&w->ports, &p->link);
    return p;
}

/* Listening */

static void on_pause_end(struct timer *t)
{
    struct listener *l = container_of(t, struct listener, pause);
    loop_rewatch(l->port->wire->loop, &l->watch, LOOP_READ);
}

static void on_connection(struct watch *watch, unsigned events)
{
    struct listener *l = container_of(watch, struct listener, watch);
    struct wire *w = l->port->wire;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = endpoint_accept(watch->fd);
        if (fd >= 0) {
            w->stats.accepted++;
            l->complained = false;
            conn_new(l->port, fd, NULL);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (!l->complained)
                log_error("port %s: connections wait: %s", l->port->cfg.name, strerror(errno));
            l->complained = true;
            loop_rewatch(w->loop, watch, 0);
            loop_after(w->loop, &l->pause, MS_TO_NS(NO_DESCRIPTORS_MS));
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

int port_bind(struct port *p, const char *endpoint, char ret_endpoint[PORT_ENDPOINT_MAX],
              struct ersa_error *err)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    l->port = p;
    l->watch.fn = on_connection;
    l->pause.fn = on_pause_end;
    int rc = endpoint_parse(&l->at, endpoint, true, err);
    int fd = rc < 0 ? rc : endpoint_listen(&l->at, endpoint, err);
    if (fd < 0) {
        free(l);
        return fd;
    }
    rc = loop_watch(p->wire->loop, &l->watch, fd, LOOP_READ, p->cfg.prio);
    if (rc < 0) {
        close(fd);
        free(l);
        return err_set(err, rc, "%s: %s", endpoint, ersa_strerror(rc));
    }
    list_push_back(&p->listeners, &l->link);
    if (ret_endpoint)
        endpoint_text(&l->at, ret_endpoint, PORT_ENDPOINT_MAX);
    return 0;
}

static void listener_close(struct listener *l)
{
    struct loop *loop = l->port->wire->loop;
    int fd = l->watch.fd;
    loop_cancel(loop, &l->pause);
    loop_unwatch(loop, &l->watch);
    if (endpoint_is_ipc(&l->at))
        unlink(((const struct sockaddr_un *)&l->at.addr)->sun_path);
    close(fd);
    list_remove(&l->link);
    free(l);
}

/* Connecting */

static void try_to_connect(struct connector *k)
{
    int fd = endpoint_connect(&k->to);
    if (fd >= 0)
        k->conn = conn_new(k->port, fd, k);
    if (!k->conn)
        port_connection_lost(k->port, k);
}

static void on_retry(struct timer *t)
{
    try_to_connect(container_of(t, struct connector, retry));
}

/* The wait doubles, and differs by up to a quarter: many that lost one controller don't come
 * back all at once. */
void port_connection_lost(struct port *p, struct connector *k)
{
    if (timer_is_set(&k->retry))
        return;
    k->wait_ms = k->wait_ms ? 2 * k->wait_ms : p->cfg.reconnect_min_ms;
    if (k->wait_ms > p->cfg.reconnect_max_ms)
        k->wait_ms = p->cfg.reconnect_max_ms;
    int64_t ns = MS_TO_NS(k->wait_ms);
    ns -= (int64_t)(rand_u64() % (uint64_t)(ns / 4 + 1));
    loop_after(p->wire->loop, &k->retry, ns);
}

int port_connect(struct port *p, const char *endpoint, struct ersa_error *err)
{
    struct connector *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    int rc = endpoint_parse(&k->to, endpoint, false, err);
    if (rc < 0) {
        free(k);
        return rc;
    }
    k->port = p;
    k->retry.fn = on_retry;
    list_push_back(&p->connectors, &k->link);
    try_to_connect(k);
    return 0;
}

/* Peers */

struct peer *port_find(const struct port *p, const void *identity, size_t len)
{
    return map_get(&p->by_identity, identity, len);
}

struct peer *port_next_peer(const struct port *p, size_t *pos)
{
    return *pos < p->n_peers ? p->peers[(*pos)++] : NULL;
}

size_t port_peers(const struct port *p)
{
    return p->n_peers;
}

size_t port_queued_bytes(const struct port *p)
{
    return p->queued;
}

/* Sending */

/* The next in turn that has room; where nobody has, just the next. */
struct peer *port_next_in_turn(struct port *p)
{
    size_t i = p->next_peer;
    for (size_t tried = 0; tried < p->n_peers; tried++) {
        i = (i + 1) % p->n_peers;
        if (!p->peers[i]->is_full)
            break;
    }
    p->next_peer = (p->peers[i % p->n_peers]->is_full ? p->next_peer + 1 : i) % p->n_peers;
    return p->peers[p->next_peer];
}

/* Until there is a connection. */
static int keep(struct port *p, struct txq *unsent, const struct frame *frames, unsigned n)
{
    size_t len = 0, before = unsent->bytes;
    for (unsigned i = 0; i < n; i++)
        len += frames[i].len + ZMTP_HEAD_MAX;
    if (len > p->cfg.unsent_max_bytes || before > p->cfg.unsent_max_bytes - len)
        return ERSA_EFULL;
    int rc = txq_put(unsent, &p->wire->chunks, frames, n);
    p->queued += unsent->bytes - before;
    return rc;
}

int port_send(struct port *p, const struct frame *frames, unsigned n)
{
    return p->n_peers ? peer_send(port_next_in_turn(p), frames, n)
                      : keep(p, &p->unsent, frames, n);
}

int port_send_to(struct port *p, struct slice id, const struct frame *frames, unsigned n)
{
    struct peer *to = port_find(p, id.data, id.len);
    if (to)
        return peer_send(to, frames, n);
    list_for_each (&p->connectors, it) {
        struct connector *k = container_of(it, struct connector, link);
        if (slice_eq(id, (struct slice){(const char *)k->id, k->id_len}))
            return keep(p, &k->unsent, frames, n);
    }
    return ERSA_ENOENT;
}

/* Each subscriber may have so much waiting; the more waits in all, the less, so who has most
 * misses something first, and who reads finds room. One that doesn't read gets four fifths of
 * the cap, n of them four parts of 4n + 1 each. */
static bool has_share(const struct peer *p)
{
    size_t cap = p->port->cfg.tx_cap_bytes, queued = p->port->queued;
    return queued < cap && p->tx.bytes / SHARE_OF_REST < cap - queued;
}

/* What was queued in this turn only may be gone when it is written. */
static bool makes_room(struct peer *p)
{
    if (!p->conn || p->conn->wants_write)
        return false;
    peer_flush(p);
    return p->conn && has_share(p);
}

unsigned port_publish(struct port *p, const struct frame *frames, unsigned n)
{
    unsigned missed = 0;
    struct slice topic = frame_slice(&frames[0]);
    for (size_t i = p->n_peers; i-- > 0;) {
        struct peer *to = p->peers[i];
        if (!subs_match(&to->subs, topic))
            continue;
        if (has_share(to) || makes_room(to))
            peer_send(to, frames, n);
        else
            missed++;
    }
    p->wire->stats.dropped_pub += missed;
    return missed;
}

int port_send_subscription(struct port *p, struct peer *to, struct slice prefix)
{
    struct buf b;
    buf_init(&b, prefix.len + 64);
    int rc;
    if (to->conn->minor > 0) {
        rc = zmtp_put_command(&b, "SUBSCRIBE", prefix.data, prefix.len);
    } else {
        uint8_t head[ZMTP_HEAD_MAX];
        rc = buf_append(&b, head, zmtp_put_head(head, 0, prefix.len + 1));
        if (rc == 0)
            rc = buf_putc(&b, 1);
        if (rc == 0)
            rc = buf_append(&b, prefix.data, prefix.len);
    }
    if (rc == 0)
        rc = peer_send_raw(to, b.data, b.len);
    buf_fini(&b);
    return rc;
}

int port_subscribe(struct port *p, const void *prefix, size_t len)
{
    struct slice s = {prefix, len};
    int rc = subs_add(&p->wanted, s);
    if (rc <= 0)
        return rc;
    for (size_t i = p->n_peers; i-- > 0;)
        port_send_subscription(p, p->peers[i], s);
    return 0;
}

/* Closing */

void connector_forget(struct connector *k)
{
    k->port->queued -= k->unsent.bytes;
    txq_fini(&k->unsent, &k->port->wire->chunks);
}

static void close_connectors(struct port *p)
{
    list_for_each (&p->connectors, it) {
        struct connector *k = container_of(it, struct connector, link);
        loop_cancel(p->wire->loop, &k->retry);
        connector_forget(k);
        if (k->conn) {
            k->conn->connector = NULL;
            if (k->conn->peer)
                k->conn->peer->connector = NULL;
        }
        list_remove(&k->link);
        free(k);
    }
}

static bool has_unsent(const struct port *p)
{
    bool has = p->unsent.bytes > 0;
    list_for_each (&p->connectors, it)
        has |= container_of(it, struct connector, link)->unsent.bytes > 0;
    return has;
}

/* Ends all connections; with `idle_only` not those that have something to write, or that are
 * being made for what is unsent. */
static void end_connections(struct port *p, bool idle_only)
{
    list_for_each (&p->conns, it) {
        struct conn *c = container_of(it, struct conn, link);
        bool is_idle = c->state == CONN_UP ? c->peer->tx.bytes == 0 : !c->connector;
        if (idle_only && !is_idle)
            conn_update_events(c);
        else
            conn_fail(c, DOWN_CLOSED);
    }
}

static void on_linger_end(struct timer *t)
{
    struct port *p = container_of(t, struct port, linger);
    close_connectors(p);
    end_connections(p, false);
    port_free_when_done(p);
}

void port_wind_up(struct port *p, struct conn *c)
{
    if (!has_unsent(p))
        close_connectors(p);
    conn_fail(c, DOWN_CLOSED);
    port_free_when_done(p);
}

void port_free_when_done(struct port *p)
{
    if (!p->closed || !list_is_empty(&p->conns) || !list_is_empty(&p->connectors) || p->n_peers)
        return;
    loop_cancel(p->wire->loop, &p->linger);
    list_remove(&p->link);
    list_push_back(&p->wire->dead_ports, &p->link);
    wire_sweep_later(p->wire);
}

void port_close(struct port *p, unsigned linger_ms)
{
    p->closed = true;
    p->cfg.ops = &no_ops;
    while (!list_is_empty(&p->listeners))
        listener_close(container_of(p->listeners.next, struct listener, link));
    if (linger_ms == 0 || !has_unsent(p))
        close_connectors(p);
    end_connections(p, linger_ms > 0);
    if (!list_is_empty(&p->conns) || !list_is_empty(&p->connectors))
        loop_after(p->wire->loop, &p->linger, MS_TO_NS(linger_ms));
    port_free_when_done(p);
}

void port_free(struct port *p)
{
    list_remove(&p->link);
    map_fini(&p->by_identity);
    subs_fini(&p->wanted);
    txq_fini(&p->unsent, &p->wire->chunks);
    free((void *)p->cfg.identity);
    free(p->peers);
    free(p);
}
