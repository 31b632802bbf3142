/* SPDX-License-Identifier: BSD-3-Clause */
/* One connection: handshake and receiving. What was received is read in the wire's scratch
 * buffer, where messages that are there whole are handed out as views; only what is incomplete
 * is kept, copied once. A frame of WIRE_COPY_MAX octets or more is received straight into a
 * block. A declared length costs nothing: pages of a block exist when octets arrive. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util/log.h"
#include "wire/wire_impl.h"

#define MECHANISM "NULL"
#define COMMAND_MAX 65535     /* octets of a command's body */
#define READY_MAX 4096        /* and of one before the handshake is done */
#define BIG_BUDGET (4u << 20) /* octets of large frames a turn */
#define DRAIN_BUDGET (64u << 20)

static void on_event(struct watch *w, unsigned events);

/* Ends */

static void on_handshake_timeout(struct timer *t)
{
    conn_fail(container_of(t, struct conn, handshake), DOWN_TIMEOUT);
}

static void partial_free(struct partial *p)
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
    free(c->tail);
    free(c);
}

/* An orderly end: without unread octets the kernel sends what it still has. */
static void close_socket(int fd, uint8_t *scratch)
{
    shutdown(fd, SHUT_WR);
    for (int i = 0; i < 16 && recv(fd, scratch, SCRATCH_SIZE, MSG_DONTWAIT) > 0; i++)
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
    close_socket(fd, w->scratch);
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

/* Sending before there is a peer: a few octets into an empty socket buffer. */

static int send_now(struct conn *c, const void *data, size_t len)
{
    return send(c->watch.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0
                                                                                     : ERSA_EIO;
}

static int send_greeting(struct conn *c)
{
    uint8_t greeting[ZMTP_GREETING_SIZE];
    zmtp_put_greeting(greeting, MECHANISM);
    return send_now(c, greeting, sizeof(greeting));
}

static int send_ready(struct conn *c)
{
    const struct kind *k = &kinds[c->port->cfg.kind];
    struct slice identity = {NULL, 0};
    struct buf b;
    if (k->tells_identity)
        identity = (struct slice){c->port->cfg.identity_len ? c->port->cfg.identity : "",
                                  c->port->cfg.identity_len};
    buf_init(&b, READY_MAX);
    int rc = zmtp_put_ready(&b, k->name, identity);
    if (rc == 0)
        rc = send_now(c, b.data, b.len);
    buf_fini(&b);
    return rc;
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
    if (!from && send_greeting(c) < 0) {
        conn_fail(c, DOWN_EOF);
        return NULL;
    }
    return c;
}

static bool is_held_up(const struct conn *c)
{
    return c->peer && c->peer->paused && !c->draining;
}

void conn_update_events(struct conn *c)
{
    if (c->state == CONN_DEAD)
        return;
    bool wants_read = !is_held_up(c) || c->port->closed;
    unsigned events = (wants_read ? LOOP_READ : 0u) | (c->wants_write ? LOOP_WRITE : 0u);
    loop_rewatch(c->port->wire->loop, &c->watch, events);
}

/* Messages */

/* The message that is being read: frames [0, n) of the wire's vector are views into scratch,
 * or, where there is a partial one, all of it is there. */
struct reading {
    unsigned n;
    size_t bytes;
};

static struct partial *get_partial(struct conn *c)
{
    if (!c->partial)
        c->partial = calloc(1, sizeof(*c->partial));
    return c->partial;
}

static int partial_add(struct partial *p, const struct frame *f)
{
    if (p->n == p->cap) {
        unsigned cap = p->cap ? 2 * p->cap : 16;
        struct frame *frames = reallocarray(p->frames, cap, sizeof(*frames));
        if (!frames)
            return ERSA_ENOMEM;
        p->frames = frames;
        p->cap = cap;
    }
    if (!f->block && p->len + f->len > p->size) {
        size_t size = 2 * (p->len + f->len) + 256;
        uint8_t *data = realloc(p->data, size);
        if (!data)
            return ERSA_ENOMEM;
        p->data = data;
        p->size = size;
    }
    p->frames[p->n] = *f;
    if (!f->block) {
        if (f->len)
            memcpy(p->data + p->len, f->data, f->len);
        p->frames[p->n].data = (const uint8_t *)(uintptr_t)p->len;
        p->len += f->len;
    }
    p->bytes += f->len + sizeof(*f);
    p->n++;
    return 0;
}

/* Views can't stay: scratch is used for the next read. */
static int keep_views(struct conn *c, struct reading *r)
{
    if (r->n == 0)
        return 0;
    struct partial *p = get_partial(c);
    if (!p)
        return ERSA_ENOMEM;
    for (unsigned i = 0; i < r->n; i++) {
        int rc = partial_add(p, &c->port->wire->vec[i]);
        if (rc < 0)
            return rc;
    }
    r->n = 0;
    return 0;
}

static void on_subscription(struct conn *c, struct slice prefix, bool on)
{
    struct peer *p = c->peer;
    const struct port_config *cfg = &c->port->cfg;
    int changed = on ? subs_add(&p->subs, prefix) : subs_remove(&p->subs, prefix);
    if (changed < 0)
        conn_fail(c, DOWN_PROTOCOL);
    else if (changed && cfg->ops->subscribed)
        cfg->ops->subscribed(cfg->ctx, p, prefix, on);
}

static void deliver(struct conn *c, const struct frame *frames, unsigned n)
{
    const struct port_config *cfg = &c->port->cfg;
    c->port->wire->stats.msgs_in++;
    if (kinds[cfg->kind].is_publisher) { /* the form of ZMTP 3.0 */
        struct slice s = frame_slice(&frames[0]);
        if (n == 1 && s.len && (s.data[0] == 0 || s.data[0] == 1))
            on_subscription(c, (struct slice){s.data + 1, s.len - 1}, s.data[0] == 1);
        return;
    }
    if (cfg->ops->message)
        cfg->ops->message(cfg->ctx, c->peer, &(struct msg){frames, n});
}

static void deliver_partial(struct conn *c)
{
    struct partial *p = c->partial;
    c->partial = NULL;
    for (unsigned i = 0; i < p->n; i++)
        if (!p->frames[i].block)
            p->frames[i].data = p->data + (uintptr_t)p->frames[i].data;
    deliver(c, p->frames, p->n);
    partial_free(p);
}

static int add_frame(struct conn *c, struct reading *r, const struct frame *f, bool more)
{
    struct wire *w = c->port->wire;
    if (c->partial) {
        int rc = partial_add(c->partial, f);
        if (rc < 0 || more)
            return rc;
        r->bytes = 0;
        deliver_partial(c);
        return 0;
    }
    int rc = wire_grow_vec(w, r->n + 1);
    if (rc < 0)
        return rc;
    w->vec[r->n++] = *f;
    if (more)
        return 0;
    unsigned n = r->n;
    r->n = 0;
    r->bytes = 0;
    deliver(c, w->vec, n);
    return 0;
}

/* A large frame begins: what follows goes straight into its block. */
static int begin_big(struct conn *c, struct reading *r, const struct zmtp_head *head)
{
    int rc = keep_views(c, r);
    struct partial *p = rc == 0 ? get_partial(c) : NULL;
    if (!p)
        return ERSA_ENOMEM;
    p->big = block_get(c->port->wire->pool, head->len);
    if (!p->big)
        return ERSA_ENOMEM;
    p->big_len = head->len;
    p->big_got = 0;
    p->big_more = head->flags & ZMTP_MORE;
    return 0;
}

static int end_big(struct conn *c, struct reading *r)
{
    struct partial *p = c->partial;
    struct frame f = {p->big->data, p->big_len, p->big};
    p->big = NULL; /* its reference goes to the frames */
    int rc = add_frame(c, r, &f, p->big_more);
    if (rc < 0)
        block_unref(f.block);
    return rc;
}

/* Commands */

static int on_command(struct conn *c, struct slice body)
{
    struct zmtp_command cmd;
    struct buf pong;
    if (zmtp_parse_command(body, &cmd) < 0)
        return ERSA_EPROTO;
    if (slice_is(cmd.name, "ERROR"))
        return ERSA_ECLOSED;
    if (slice_is(cmd.name, "PING") && cmd.data.len >= 2 && cmd.data.len <= 18) {
        buf_init(&pong, 64);
        int rc = zmtp_put_command(&pong, "PONG", cmd.data.data + 2, cmd.data.len - 2);
        if (rc == 0)
            rc = peer_send_raw(c->peer, pong.data, pong.len);
        buf_fini(&pong);
        return rc;
    }
    bool subscribes = slice_is(cmd.name, "SUBSCRIBE");
    if ((subscribes || slice_is(cmd.name, "CANCEL")) && kinds[c->port->cfg.kind].is_publisher)
        on_subscription(c, cmd.data, subscribes);
    return 0;
}

static bool accepts(const struct port *p, struct slice socket_type)
{
    for (int i = 0; i < 3 && kinds[p->cfg.kind].accepts[i]; i++)
        if (slice_is(socket_type, kinds[p->cfg.kind].accepts[i]))
            return true;
    return false;
}

static int on_handshake_command(struct conn *c, struct slice body)
{
    struct zmtp_command cmd;
    struct zmtp_ready ready;
    if (zmtp_parse_command(body, &cmd) < 0)
        return ERSA_EPROTO;
    if (!slice_is(cmd.name, "READY"))
        return slice_is(cmd.name, "ERROR") ? ERSA_ECLOSED : 0;
    if (zmtp_parse_ready(cmd.data, &ready) < 0 || !accepts(c->port, ready.socket_type))
        return ERSA_EPROTO;
    c->peer = peer_new(c->port, ready.identity);
    if (!c->peer)
        return ERSA_ENOMEM;
    c->state = CONN_JOINING;
    return 0;
}

/* Pieces: each takes what it understands from the front of [p, p + n); returns how much, 0 when
 * it needs more, or an error. */

static ssize_t read_greeting(struct conn *c, const uint8_t *p, size_t n)
{
    struct zmtp_greeting g;
    if (!zmtp_may_be_greeting(p, n))
        return ERSA_EPROTO;
    if (n < ZMTP_GREETING_SIZE)
        return 0;
    if (zmtp_parse_greeting(p, &g) < 0 || strcmp(g.mechanism, MECHANISM) != 0)
        return ERSA_EPROTO;
    c->minor = g.minor;
    c->state = CONN_HANDSHAKE;
    return send_ready(c) < 0 ? ERSA_EIO : ZMTP_GREETING_SIZE;
}

static ssize_t read_handshake(struct conn *c, const uint8_t *p, size_t n)
{
    struct zmtp_head head;
    int size = zmtp_parse_head(p, n, &head);
    if (size <= 0)
        return size;
    if (!(head.flags & ZMTP_COMMAND) || head.len > READY_MAX)
        return ERSA_EPROTO;
    if (n - head.size < head.len)
        return 0;
    int rc = on_handshake_command(c, (struct slice){(const char *)p + head.size, head.len});
    return rc < 0 ? rc : (ssize_t)(head.size + head.len);
}

static ssize_t read_frame(struct conn *c, struct reading *r, const uint8_t *p, size_t n)
{
    struct zmtp_head head;
    int size = zmtp_parse_head(p, n, &head);
    if (size <= 0)
        return size;
    size_t left = n - head.size;
    if (head.flags & ZMTP_COMMAND) {
        if (head.len > COMMAND_MAX)
            return ERSA_EPROTO;
        if (left < head.len)
            return 0;
        int rc = on_command(c, (struct slice){(const char *)p + head.size, head.len});
        return rc < 0 ? rc : (ssize_t)(head.size + head.len);
    }
    size_t cost = sizeof(struct frame);
    if (head.len > c->port->cfg.msg_max_bytes ||
        r->bytes + head.len + cost > c->port->cfg.msg_max_bytes)
        return ERSA_EFULL;
    if (head.len >= WIRE_COPY_MAX) {
        r->bytes += head.len + cost;
        int rc = begin_big(c, r, &head);
        return rc < 0 ? rc : head.size;
    }
    if (left < head.len)
        return 0;
    r->bytes += head.len + cost;
    struct frame f = {p + head.size, head.len, NULL};
    int rc = add_frame(c, r, &f, head.flags & ZMTP_MORE);
    return rc < 0 ? rc : (ssize_t)(head.size + head.len);
}

/* Octets of a large frame that came together with others. */
static ssize_t read_big(struct conn *c, struct reading *r, const uint8_t *p, size_t n)
{
    struct partial *part = c->partial;
    size_t take = part->big_len - part->big_got < n ? part->big_len - part->big_got : n;
    memcpy(part->big->data + part->big_got, p, take);
    part->big_got += take;
    int rc = part->big_got == part->big_len ? end_big(c, r) : 0;
    return rc < 0 ? rc : (ssize_t)take;
}

static ssize_t read_piece(struct conn *c, struct reading *r, const uint8_t *p, size_t n)
{
    switch (c->state) {
    case CONN_GREETING:
        return read_greeting(c, p, n);
    case CONN_HANDSHAKE:
        return read_handshake(c, p, n);
    default:
        return c->partial && c->partial->big ? read_big(c, r, p, n) : read_frame(c, r, p, n);
    }
}

static int keep_tail(struct conn *c, const uint8_t *p, size_t n)
{
    if (n > c->tail_cap) {
        size_t cap = n < 1024 ? 1024 : n;
        uint8_t *tail = malloc(cap);
        if (!tail)
            return ERSA_ENOMEM;
        free(c->tail);
        c->tail = tail;
        c->tail_cap = cap;
    } else if (n == 0) {
        free(c->tail);
        c->tail = NULL;
        c->tail_cap = 0;
    }
    if (n)
        memcpy(c->tail, p, n);
    c->tail_len = n;
    return 0;
}

static size_t partial_bytes(const struct partial *p)
{
    return p ? p->bytes + (p->big ? p->big_len : 0) : 0;
}

static enum peer_down why_down(ssize_t rc)
{
    return rc == ERSA_EPROTO || rc == ERSA_EFULL ? DOWN_PROTOCOL : DOWN_EOF;
}

/* Reads [p, p + n) in scratch as far as possible, and keeps the rest. */
static void read_octets(struct conn *c, const uint8_t *p, size_t n)
{
    struct reading r = {.bytes = partial_bytes(c->partial)};
    size_t pos = 0;
    while (pos < n && c->state != CONN_DEAD && c->state != CONN_JOINING && !is_held_up(c)) {
        ssize_t used = read_piece(c, &r, p + pos, n - pos);
        if (used < 0) {
            conn_fail(c, why_down(used));
            return;
        }
        if (used == 0)
            break;
        pos += (size_t)used;
    }
    if (c->state == CONN_DEAD)
        return;
    if (keep_views(c, &r) < 0 || keep_tail(c, p + pos, n - pos) < 0)
        conn_fail(c, DOWN_EOF);
}

/* Reading goes on with what was kept. Joins in between: only here no view is alive. */
static void read_on(struct conn *c)
{
    while (c->state == CONN_JOINING) {
        c->state = CONN_UP;
        loop_cancel(c->port->wire->loop, &c->handshake);
        peer_join(c);
        if (c->state == CONN_UP)
            conn_read_tail(c);
    }
}

void conn_read_tail(struct conn *c)
{
    size_t n = c->tail_len;
    if (n == 0 || is_held_up(c))
        return;
    uint8_t *scratch = c->port->wire->scratch;
    memcpy(scratch, c->tail, n);
    c->tail_len = 0;
    read_octets(c, scratch, n);
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
    return ERSA_ECLOSED;
}

/* Into the block of the large frame, and what is behind it into scratch. */
static ssize_t receive_big(struct conn *c)
{
    struct partial *p = c->partial;
    uint8_t *scratch = c->port->wire->scratch;
    size_t want = p->big_len - p->big_got;
    struct iovec iov[] = {{p->big->data + p->big_got, want}, {scratch, SCRATCH_SIZE}};
    ssize_t n = check_received(c, readv(c->watch.fd, iov, 2));
    if (n <= 0)
        return n;
    size_t got = (size_t)n < want ? (size_t)n : want;
    p->big_got += got;
    if (p->big_got == p->big_len) {
        struct reading r = {.bytes = 0};
        int rc = end_big(c, &r);
        if (rc < 0)
            return rc;
        if (c->state != CONN_DEAD)
            read_octets(c, scratch, (size_t)n - got);
    }
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
    read_octets(c, scratch, kept + (size_t)n);
    return n;
}

static void receive_up_to(struct conn *c, size_t budget)
{
    size_t got = 0;
    if (!list_is_empty(&c->again)) {
        list_remove(&c->again);
        conn_read_tail(c);
    }
    while (got < budget && c->state != CONN_DEAD && !is_held_up(c)) {
        bool is_big = c->partial && c->partial->big;
        ssize_t n = is_big ? receive_big(c) : receive(c);
        read_on(c);
        if (n < 0)
            conn_fail(c, why_down(n));
        if (n <= 0)
            return;
        got += (size_t)n;
        if (!c->draining && !(c->partial && c->partial->big))
            return;
    }
}

/* A closed port lets its peers read what is left, and listens to nobody. */
static void discard(struct conn *c)
{
    if (check_received(c, recv(c->watch.fd, c->port->wire->scratch, SCRATCH_SIZE, 0)) < 0)
        conn_fail(c, DOWN_EOF);
}

static void on_connected(struct conn *c)
{
    int why = 0;
    socklen_t len = sizeof(why);
    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0 || why) {
        conn_fail(c, DOWN_EOF);
        return;
    }
    c->state = CONN_GREETING;
    c->port->wire->stats.connected++;
    conn_update_events(c);
    if (send_greeting(c) < 0)
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
    if (c->port->closed)
        discard(c);
    else
        receive_up_to(c, c->draining ? DRAIN_BUDGET : BIG_BUDGET);
}
