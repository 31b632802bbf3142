/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of a peer stays as it is until what was sealed from its front is written: octets of
 * whole frames go off it then, so that after a take-over the rest is sealed anew. */
#include "wire/sealed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/wire_impl.h"

#define PIECE \
    (64u << 10) /* octets of a large frame that are opened at once: they fit a cache */
#define SEGS_MAX 64

_Static_assert(SEAL_SIZE > WIRE_COPY_MAX + CURVE_OVERHEAD + ZMTP_HEAD_MAX,
               "frames over SEAL_SIZE have a block");

struct sealed *sealed_new(const struct curve_link *link)
{
    struct sealed *s = calloc(1, sizeof(*s));
    if (s)
        s->link = *link;
    return s;
}

static void stream_free(struct curve_stream **s)
{
    if (*s)
        curve_wipe(*s, sizeof(**s));
    free(*s);
    *s = NULL;
}

void sealed_free(struct sealed *s)
{
    if (!s)
        return;
    stream_free(&s->opening);
    stream_free(&s->sealing);
    free(s->left);
    curve_wipe(s, sizeof(*s));
    free(s);
}

/* Receiving */

static int begin_opening(struct sealed *s, const uint8_t *head)
{
    s->opening = malloc(sizeof(*s->opening));
    if (!s->opening)
        return ERSA_ENOMEM;
    s->opened = 0;
    return curve_open_begin(&s->link, s->opening, head);
}

/* [from, to) of what is sealed, flags at 0. */
static void open_piece(struct sealed *s, uint8_t *data, size_t from, size_t to)
{
    uint8_t *piece = data + CURVE_HEAD_SIZE + from;
    size_t len = to - from;
    curve_open_some(&s->link, s->opening, piece, len);
    if (from == 0) {
        s->flags = piece[0];
        memmove(data, piece + 1, len - 1);
    } else {
        memmove(data + from - 1, piece, len);
    }
    s->opened = to;
}

int sealed_open_some(struct sealed *s, uint8_t *data, size_t got, size_t len)
{
    if (got < CURVE_HEAD_SIZE)
        return 0;
    int rc = s->opening ? 0 : begin_opening(s, data);
    size_t end = got - CURVE_HEAD_SIZE;
    if (got < len)
        end = CURVE_PIECE_END(end);
    while (rc == 0 && s->opened < end) {
        size_t to = s->opened ? s->opened + PIECE : PIECE + 32;
        open_piece(s, data, s->opened, to < end ? to : end);
    }
    return rc;
}

int sealed_open_end(struct sealed *s)
{
    int rc = curve_open_end(s->opening);
    stream_free(&s->opening);
    return rc;
}

/* Sealing */

/* Where in the queue's octets we are. */
struct cursor {
    struct iovec iov[SEGS_MAX];
    unsigned n, i;
    size_t at; /* in iov[i] */
};

/* Copies `len` octets; false when they are not all there. */
static bool take(struct cursor *c, uint8_t *out, size_t len)
{
    while (len && c->i < c->n) {
        size_t there = c->iov[c->i].iov_len - c->at;
        size_t n = there < len ? there : len;
        memcpy(out, (const uint8_t *)c->iov[c->i].iov_base + c->at, n);
        out += n;
        len -= n;
        c->at += n;
        if (c->at == c->iov[c->i].iov_len) {
            c->i++;
            c->at = 0;
        }
    }
    return len == 0;
}

static bool take_head(struct cursor *c, struct zmtp_head *ret)
{
    uint8_t raw[ZMTP_HEAD_MAX];
    return take(c, raw, 2) && (!(raw[0] & ZMTP_LONG) || take(c, raw + 2, ZMTP_HEAD_MAX - 2)) &&
           zmtp_parse_head(raw, raw[0] & ZMTP_LONG ? ZMTP_HEAD_MAX : 2, ret) > 0;
}

static uint8_t sealed_flags(const struct zmtp_head *h)
{
    return (uint8_t)((h->flags & ZMTP_MORE ? CURVE_MORE : 0) |
                     (h->flags & ZMTP_COMMAND ? CURVE_COMMAND : 0));
}

static size_t put_outer_head(uint8_t *out, uint64_t payload_len)
{
    return zmtp_put_head(out, 0, payload_len + CURVE_OVERHEAD);
}

static int begin_large(struct sealed *s, struct cursor *at, const struct zmtp_head *h)
{
    if (at->i >= at->n || at->iov[at->i].iov_len - at->at != h->len)
        return ERSA_EPROTO;
    s->sealing = malloc(sizeof(*s->sealing));
    if (!s->sealing)
        return ERSA_ENOMEM;
    s->payload = (const uint8_t *)at->iov[at->i].iov_base + at->at;
    s->payload_len = h->len;
    s->head_len = h->size;
    s->seal_flags = sealed_flags(h);
    s->covers = 0;
    curve_seal_begin(&s->link, s->sealing, s->head);
    return 0;
}

/* Whole frames from the front of the queue, as many as there is room for. Octets, or an error;
 * 0: the first one is large. */
static ssize_t seal_frames(struct sealed *s, struct peer *p, uint8_t *out)
{
    struct cursor at = {.n = 0};
    size_t len = 0;
    at.n = txq_peek(&p->tx, at.iov, SEGS_MAX);
    for (struct zmtp_head h; take_head(&at, &h);) {
        if (h.len > SEAL_SIZE || len + ZMTP_HEAD_MAX + CURVE_OVERHEAD + h.len > SEAL_SIZE)
            return len ? (ssize_t)len : begin_large(s, &at, &h);
        size_t head = put_outer_head(out + len, h.len);
        uint8_t *body = out + len + head;
        body[CURVE_HEAD_SIZE] = sealed_flags(&h);
        if (!take(&at, body + CURVE_OVERHEAD, h.len))
            break;
        curve_seal(&s->link, body, CURVE_OVERHEAD + h.len);
        len += head + CURVE_OVERHEAD + h.len;
    }
    return len ? (ssize_t)len : ERSA_EPROTO;
}

/* The next piece of the large frame, copied to `out`; octets with the flags. */
static size_t copy_piece(const struct sealed *s, uint8_t *out, size_t room)
{
    size_t from = (size_t)s->sealing->at, all = s->payload_len + 1;
    size_t n = all - from < room ? all - from : CURVE_PIECE_END(from + room) - from;
    if (from == 0)
        out[0] = s->seal_flags;
    memcpy(out + (from == 0), s->payload + from - (from != 0), n - (from == 0));
    return n;
}

/* A piece of the large frame: first only for its tag, then to be written. */
static size_t seal_large(struct sealed *s, uint8_t *out)
{
    size_t len = 0, all = s->payload_len + 1;
    if (!s->has_tag) {
        size_t n = copy_piece(s, out, PIECE);
        curve_seal_some(&s->link, s->sealing, out, n);
        s->has_tag = s->sealing->at == all;
        if (s->has_tag)
            curve_seal_end(s->sealing, s->head);
        return n;
    }
    s->covers = 0;
    if (s->sealing->at == 0) {
        len = put_outer_head(out, s->payload_len);
        memcpy(out + len, s->head, CURVE_HEAD_SIZE);
        len += CURVE_HEAD_SIZE;
        s->covers = s->head_len - 1; /* instead of the flags */
    }
    size_t n = copy_piece(s, out + len, SEAL_SIZE - len);
    curve_seal_again(&s->link, s->sealing, out + len, n);
    s->covers += n;
    if (s->sealing->at == all)
        stream_free(&s->sealing);
    s->out_len = len + n;
    return n;
}

/* What comes next, into `buffer`. Octets of work, or an error; nothing to write may come of it.
 */
static ssize_t seal_next(struct sealed *s, struct peer *p, uint8_t *buffer)
{
    s->out = buffer;
    s->out_at = s->settled = 0;
    if (s->sealing)
        return (ssize_t)seal_large(s, buffer);
    s->covers = 0;
    s->has_tag = false;
    ssize_t n = seal_frames(s, p, buffer);
    if (n > 0)
        s->out_len = (size_t)n;
    return n;
}

/* Octets of the queue that the sealed frame at `in` stands for; *ret_size is its own. */
static size_t queued_size(const uint8_t *in, size_t len, size_t *ret_size)
{
    uint8_t head[ZMTP_HEAD_MAX];
    struct zmtp_head outer;
    if (zmtp_parse_head(in, len, &outer) <= 0)
        return 0;
    size_t payload = outer.len - CURVE_OVERHEAD;
    *ret_size = outer.size + outer.len;
    return zmtp_put_head(head, 0, payload) + payload;
}

/* What was written whole leaves the queue. */
static void settle(struct sealed *s, struct peer *p)
{
    size_t done = s->out_at == s->out_len ? s->covers : 0;
    while (!s->covers && s->settled < s->out_at) {
        size_t size = 0;
        size_t queued = queued_size(s->out + s->settled, s->out_len - s->settled, &size);
        if (s->settled + size > s->out_at)
            break;
        s->settled += size;
        done += queued;
    }
    if (!done)
        return;
    txq_advance(&p->tx, &p->port->wire->chunks, done);
    p->port->queued -= done;
}

/* The socket takes no more, and others need the buffer. */
static int keep_left(struct sealed *s)
{
    size_t from = s->covers ? s->out_at : s->settled;
    if (s->out_len == 0 || s->out == s->left)
        return 0;
    s->left = malloc(s->out_len - from);
    if (!s->left)
        return ERSA_ENOMEM;
    memcpy(s->left, s->out + from, s->out_len - from);
    s->out = s->left;
    s->out_len -= from;
    s->out_at -= from;
    s->settled = 0;
    return 0;
}

static void written(struct sealed *s)
{
    free(s->left);
    s->left = NULL;
    s->out_len = 0;
}

bool sealed_flush(struct peer *p, size_t budget)
{
    struct conn *c = p->conn;
    struct sealed *s = c->sealed;
    struct wire *w = p->port->wire;
    bool is_blocked = false;
    size_t work = 0;
    while (p->tx.bytes && work < budget && !is_blocked) {
        ssize_t n = s->out_len ? 0 : seal_next(s, p, w->seal);
        if (n < 0) {
            conn_error(c, n);
            return false;
        }
        work += (size_t)n;
        if (s->out_len == 0)
            continue;
        n = send(c->watch.fd, s->out + s->out_at, s->out_len - s->out_at,
                 MSG_NOSIGNAL | MSG_DONTWAIT);
        w->stats.writes++;
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_write_failed(c);
            return false;
        }
        if (n > 0) {
            s->out_at += (size_t)n;
            w->stats.bytes_out += (uint64_t)n;
            settle(s, p);
            if (p->tx.bytes)
                p->moved += (size_t)n;
        }
        is_blocked = s->out_at < s->out_len;
        if (!is_blocked)
            written(s);
    }
    int rc = keep_left(s);
    if (rc < 0)
        conn_error(c, rc);
    return rc == 0;
}
