/* SPDX-License-Identifier: BSD-3-Clause */
/* From octets to messages. What was received is read where it is, in the wire's scratch buffer:
 * messages that are there whole are handed out as views; only what is incomplete is kept,
 * copied once. An idle connection keeps nothing. */
#include <stdlib.h>
#include <string.h>

#include "wire/wire_impl.h"

#define COMMAND_MAX 65535 /* octets of a command's body */
#define FRAME_COST 64 /* counted for a frame beside its octets: empty ones are bounded, too */

bool conn_is_held_up(const struct conn *c)
{
    return (c->waits || (c->peer && c->peer->paused)) && !c->draining;
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
    if (!f->block && p->len + f->len >= p->size) { /* `data` is there for empty frames, too */
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
    p->bytes += f->len + FRAME_COST;
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

static inline int add_frame(struct conn *c, struct reading *r, const struct frame *f, bool more)
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
    int rc = r->n < w->vec_cap ? 0 : wire_grow_vec(w, r->n + 1);
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

int conn_big_grew(struct conn *c)
{
    const struct partial *p = c->partial;
    return c->sealed ? sealed_open_some(c->sealed, p->big->data, p->big_got, p->big_len) : 0;
}

static int end_big(struct conn *c, struct reading *r)
{
    struct partial *p = c->partial;
    struct frame f = {p->big->data, p->big_len, p->big};
    if (c->sealed) {
        uint8_t flags = c->sealed->flags;
        if (sealed_open_end(c->sealed) < 0 || flags > CURVE_MORE)
            return ERSA_EPROTO;
        f.len -= CURVE_OVERHEAD;
        p->big_more = flags;
    }
    p->big = NULL; /* its reference goes to the frames */
    int rc = add_frame(c, r, &f, p->big_more);
    if (rc < 0)
        block_unref(f.block);
    return rc;
}

/* Commands */

/* A time to live and a context to give back. Who does not read what it asked for gets no more.
 */
static int on_ping(struct conn *c, struct slice data)
{
    struct buf pong;
    if (data.len < 2 || data.len > 18 || c->peer->is_full)
        return 0;
    buf_init(&pong, 64);
    int rc = zmtp_put_command(&pong, "PONG", data.data + 2, data.len - 2);
    if (rc == 0)
        rc = peer_send_raw(c->peer, pong.data, pong.len);
    buf_fini(&pong);
    return rc;
}

static int on_command(struct conn *c, struct slice body)
{
    struct zmtp_command cmd;
    if (zmtp_parse_command(body, &cmd) < 0)
        return ERSA_EPROTO;
    if (slice_is(cmd.name, "ERROR"))
        return ERSA_ECLOSED;
    if (slice_is(cmd.name, "PING"))
        return on_ping(c, cmd.data);
    bool subscribes = slice_is(cmd.name, "SUBSCRIBE");
    if ((subscribes || slice_is(cmd.name, "CANCEL")) && kinds[c->port->cfg.kind].is_publisher)
        on_subscription(c, cmd.data, subscribes);
    return 0;
}

/* Pieces: each takes what it understands from the front of [p, p + n); returns how much, 0 when
 * it needs more, or an error. */

/* One of CURVE: opened where it is. Apart from read_frame(), which is the way of most frames.
 */
static __attribute__((noinline)) ssize_t read_sealed(struct conn *c, struct reading *r,
                                                     const struct zmtp_head *head,
                                                     uint8_t *body, size_t left)
{
    size_t max = c->port->cfg.msg_max_bytes, len = head->len - CURVE_OVERHEAD;
    if (head->flags & (ZMTP_MORE | ZMTP_COMMAND) || head->len < CURVE_OVERHEAD)
        return ERSA_EPROTO;
    if (len > max || r->bytes + len + FRAME_COST > max)
        return ERSA_EFULL;
    if (len >= WIRE_COPY_MAX) {
        r->bytes += len + FRAME_COST;
        int rc = begin_big(c, r, head);
        return rc < 0 ? rc : head->size;
    }
    if (left < head->len)
        return 0;
    int rc = curve_open(&c->sealed->link, body, head->len);
    if (rc < 0)
        return rc;
    uint8_t flags = body[CURVE_HEAD_SIZE];
    struct frame f = {body + CURVE_OVERHEAD, len, NULL};
    if (flags == CURVE_COMMAND) {
        rc = on_command(c, frame_slice(&f));
    } else if (flags <= CURVE_MORE) {
        r->bytes += len + FRAME_COST;
        rc = add_frame(c, r, &f, flags);
    } else {
        rc = ERSA_EPROTO;
    }
    return rc < 0 ? rc : (ssize_t)(head->size + head->len);
}

static inline ssize_t read_frame(struct conn *c, struct reading *r, uint8_t *p, size_t n)
{
    struct zmtp_head head;
    int size = zmtp_parse_head(p, n, &head);
    if (size <= 0)
        return size;
    size_t left = n - head.size;
    if (c->sealed)
        return read_sealed(c, r, &head, p + head.size, left);
    if (head.flags & ZMTP_COMMAND) {
        if (head.len > COMMAND_MAX)
            return ERSA_EPROTO;
        if (left < head.len)
            return 0;
        int rc = on_command(c, (struct slice){(const char *)p + head.size, head.len});
        return rc < 0 ? rc : (ssize_t)(head.size + head.len);
    }
    size_t max = c->port->cfg.msg_max_bytes;
    if (head.len > max || r->bytes + head.len + FRAME_COST > max)
        return ERSA_EFULL;
    if (head.len >= WIRE_COPY_MAX) {
        r->bytes += head.len + FRAME_COST;
        int rc = begin_big(c, r, &head);
        return rc < 0 ? rc : head.size;
    }
    if (left < head.len)
        return 0;
    r->bytes += head.len + FRAME_COST;
    struct frame f = {p + head.size, head.len, NULL};
    int rc = add_frame(c, r, &f, head.flags & ZMTP_MORE);
    return rc < 0 ? rc : (ssize_t)(head.size + head.len);
}

/* Octets of a large frame that came together with others. */
static ssize_t read_big(struct conn *c, struct reading *r, uint8_t *p, size_t n)
{
    struct partial *part = c->partial;
    size_t take = part->big_len - part->big_got < n ? part->big_len - part->big_got : n;
    memcpy(part->big->data + part->big_got, p, take);
    part->big_got += take;
    int rc = conn_big_grew(c);
    if (rc == 0 && part->big_got == part->big_len)
        rc = end_big(c, r);
    return rc < 0 ? rc : (ssize_t)take;
}

static ssize_t read_piece(struct conn *c, struct reading *r, uint8_t *p, size_t n)
{
    switch (c->state) {
    case CONN_GREETING:
        return handshake_read_greeting(c, p, n);
    case CONN_HANDSHAKE:
        return handshake_read(c, p, n);
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

/* What its message is going to have, and what of it is there. */
static size_t declared_bytes(const struct partial *p)
{
    return p ? p->bytes + (p->big ? p->big_len : 0) : 0;
}

static size_t kept_bytes(const struct conn *c)
{
    const struct partial *p = c->partial;
    return c->tail_cap + (p ? p->bytes + (p->big ? p->big_got : 0) : 0);
}

/* Reads [p, p + n) in scratch as far as possible, and keeps the rest. */
void conn_read_octets(struct conn *c, uint8_t *p, size_t n)
{
    struct reading r = {.bytes = declared_bytes(c->partial)};
    size_t pos = 0;
    while (pos < n && c->state != CONN_DEAD && c->state != CONN_JOINING &&
           !conn_is_held_up(c)) {
        ssize_t used = read_piece(c, &r, p + pos, n - pos);
        if (used < 0) {
            conn_error(c, used);
            return;
        }
        if (used == 0)
            break;
        pos += (size_t)used;
    }
    if (c->state == CONN_DEAD)
        return;
    if (keep_views(c, &r) < 0 || keep_tail(c, p + pos, n - pos) < 0)
        conn_error(c, ERSA_ENOMEM);
    else
        unfinished_set(c, kept_bytes(c));
}

void conn_read_tail(struct conn *c)
{
    size_t n = c->tail_len;
    if (n == 0 || conn_is_held_up(c))
        return;
    uint8_t *scratch = c->port->wire->scratch;
    memcpy(scratch, c->tail, n);
    c->tail_len = 0;
    conn_read_octets(c, scratch, n);
}

void conn_big_is_there(struct conn *c, uint8_t *rest, size_t n)
{
    struct reading r = {.bytes = 0};
    int rc = end_big(c, &r);
    if (rc < 0)
        conn_error(c, rc);
    else if (c->state != CONN_DEAD)
        conn_read_octets(c, rest, n);
}
