/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of segments. Where a queue was written only in part, the frame heads are walked to
 * find how many whole messages that was: no message boundaries are kept for the usual case. */
#include "wire/txq.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ersa/error.h"
#include "wire/zmtp.h"

#define CHUNK_SIZE 16384u
#define SPARE_CHUNKS 64
#define KEEP_SEGS 64u /* an empty queue holds on to no more */

struct chunk {
    struct chunk *next;
    unsigned used;
    unsigned refs; /* segments in it, plus one while it is some queue's `fill` */
    uint8_t data[CHUNK_SIZE];
};

static struct chunk *chunk_get(struct chunk_pool *p)
{
    struct chunk *c = p->free;
    if (c) {
        p->free = c->next;
        p->n_free--;
    } else {
        c = malloc(sizeof(*c));
        if (!c)
            return NULL;
    }
    c->used = 0;
    c->refs = 1;
    return c;
}

static void chunk_unref(struct chunk_pool *p, struct chunk *c)
{
    if (!c || --c->refs)
        return;
    if (p->n_free >= SPARE_CHUNKS) {
        free(c);
        return;
    }
    c->next = p->free;
    p->free = c;
    p->n_free++;
}

void chunk_pool_fini(struct chunk_pool *p)
{
    chunk_unref(p, p->shared);
    p->shared = NULL;
    while (p->free) {
        struct chunk *c = p->free;
        p->free = c->next;
        free(c);
    }
    p->n_free = 0;
}

static struct seg *seg_at(const struct txq *q, unsigned i)
{
    return &q->segs[(q->first + i) & (q->cap - 1)];
}

static int reserve_segs(struct txq *q, unsigned more)
{
    if (q->n + more <= q->cap)
        return 0;
    unsigned cap = q->cap ? q->cap : 4;
    while (cap < q->n + more)
        cap *= 2;
    struct seg *segs = calloc(cap, sizeof(*segs));
    if (!segs)
        return ERSA_ENOMEM;
    for (unsigned i = 0; i < q->n; i++)
        segs[i] = *seg_at(q, i);
    free(q->segs);
    q->segs = segs;
    q->cap = cap;
    q->first = 0;
    return 0;
}

static void drop_fill(struct txq *q, struct chunk_pool *p)
{
    chunk_unref(p, q->fill);
    q->fill = NULL;
}

static void release_seg(struct seg *s, struct chunk_pool *p)
{
    block_unref(s->block);
    chunk_unref(p, s->chunk);
}

void txq_fini(struct txq *q, struct chunk_pool *p)
{
    for (unsigned i = 0; i < q->n; i++)
        release_seg(seg_at(q, i), p);
    drop_fill(q, p);
    free(q->segs);
    *q = (struct txq){0};
}

static int push_seg(struct txq *q, const struct seg *s)
{
    int rc = reserve_segs(q, 1);
    if (rc < 0)
        return rc;
    *seg_at(q, q->n++) = *s;
    return 0;
}

/* Copies octets behind what is there. */
static int put_small(struct txq *q, struct chunk_pool *p, const uint8_t *data, size_t len)
{
    while (len) {
        if (!q->fill || q->fill->used == CHUNK_SIZE) {
            struct chunk *c = chunk_get(p);
            if (!c)
                return ERSA_ENOMEM;
            drop_fill(q, p);
            q->fill = c;
        }
        struct chunk *c = q->fill;
        size_t n = CHUNK_SIZE - c->used < len ? CHUNK_SIZE - c->used : len;
        uint8_t *at = c->data + c->used;
        struct seg *last = q->n ? seg_at(q, q->n - 1) : NULL;
        if (last && last->chunk == c && last->data + last->len == at) {
            last->len += n;
        } else {
            int rc = push_seg(q, &(struct seg){.data = at, .len = n, .chunk = c});
            if (rc < 0)
                return rc;
            c->refs++;
        }
        memcpy(at, data, n);
        c->used += (unsigned)n;
        q->bytes += n;
        data += n;
        len -= n;
    }
    return 0;
}

/* Takes octets off the end again. */
static void truncate_to(struct txq *q, struct chunk_pool *p, size_t bytes)
{
    while (q->bytes > bytes) {
        struct seg *last = seg_at(q, q->n - 1);
        size_t over = q->bytes - bytes;
        if (last->len > over) {
            last->len -= over;
            q->bytes -= over;
            drop_fill(q, p);
            return;
        }
        q->bytes -= last->len;
        release_seg(last, p);
        q->n--;
    }
}

/* A large frame is referenced; one that has no block gets one. */
static int put_large(struct txq *q, struct chunk_pool *p, const struct frame *f)
{
    struct seg s = {.data = f->data, .len = f->len};
    if (f->block) {
        s.block = block_ref(f->block);
    } else {
        s.block = block_get(p->blocks, f->len);
        if (!s.block)
            return ERSA_ENOMEM;
        memcpy(s.block->data, f->data, f->len);
        s.data = s.block->data;
    }
    int rc = push_seg(q, &s);
    if (rc < 0) {
        block_unref(s.block);
        return rc;
    }
    q->bytes += f->len;
    return 0;
}

static int put_frame(struct txq *q, struct chunk_pool *p, const struct frame *f, unsigned flags)
{
    uint8_t head[ZMTP_HEAD_MAX];
    int rc = put_small(q, p, head, zmtp_put_head(head, flags, f->len));
    if (rc < 0)
        return rc;
    return f->len < WIRE_COPY_MAX ? put_small(q, p, f->data, f->len) : put_large(q, p, f);
}

/* A chunk with room for `size` octets in which a queue may have its first message: thousands of
 * peers that are sent one each share a few chunks. From the start again when it is all
 * written. */
static struct chunk *shared_chunk(struct chunk_pool *p, size_t size)
{
    struct chunk *c = p->shared;
    if (c && c->refs == 1)
        c->used = 0;
    if (c && size <= CHUNK_SIZE - c->used)
        return c;
    c = chunk_get(p);
    if (!c)
        return NULL;
    chunk_unref(p, p->shared);
    p->shared = c;
    return c;
}

/* The queue's own chunk, or a fresh one where that has no room. */
static struct chunk *own_chunk(struct txq *q, struct chunk_pool *p, size_t size)
{
    if (q->fill && size <= CHUNK_SIZE - q->fill->used)
        return q->fill;
    struct chunk *c = size <= CHUNK_SIZE / 4 || !q->fill ? chunk_get(p) : NULL;
    if (!c)
        return NULL;
    drop_fill(q, p);
    q->fill = c;
    return c;
}

static bool ends_in(const struct seg *s, const struct chunk *c)
{
    return s && c && s->chunk == c && s->data + s->len == c->data + c->used;
}

/* A chunk with room for `size` octets, in which the last segment of the queue ends; or NULL. */
static struct chunk *open_room(struct txq *q, struct chunk_pool *p, size_t size)
{
    const struct seg *last = q->n ? seg_at(q, q->n - 1) : NULL;
    bool goes_on = !q->fill && ends_in(last, p->shared) && size <= CHUNK_SIZE - p->shared->used;
    if (goes_on)
        return p->shared;
    bool is_first = !last && !q->fill && size <= CHUNK_SIZE / 4;
    struct chunk *c = is_first ? shared_chunk(p, size) : own_chunk(q, p, size);
    if (!c || ends_in(last, c))
        return c;
    if (push_seg(q, &(struct seg){.data = c->data + c->used, .chunk = c}) < 0)
        return NULL;
    c->refs++;
    return c;
}

/* The usual case: a small message, into the room that was made for it. */
static void put_at_once(struct txq *q, struct chunk *c, const struct frame *frames, unsigned n)
{
    uint8_t *start = c->data + c->used, *at = start;
    for (unsigned i = 0; i < n; i++) {
        at += zmtp_put_head(at, i + 1 < n ? ZMTP_MORE : 0, frames[i].len);
        if (frames[i].len)
            memcpy(at, frames[i].data, frames[i].len);
        at += frames[i].len;
    }
    c->used += (unsigned)(at - start);
    seg_at(q, q->n - 1)->len += (size_t)(at - start);
    q->bytes += (size_t)(at - start);
}

int txq_put(struct txq *q, struct chunk_pool *p, const struct frame *frames, unsigned n)
{
    size_t before = q->bytes, size = 0;
    for (unsigned i = 0; i < n && size <= CHUNK_SIZE; i++)
        size += frames[i].len < CHUNK_SIZE ? ZMTP_HEAD_MAX + frames[i].len : CHUNK_SIZE + 1;
    struct chunk *c = n && size <= CHUNK_SIZE ? open_room(q, p, size) : NULL;
    if (c) {
        put_at_once(q, c, frames, n);
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        int rc = put_frame(q, p, &frames[i], i + 1 < n ? ZMTP_MORE : 0);
        if (rc < 0) {
            truncate_to(q, p, before);
            return rc;
        }
    }
    return 0;
}

int txq_put_raw(struct txq *q, struct chunk_pool *p, const void *data, size_t len)
{
    size_t before = q->bytes;
    int rc = put_small(q, p, data, len);
    if (rc < 0)
        truncate_to(q, p, before);
    return rc;
}

unsigned txq_peek(const struct txq *q, struct iovec *iov, unsigned max)
{
    size_t skip = q->written;
    unsigned n = 0;
    for (unsigned i = 0; i < q->n && n < max; i++) {
        const struct seg *s = seg_at(q, i);
        if (skip >= s->len) {
            skip -= s->len;
            continue;
        }
        iov[n].iov_base = (void *)(s->data + skip);
        iov[n++].iov_len = s->len - skip;
        skip = 0;
    }
    return n;
}

/* Lets go of `n` octets at the front, written or not. */
static void consume(struct txq *q, struct chunk_pool *p, size_t n)
{
    while (n) {
        struct seg *s = seg_at(q, 0);
        if (s->len > n) {
            s->data += n;
            s->len -= n;
            return;
        }
        n -= s->len;
        release_seg(s, p);
        q->first = (q->first + 1) & (q->cap - 1);
        q->n--;
    }
}

/* Copies the octets at `pos` (from the front) into `out`; returns how many there are, at most
 * `max`. */
static size_t copy_at(const struct txq *q, size_t pos, uint8_t *out, size_t max, unsigned *seg,
                      size_t *seg_start)
{
    while (*seg < q->n && pos >= *seg_start + seg_at(q, *seg)->len)
        *seg_start += seg_at(q, (*seg)++)->len;
    size_t n = 0, start = *seg_start;
    for (unsigned i = *seg; i < q->n && n < max; i++) {
        const struct seg *s = seg_at(q, i);
        for (size_t k = pos + n - start; k < s->len && n < max; k++)
            out[n++] = s->data[k];
        start += s->len;
    }
    return n;
}

/* Octets of the whole messages among the first `written`. */
static size_t whole_messages(const struct txq *q, size_t written)
{
    size_t pos = 0, boundary = 0, seg_start = 0;
    unsigned seg = 0;
    while (pos < written) {
        uint8_t raw[ZMTP_HEAD_MAX];
        struct zmtp_head head;
        size_t n = copy_at(q, pos, raw, sizeof(raw), &seg, &seg_start);
        if (zmtp_parse_head(raw, n, &head) <= 0)
            break;
        pos += head.size + head.len;
        if (pos <= written && !(head.flags & ZMTP_MORE))
            boundary = pos;
    }
    return boundary;
}

void txq_advance(struct txq *q, struct chunk_pool *p, size_t n)
{
    q->bytes -= n;
    q->written += n;
    if (q->bytes == 0) {
        for (unsigned i = 0; i < q->n; i++)
            release_seg(seg_at(q, i), p);
        q->n = q->first = 0;
        q->written = 0;
        drop_fill(q, p);
        if (q->cap > KEEP_SEGS) {
            free(q->segs);
            q->segs = NULL;
            q->cap = 0;
        }
        return;
    }
    size_t done = whole_messages(q, q->written);
    consume(q, p, done);
    q->written -= done;
}

void txq_rewind(struct txq *q)
{
    q->bytes += q->written;
    q->written = 0;
}

int txq_move(struct txq *to, struct txq *from)
{
    int rc = reserve_segs(to, from->n);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < from->n; i++)
        *seg_at(to, to->n++) = *seg_at(from, i);
    to->bytes += from->bytes;
    from->n = from->first = 0;
    from->bytes = from->written = 0;
    return 0;
}
