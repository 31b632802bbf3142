/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that were set aside (sqlite_backlog.c) and whose results have come: complete
 * records, so nothing is to be merged with them any more, and they need no entry of pending.h.
 * They are packed one behind the other, a batch of them is written by one statement as soon as
 * it is full, while it is in fast memory, and kept until that is committed.
 *
 *     open -> full, or due: written -> (committed) idle      written -> (rolled back) pending
 *
 * A change of one of them is pending, and written behind it. */
#include <stdlib.h>
#include <string.h>

#include "store/sqlite_backlog.h"
#include "util/clock.h"
#include "util/err.h"

#define BATCH_ROWS 256
#define BATCH_BYTES ((size_t)64 << 10)
#define RECORD_MAX ((size_t)16 << 10) /* a larger one is pending */
#define IDLE_MAX 64

struct ended_batch {
    struct ended_batch *next;
    unsigned n;
    uint32_t batches[BATCH_ROWS]; /* of the backlog, that the requests are in */
    struct buf octets;
};

static void free_batch(struct ended_batch *b)
{
    buf_fini(&b->octets);
    free(b);
}

static void free_list(struct ended_batch *b)
{
    while (b) {
        struct ended_batch *next = b->next;
        free_batch(b);
        b = next;
    }
}

void ended_fini(struct ended *e)
{
    free_list(e->open);
    free_list(e->written);
    free_list(e->idle);
    pack_items_fini(&e->items);
    *e = (struct ended){NULL};
}

bool ended_is_empty(const struct sqlite_store *s)
{
    return s->ended.bytes == 0;
}

static struct ended_batch *new_batch(void)
{
    struct ended_batch *b = malloc(sizeof(*b));
    if (!b)
        return NULL;
    buf_init(&b->octets, BATCH_BYTES);
    if (buf_reserve(&b->octets, BATCH_BYTES) == 0)
        return b;
    free(b);
    return NULL;
}

static int open_batch(struct ended *e)
{
    struct ended_batch *b = e->idle;
    if (b) {
        e->idle = b->next;
        e->n_idle--;
    } else if (!(b = new_batch())) {
        return ERSA_ENOMEM;
    }
    b->next = NULL;
    b->n = 0;
    buf_reset(&b->octets);
    e->open = b;
    e->bytes += BATCH_BYTES;
    return 0;
}

static void close_batch(struct ended *e, struct ended_batch *b)
{
    e->bytes -= BATCH_BYTES;
    if (e->n_idle == IDLE_MAX) {
        free_batch(b);
        return;
    }
    b->next = e->idle;
    e->idle = b;
    e->n_idle++;
}

/* Back to pending */

/* What has changed since is newer. */
static int make_pending(struct sqlite_store *s, struct store_record *r, uint32_t batch)
{
    struct slice id = r->v[F_msg_id].text;
    struct pending_entry *e = pending_find(&s->pending, id);
    bool is_new = !e;
    if (e)
        r->set &= ~(e->rec.set & ~STORE_FIELD(F_msg_id));
    e = pending_entry(&s->pending, id, true);
    if (!e || pending_merge(&s->pending, e, r) < 0)
        return ERSA_ENOMEM;
    e->is_new = is_new;
    e->was_aside = true;
    e->batch = batch;
    return 0;
}

/* All of a batch, or what of it the feed did not write. */
static void make_all_pending(struct sqlite_store *s, struct ended_batch *b, const bool *is_in)
{
    struct store_record r;
    struct slice left = {(const char *)b->octets.data, b->octets.len};
    for (unsigned i = 0; i < b->n; i++) {
        int64_t size = pack_get(left, &s->ended.items, &r);
        if (size < 0) { /* out of memory */
            s->base.counts.lost += b->n - i;
            return;
        }
        left = (struct slice){left.data + size, left.len - (size_t)size};
        if (!(is_in && is_in[i]) && make_pending(s, &r, b->batches[i]) < 0)
            s->base.counts.lost++;
    }
}

/* Writing */

/* Of those that are in, their batches of the backlog are told; the others have rows already,
 * from an earlier life, and are merged with those. */
static void after_write(struct sqlite_store *s, struct ended_batch *b)
{
    unsigned n_in = 0;
    for (unsigned i = 0; i < b->n; i++)
        if (s->feed->is_in[i]) {
            backlog_wrote(s, b->batches[i]);
            n_in++;
        }
    if (n_in < b->n)
        make_all_pending(s, b, s->feed->is_in);
}

int ended_write(struct sqlite_store *s, struct ersa_error *err)
{
    struct ended *e = &s->ended;
    struct ended_batch *b = e->open;
    if (!b)
        return 0;
    struct slice octets = {(const char *)b->octets.data, b->octets.len};
    bool is_early = s->is_failing && !s->in_transaction && clock_mono_ms() < s->retry_ms;
    int rc = is_early ? ERSA_EAGAIN : sqlite_begin(s, err);
    if (rc < 0) {
        ended_rolled_back(s);
        return rc;
    }
    if (feed_write_packed(s, octets, b->n) != SQLITE_OK) {
        rc = sqlite_error(s, err, "task records are not written");
        sqlite_roll_back(s);
        return rc;
    }
    e->open = NULL;
    b->next = e->written;
    e->written = b;
    after_write(s, b);
    return 0;
}

void ended_committed(struct sqlite_store *s)
{
    struct ended *e = &s->ended;
    struct ended_batch *b;
    while ((b = e->written)) {
        e->written = b->next;
        close_batch(e, b);
    }
}

void ended_rolled_back(struct sqlite_store *s)
{
    struct ended *e = &s->ended;
    struct ended_batch *b;
    if (e->open) {
        e->open->next = e->written;
        e->written = e->open;
        e->open = NULL;
    }
    while ((b = e->written)) {
        e->written = b->next;
        make_all_pending(s, b, NULL);
        close_batch(e, b);
    }
}

/* Taking in */

static int add(struct sqlite_store *s, const struct store_record *r, uint32_t batch)
{
    struct ended *e = &s->ended;
    int rc = e->open ? 0 : open_batch(e);
    if (rc == 0)
        rc = pack_put(&e->open->octets, r);
    if (rc == 0)
        e->open->batches[e->open->n++] = batch;
    return rc;
}

int ended_add(struct sqlite_store *s, const struct store_record *r, struct ersa_error *err)
{
    static const uint32_t never = STORE_STREAMS | STORE_FIELD(F_display_data);
    struct store_record whole;
    struct place *p;
    if (!(r->set & STORE_FIELD(F_completed)) || r->set & never || s->is_failing ||
        pending_find(&s->pending, r->v[F_msg_id].text))
        return 0;
    int rc = backlog_find(s, r->v[F_msg_id].text, &p, &whole, err);
    if (rc < 0 || !p)
        return rc;
    for (uint32_t set = r->set; set; set &= set - 1) {
        unsigned f = (unsigned)__builtin_ctz(set);
        whole.v[f] = r->v[f];
    }
    whole.set |= r->set;
    size_t size = pack_size(&whole);
    if (size > RECORD_MAX)
        return 0;
    struct ended_batch *open = s->ended.open;
    if (open && (open->n == BATCH_ROWS || open->octets.len + size > BATCH_BYTES) &&
        ended_write(s, NULL) < 0)
        return 0; /* said when it is tried again */
    rc = add(s, &whole, p->batch);
    if (rc < 0)
        return rc == ERSA_ENOMEM ? err_set(err, rc, "out of memory") : rc;
    p->at |= PLACE_TAKEN;
    return 1;
}
