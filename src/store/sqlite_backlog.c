/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait in a deep queue. Each must be in a file soon, and as a row would be
 * written twice: now and with its result. So they are set aside instead, packed one behind the
 * other, 64 KiB of them by one write to a file beside the database (sqlite_slots.c), come back
 * when something is heard of them, and become rows once. Where many are set aside already a new
 * one is so at once, since it has to wait for those.
 *
 *     open for long, or new -> set aside -> taken back -> done -> row, committed
 *     batch: made in memory -> full, or PENDING_OPEN_MS old: in the file -> all are rows: free
 *
 * What is in a file that nobody holds was left by a life that was killed (sqlite_settle.c). The
 * file is not synced, as the log of the database isn't by each commit: it outlives the process,
 * what of it outlives a failure of the power is the system's business. It stays until nothing
 * has come for a minute: one that is written again costs less than a new one. */
#include "store/sqlite_backlog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/err.h"

#define DEEP 512                      /* changes that wait: from here on */
#define VERY_DEEP 4096                /* requests set aside: a new one goes there at once */
#define REQUEST_MAX ((size_t)8 << 10) /* a larger one is a row at once */
#define REQUESTS_MAX ((size_t)3 << 18)
#define RETRY_MS 1000

/* Batches */

struct batch *backlog_batch(struct backlog *b, uint32_t number)
{
    uint32_t at = number - b->first;
    return at < b->n && b->batches[at].open ? &b->batches[at] : NULL;
}

static bool is_alive(void *ctx, uint32_t number)
{
    return backlog_batch(ctx, number);
}

static int new_batch(struct backlog *b, uint32_t *ret)
{
    if (b->n == b->cap) {
        size_t cap = b->cap ? 2 * b->cap : 64;
        struct batch *grown = reallocarray(b->batches, cap, sizeof(*grown));
        if (!grown)
            return ERSA_ENOMEM;
        b->batches = grown;
        b->cap = cap;
    }
    *ret = b->first + (uint32_t)b->n;
    b->batches[b->n++] = (struct batch){.open = 0};
    return 0;
}

static void forget_batch(struct backlog *b, struct batch *batch)
{
    b->n_open -= batch->open;
    *batch = (struct batch){.open = 0};
    size_t gone = 0;
    while (gone < b->n && b->batches[gone].open == 0)
        gone++;
    if (gone < b->n && gone < b->n / 2 + 64)
        return;
    b->n -= gone;
    b->first += (uint32_t)gone;
    memmove(b->batches, b->batches + gone, b->n * sizeof(*b->batches));
    if (b->n == 0)
        backlog_index_fini(&b->index);
}

/* The batch that is made is the last one, until it is in the file. */
static int start_making(struct backlog *b)
{
    int rc = new_batch(b, &b->making);
    if (rc < 0) {
        b->making = 0;
        return rc;
    }
    b->made_ms = clock_mono_ms();
    return 0;
}

static void stop_making(struct backlog *b)
{
    b->making = 0;
    buf_reset(&b->octets);
}

void backlog_end_batch(struct backlog *b, uint32_t number)
{
    struct batch *batch = backlog_batch(b, number);
    if (!batch)
        return;
    if (number == b->making)
        stop_making(b);
    else
        slot_clear(b, batch->slot);
    forget_batch(b, batch);
}

/* Setting aside */

static bool has_room(const struct sqlite_store *s)
{
    const struct backlog *b = s->backlog;
    size_t bytes = (b->n_slots - b->n_free) * SLOT_BYTES;
    return s->has_log && b->n_open + FEED_MAX <= REQUESTS_MAX &&
           (!s->limits.records || (uint64_t)s->n_rows + b->n_open < s->limits.records) &&
           (!s->limits.bytes || bytes < s->limits.bytes / 4) &&
           (!b->retry_ms || clock_mono_ms() >= b->retry_ms);
}

bool backlog_is_open(const struct sqlite_store *s)
{
    return (map_size(&s->pending.by_id) >= DEEP || s->backlog->n_open >= VERY_DEEP) &&
           has_room(s);
}

static bool suits(const struct store_record *r)
{
    return !(r->set & (STORE_FIELD(F_completed) | STORE_STREAMS));
}

bool backlog_suits(const struct pending_entry *e)
{
    return !e->was_aside && e->bytes <= REQUEST_MAX && e->streams[0].len == 0 &&
           e->streams[1].len == 0 && suits(&e->rec);
}

/* The batch that is made is full, or old enough. */
static int store_batch(struct backlog *b)
{
    uint32_t slot = 0;
    struct batch *batch = backlog_batch(b, b->making);
    int rc = backlog_make_file(b);
    if (rc == 0)
        rc = slot_take(b, &slot);
    if (rc == 0 && (rc = slot_write(b, slot, b->octets.data, b->octets.len)) < 0)
        slot_free(b, slot);
    b->retry_ms = rc < 0 ? clock_mono_ms() + RETRY_MS : 0;
    if (rc < 0)
        return rc;
    batch->slot = slot;
    batch->length = (uint32_t)b->octets.len;
    stop_making(b);
    return 0;
}

/* `r` is the next of the batch that is made, which has room for it. */
static int pack(struct backlog *b, const struct store_record *r)
{
    size_t at = b->octets.len;
    int rc = b->making ? 0 : start_making(b);
    if (rc == 0)
        rc = pack_put(&b->octets, r);
    if (rc == 0)
        rc = backlog_index_add(&b->index, r->v[F_msg_id].text, b->making, (uint32_t)at,
                               is_alive, b);
    if (rc == 0) {
        b->batches[b->making - b->first].open++;
        b->n_open++;
        return 0;
    }
    b->octets.len = at;
    if (b->making && at == 0) { /* and it is the last one */
        stop_making(b);
        b->n--;
    }
    return rc;
}

static int set_aside(struct backlog *b, const struct store_record *r)
{
    size_t size = pack_size(r);
    if (size > REQUEST_MAX)
        return ERSA_EFULL;
    int rc = b->octets.len + size > BATCH_MAX ? store_batch(b) : 0;
    return rc < 0 ? rc : pack(b, r);
}

unsigned backlog_put(struct sqlite_store *s, struct pending_entry *const *entries, unsigned n)
{
    struct backlog *b = s->backlog;
    unsigned done = 0;
    for (; done < n && set_aside(b, &entries[done]->rec) == 0; done++)
        if (b->made_ms > entries[done]->since_ms)
            b->made_ms = entries[done]->since_ms;
    return done;
}

bool backlog_add(struct sqlite_store *s, const struct store_record *r)
{
    return s->backlog->n_open >= VERY_DEEP && !s->is_failing && suits(r) && has_room(s) &&
           set_aside(s->backlog, r) == 0;
}

/* Where the file takes no more the database may. */
int backlog_store_due(struct sqlite_store *s, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    if (!b->making || b->made_ms + PENDING_OPEN_MS > clock_mono_ms() || store_batch(b) == 0)
        return 0;
    return backlog_unmake(s, err);
}

/* Taking back */

int backlog_load(struct sqlite_store *s, uint32_t number, struct slice *ret,
                 struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct batch *batch = backlog_batch(b, number);
    struct batch_copy *copy = NULL;
    if (number == b->making) {
        *ret = (struct slice){(const char *)b->octets.data, b->octets.len};
        return 0;
    }
    for (int i = 0; i < BATCHES_CACHED && !copy; i++)
        if (b->copies[i].number == number)
            copy = &b->copies[i];
    if (!copy) {
        copy = &b->copies[b->next_copy++ % BATCHES_CACHED];
        copy->number = 0;
        off_t at = (off_t)(batch->slot * SLOT_BYTES + sizeof(struct slot_head));
        if (pread(b->fd, copy->octets, batch->length, at) != (ssize_t)batch->length)
            return err_set(err, ERSA_EIO, "%s: waiting task records are not read", b->path);
        copy->number = number;
    }
    *ret = (struct slice){copy->octets, batch->length};
    return 0;
}

int backlog_bring_back(struct sqlite_store *s, struct place *p, const struct store_record *r,
                       struct pending_entry **ret, struct ersa_error *err)
{
    struct pending_entry *e = pending_entry(&s->pending, r->v[F_msg_id].text, true);
    if (!e || pending_merge(&s->pending, e, r) < 0)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    e->is_new = e->was_aside = true;
    e->batch = p->batch;
    p->at |= PLACE_TAKEN;
    if (ret)
        *ret = e;
    return 0;
}

int backlog_find(struct sqlite_store *s, struct slice id, struct place **ret,
                 struct store_record *ret_rec, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct slice octets;
    struct place *p = NULL;
    *ret = NULL;
    while (b->n_open && (p = backlog_index_find(&b->index, id, p))) {
        if (p->at & PLACE_TAKEN || !is_alive(b, p->batch))
            continue;
        int rc = backlog_load(s, p->batch, &octets, err);
        if (rc < 0)
            return rc;
        octets = (struct slice){octets.data + p->at, octets.len - p->at};
        if (pack_get(octets, &b->items, ret_rec) > 0 &&
            slice_eq(ret_rec->v[F_msg_id].text, id)) {
            *ret = p;
            return 0;
        }
    }
    return 0;
}

int backlog_take(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                 struct ersa_error *err)
{
    struct store_record r;
    struct place *p;
    *ret = NULL;
    int rc = backlog_find(s, id, &p, &r, err);
    return rc < 0 || !p ? rc : backlog_bring_back(s, p, &r, ret, err);
}

/* The transaction at hand */

static int touch(struct backlog *b, uint32_t number)
{
    if (backlog_make_room(&b->touched, &b->cap_touched, b->n_touched) < 0)
        return ERSA_ENOMEM;
    b->touched[b->n_touched++] = number;
    backlog_batch(b, number)->is_touched = true;
    return 0;
}

/* What is not counted (no memory) keeps its batch until the store is quiet. */
void backlog_wrote(struct sqlite_store *s, uint32_t number)
{
    struct backlog *b = s->backlog;
    struct batch *batch = number ? backlog_batch(b, number) : NULL;
    if (batch && (batch->is_touched || touch(b, number) == 0))
        batch->wrote++;
}

void backlog_committed(struct sqlite_store *s)
{
    struct backlog *b = s->backlog;
    for (size_t i = 0; i < b->n_touched; i++) {
        struct batch *batch = backlog_batch(b, b->touched[i]);
        if (!batch)
            continue;
        if (batch->wrote >= batch->open) {
            backlog_end_batch(b, b->touched[i]);
            continue;
        }
        b->n_open -= batch->wrote;
        batch->open -= batch->wrote;
        batch->wrote = 0;
        batch->is_touched = false;
    }
    b->n_touched = 0;
}

void backlog_rolled_back(struct sqlite_store *s)
{
    struct backlog *b = s->backlog;
    for (size_t i = 0; i < b->n_touched; i++) {
        struct batch *batch = backlog_batch(b, b->touched[i]);
        if (!batch)
            continue;
        batch->wrote = 0;
        batch->is_touched = false;
    }
    b->n_touched = 0;
}

/* Its life */

int backlog_open(struct backlog **ret, const char *database)
{
    struct backlog *b = calloc(1, sizeof(*b));
    if (!b)
        return ERSA_ENOMEM;
    b->first = 1;
    b->fd = -1;
    buf_init(&b->octets, BATCH_MAX);
    b->database = database;
    *ret = b;
    return 0;
}

void backlog_close(struct backlog *b)
{
    if (!b)
        return;
    if (b->n_open == 0)
        backlog_remove_file(b);
    if (b->fd >= 0)
        close(b->fd);
    buf_fini(&b->octets);
    pack_items_fini(&b->items);
    backlog_index_fini(&b->index);
    free(b->path);
    free(b->copies);
    free(b->free_slots);
    free(b->touched);
    free(b->batches);
    free(b);
}

bool backlog_has_file(const struct sqlite_store *s)
{
    return s->backlog->n_open || s->backlog->path;
}

void backlog_release(struct sqlite_store *s)
{
    if (s->backlog->n_open == 0)
        backlog_remove_file(s->backlog);
}
