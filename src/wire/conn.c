/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection: its life, and receiving. Octets are received in the wire's scratch buffer and
 * read there (reading.c); a frame of WIRE_COPY_MAX octets or more is received straight into a
 * block. A declared length costs nothing: pages of a block exist when octets arrive. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/log.h"
#include "wire/mechanism.h"
#include "wire/wire_impl.h"

#define BIG_BUDGET (1u << 20)    /* octets of large frames a turn */
#define DRAIN_BUDGET (64u << 20) /* and of a connection that is taken over */
#define DISCARD_ROUNDS 64        /* of 16 KiB that nobody is going to read */

static void on_event(struct watch *w, unsigned events);

/* Ends */

static const char *address(int (*ask)(int, struct sockaddr *, socklen_t *), int fd)
{
    static _Thread_local char text[PORT_ENDPOINT_MAX];
    struct endpoint e = {.len = sizeof(e.addr)};
    if (ask(fd, (struct sockaddr *)&e.addr, &e.len) < 0)
        return "an address unknown by now";
    endpoint_text(&e, text, sizeof(text));
    return text;
}

const char *conn_address(const struct conn *c)
{
    return address(getpeername, c->watch.fd);
}

const char *conn_own_address(const struct conn *c)
{
    return address(getsockname, c->watch.fd);
}

void conn_complain(const struct conn *c, const char *text)
{
    if (!c->port->closed)
        complain(&c->port->wire->complaints, COMPLAINT_CONNECTION,
                 "port %s: connection of %s closed: %s", c->port->cfg.name, conn_address(c),
                 text);
}

static void on_handshake_timeout(struct timer *t)
{
    struct conn *c = container_of(t, struct conn, handshake);
    if (c->state != CONN_CONNECTING)
        conn_complain(c, "no handshake in time");
    conn_fail(c, DOWN_TIMEOUT);
}

void partial_free(struct partial *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n; i++)
        block_unref(p->frames[i].block);
    block_unref(p->big);
    free(p->frames);
    free(p->data);
    free(p);
}

void conn_free(struct conn *c)
{
    partial_free(c->partial);
    sealed_free(c->sealed);
    curve_talk_free(c->talk);
    free(c->tail);
    free(c);
}

/* An orderly end: without unread octets the kernel sends what it still has. The scratch buffer
 * may be in use when a callback closes a peer, so they go elsewhere. */
static void close_socket(int fd, bool by_reset)
{
    static const struct linger none = {.l_onoff = 1};
    uint8_t nowhere[16384];
    if (by_reset) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        close(fd);
        return;
    }
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < DISCARD_ROUNDS && recv(fd, nowhere, sizeof(nowhere), MSG_DONTWAIT) > 0;
         i++)
        ;
    close(fd);
}

void conn_drop(struct conn *c)
{
    struct wire *w = c->port->wire;
    if (c->state == CONN_DEAD)
        return;
    c->state = CONN_DEAD;
    loop_cancel(w->loop, &c->handshake);
    int fd = c->watch.fd;
    loop_unwatch(w->loop, &c->watch);
    close_socket(fd, c->is_reset);
    unfinished_set(c, 0);
    list_remove(&c->again);
    list_remove(&c->link);
    list_push_back(&w->dead_conns, &c->link);
    wire_sweep_later(w);
    if (c->peer && c->peer->conn == c)
        c->peer->conn = NULL;
    struct connector *from = c->connector;
    c->connector = NULL;
    if (from) {
        from->conn = NULL;
        port_connection_lost(c->port, from);
    }
}

void conn_fail(struct conn *c, enum peer_down why)
{
    struct wire *w = c->port->wire;
    struct peer *p = c->peer;
    if (c->state == CONN_DEAD)
        return;
    if (why == DOWN_PROTOCOL)
        w->stats.protocol_errors++;
    bool was_up = c->state == CONN_UP;
    if (!was_up && c->state != CONN_CONNECTING)
        w->stats.handshake_failed++;
    conn_drop(c);
    c->peer = NULL;
    if (!p)
        return;
    if (was_up)
        peer_gone(p, why);
    else
        peer_free(p);
}

void conn_error(struct conn *c, ssize_t rc)
{
    if (c->state == CONN_DEAD)
        return;
    if ((rc == ERSA_ECLOSED || rc == ERSA_EIO) && c->talk && c->connector &&
        !c->connector->complained) {
        c->connector->complained = true;
        conn_complain(c, "it ended the handshake: is the CURVE server key the right one?");
    }
    if (rc == ERSA_EPROTO)
        conn_complain(c, c->state == CONN_UP ? "it broke the protocol"
                                             : "not a fitting ZMTP peer");
    else if (rc == ERSA_EFULL)
        conn_complain(c, "a message over the bound");
    else if (rc == ERSA_ENOMEM)
        conn_complain(c, "out of memory");
    bool is_broken = rc == ERSA_EIO || c->is_broken;
    conn_fail(c, rc == ERSA_EPROTO || rc == ERSA_EFULL ? DOWN_PROTOCOL
                 : rc == ERSA_ENOMEM                   ? DOWN_CLOSED
                 : is_broken                           ? DOWN_BROKEN
                                                       : DOWN_EOF);
}

/* What it had sent before is received first: the end shows there, too. */
void conn_write_failed(struct conn *c)
{
    if (errno == ENOMEM || errno == ENOBUFS) {
        conn_fail(c, DOWN_CLOSED);
        return;
    }
    c->is_broken = true;
    c->wants_write = false;
    conn_update_events(c);
}

struct conn *conn_new(struct port *p, int fd, struct connector *from)
{
    struct wire *w = p->wire;
    struct conn *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return NULL;
    }
    c->port = p;
    c->connector = from;
    c->watch.fn = on_event;
    c->handshake.fn = on_handshake_timeout;
    c->state = from ? CONN_CONNECTING : CONN_GREETING;
    list_init(&c->again);
    list_init(&c->unfinished);
    list_push_back(&p->conns, &c->link);
    if (loop_watch(w->loop, &c->watch, fd, from ? LOOP_READ | LOOP_WRITE : LOOP_READ,
                   p->cfg.prio) < 0 ||
        loop_after(w->loop, &c->handshake, MS_TO_NS(p->cfg.handshake_ms)) < 0) {
        loop_unwatch(w->loop, &c->watch);
        list_remove(&c->link);
        close(fd);
        free(c);
        return NULL;
    }
    if (!from && conn_greet(c) < 0) {
        conn_fail(c, DOWN_EOF);
        return NULL;
    }
    return c;
}

void conn_update_events(struct conn *c)
{
    if (c->state == CONN_DEAD || c->state == CONN_CONNECTING)
        return;
    bool wants_read = !conn_is_held_up(c) || c->port->closed;
    unsigned events = (wants_read ? LOOP_READ : 0u) | (c->wants_write ? LOOP_WRITE : 0u);
    loop_rewatch(c->port->wire->loop, &c->watch, events);
}

void conn_go_on(struct conn *c)
{
    struct wire *w = c->port->wire;
    conn_update_events(c);
    if (c->tail_len && list_is_empty(&c->again)) {
        list_push_back(&w->again, &c->again);
        loop_defer(w->loop, &w->read_again);
    }
}

/* Receiving: returns octets received, 0 when there are none now, or an error. */

static ssize_t check_received(struct conn *c, ssize_t n)
{
    struct wire *w = c->port->wire;
    w->stats.reads++;
    if (n > 0) {
        w->stats.bytes_in += (uint64_t)n;
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return n < 0 ? ERSA_EIO : ERSA_ECLOSED;
}

/* Into the block of the large frame, and what is behind it into scratch. */
static ssize_t receive_big(struct conn *c)
{
    struct partial *p = c->partial;
    uint8_t *scratch = c->port->wire->scratch;
    size_t want = p->big_len - p->big_got, room = unfinished_room(c);
    bool is_all = room >= want;
    struct iovec iov[] = {{p->big->data + p->big_got, is_all ? want : room},
                          {scratch, SCRATCH_SIZE}};
    ssize_t n = check_received(c, readv(c->watch.fd, iov, is_all ? 2 : 1));
    if (n <= 0)
        return n;
    size_t got = (size_t)n < want ? (size_t)n : want;
    p->big_got += got;
    c->peer->moved += got;
    int rc = conn_big_grew(c);
    if (rc < 0)
        return rc;
    if (p->big_got == p->big_len)
        conn_big_is_there(c, scratch, (size_t)n - got);
    else
        unfinished_set(c, p->bytes + p->big_got);
    return n;
}

static ssize_t receive(struct conn *c)
{
    uint8_t *scratch = c->port->wire->scratch;
    size_t kept = c->tail_len;
    if (kept)
        memcpy(scratch, c->tail, kept);
    ssize_t n = check_received(c, recv(c->watch.fd, scratch + kept, SCRATCH_SIZE - kept, 0));
    if (n <= 0)
        return n;
    c->tail_len = 0;
    conn_read_octets(c, scratch, kept + (size_t)n);
    return n;
}

/* Joins in between: only here no view is alive. */
static void join(struct conn *c)
{
    while (c->state == CONN_JOINING) {
        c->state = CONN_UP;
        loop_cancel(c->port->wire->loop, &c->handshake);
        peer_join(c);
        if (c->state == CONN_UP)
            conn_read_tail(c);
    }
}

static bool has_big(const struct conn *c)
{
    return c->partial && c->partial->big;
}

/* One read of small octets a turn: its size is their budget. */
static void receive_up_to(struct conn *c, size_t budget)
{
    size_t got = 0;
    if (!list_is_empty(&c->again) || c->draining) {
        list_remove(&c->again);
        conn_read_tail(c);
    }
    while (got < budget && c->state != CONN_DEAD && !conn_is_held_up(c) &&
           (got == 0 || unfinished_has_room(c))) {
        ssize_t n = has_big(c) ? receive_big(c) : receive(c);
        join(c);
        if (n < 0 && !c->draining)
            conn_error(c, n);
        if (n <= 0)
            return;
        got += (size_t)n;
        if (!c->draining && !has_big(c))
            return;
    }
}

void conn_drain(struct conn *c)
{
    c->draining = true;
    receive_up_to(c, DRAIN_BUDGET);
}

/* A closed port lets its peers read what is left, and listens to nobody. */
static void discard(struct conn *c)
{
    if (check_received(c, recv(c->watch.fd, c->port->wire->scratch, SCRATCH_SIZE, 0)) < 0)
        conn_fail(c, DOWN_EOF);
}

/* A connection to a free port of this host may by chance get that port itself. */
static bool is_own_echo(const struct conn *c)
{
    struct sockaddr_in here = {0}, there = {0};
    socklen_t len = sizeof(here);
    if (endpoint_is_ipc(&c->connector->to) ||
        getsockname(c->watch.fd, (struct sockaddr *)&here, &len) < 0)
        return false;
    len = sizeof(there);
    return getpeername(c->watch.fd, (struct sockaddr *)&there, &len) == 0 &&
           here.sin_port == there.sin_port && here.sin_addr.s_addr == there.sin_addr.s_addr;
}

static void on_connected(struct conn *c)
{
    int why = 0;
    socklen_t len = sizeof(why);
    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || why ||
        is_own_echo(c)) {
        conn_fail(c, DOWN_EOF);
        return;
    }
    c->state = CONN_GREETING;
    c->port->wire->stats.connected++;
    conn_update_events(c);
    if (conn_greet(c) < 0)
        conn_fail(c, DOWN_EOF);
}

static void on_event(struct watch *w, unsigned events)
{
    struct conn *c = container_of(w, struct conn, watch);
    if (c->state == CONN_CONNECTING) {
        on_connected(c);
        return;
    }
    if (events & LOOP_WRITE && c->peer)
        peer_flush(c->peer);
    if (c->state == CONN_DEAD || !(events & LOOP_READ))
        return;
    if (c->port->closed && c->state == CONN_UP)
        discard(c);
    else if (!c->kept || !unfinished_must_wait(c))
        receive_up_to(c, BIG_BUDGET);
}
