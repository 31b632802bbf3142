/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait in a deep queue. Each must be in a file soon, and as a row would be
 * written twice: now and with its result. So they are set aside instead, 64 KiB of them by one
 * write to a file beside the database, come back into memory when something is heard of them,
 * and become rows once.
 *
 *     open for long -> set aside -> taken back -> done -> row, committed -> the slot is free
 *
 * Every life has a file of its own, `<database>-waiting-<number>`, that it holds a lock on.
 * What is in one that nobody holds was left by a life that was killed (sqlite_settle.c). The
 * file is not synced, as the log of the database isn't by each commit: it outlives the process,
 * what of it outlives a failure of the power is the system's business. */
#include "store/sqlite_backlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"
#include "util/rand.h"

#define DEEP 512                      /* changes that wait: from here on */
#define REQUEST_MAX ((size_t)8 << 10) /* a larger one is a row at once */
#define REQUESTS_MAX ((size_t)3 << 18)
#define RETRY_MS 1000
#define FILE_TRIES 8

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

/* The file */

static int try_file(struct backlog *b)
{
    struct stat sb;
    snprintf(b->path, strlen(b->database) + 32, "%s-waiting-%08x", b->database,
             (unsigned)rand_u64());
    b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (b->fd < 0)
        return errno == EEXIST ? ERSA_EAGAIN : ERSA_EIO;
    /* Somebody who looks for what was left may have it in his hands. */
    if (flock(b->fd, LOCK_EX | LOCK_NB) == 0 && fstat(b->fd, &sb) == 0 && sb.st_nlink)
        return 0;
    unlink(b->path);
    close(b->fd);
    b->fd = -1;
    return ERSA_EAGAIN;
}

static int make_file(struct backlog *b)
{
    if (b->path)
        return 0;
    b->path = malloc(strlen(b->database) + 32);
    if (!b->copies)
        b->copies = calloc(BATCHES_CACHED, sizeof(*b->copies));
    int rc = b->path && b->copies ? ERSA_EAGAIN : ERSA_ENOMEM;
    for (int i = 0; i < FILE_TRIES && rc == ERSA_EAGAIN; i++)
        rc = try_file(b);
    if (rc < 0) {
        free(b->path);
        b->path = NULL;
    }
    return rc;
}

void backlog_remove_file(struct backlog *b)
{
    if (!b->path)
        return;
    unlink(b->path);
    close(b->fd);
    free(b->path);
    b->path = NULL;
    b->fd = -1;
    b->n_free = b->n_slots = 0;
}

static bool write_at(int fd, const void *data, size_t n, off_t at)
{
    return pwrite(fd, data, n, at) == (ssize_t)n;
}

/* The head last: before, the slot is free. */
static int write_slot(struct backlog *b, uint32_t slot, const void *octets, size_t n)
{
    off_t at = (off_t)(slot * SLOT_BYTES);
    struct slot_head head = {.length = n};
    memcpy(head.magic, SLOT_MAGIC, sizeof(head.magic));
    return write_at(b->fd, octets, n, at + (off_t)sizeof(head)) &&
                   write_at(b->fd, &head, sizeof(head), at)
               ? 0
               : ERSA_EIO;
}

/* Room for one more than `n`. */
static int make_room(uint32_t **numbers, size_t *cap, size_t n)
{
    if (n < *cap)
        return 0;
    size_t more = *cap ? 2 * *cap : 64;
    uint32_t *grown = reallocarray(*numbers, more, sizeof(*grown));
    if (!grown)
        return ERSA_ENOMEM;
    *numbers = grown;
    *cap = more;
    return 0;
}

static int take_slot(struct backlog *b, uint32_t *ret)
{
    if (b->n_free) {
        *ret = b->free_slots[--b->n_free];
        return 0;
    }
    if (make_room(&b->free_slots, &b->cap_free, b->n_slots) < 0) /* all may be free one day */
        return ERSA_ENOMEM;
    *ret = (uint32_t)b->n_slots++;
    return 0;
}

void backlog_end_batch(struct backlog *b, uint32_t number)
{
    static const struct slot_head none;
    struct batch *batch = backlog_batch(b, number);
    if (!batch)
        return;
    if (!write_at(b->fd, &none, sizeof(none), (off_t)(batch->slot * SLOT_BYTES)))
        log_warn("records::%s: a slot was not freed", b->path);
    b->free_slots[b->n_free++] = batch->slot;
    forget_batch(b, batch);
}

/* Setting aside */

bool backlog_is_open(const struct sqlite_store *s)
{
    const struct backlog *b = s->backlog;
    size_t bytes = (b->n_slots - b->n_free) * SLOT_BYTES;
    return s->has_log && map_size(&s->pending.by_id) >= DEEP &&
           b->n_open + FEED_MAX <= REQUESTS_MAX &&
           (!s->limits.records || (uint64_t)s->n_rows + b->n_open < s->limits.records) &&
           (!s->limits.bytes || bytes < s->limits.bytes / 4) &&
           (!b->retry_ms || clock_mono_ms() >= b->retry_ms);
}

bool backlog_suits(const struct pending_entry *e)
{
    static const uint32_t never =
        STORE_FIELD(F_completed) | STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    return !e->was_aside && e->bytes <= REQUEST_MAX && e->streams[0].len == 0 &&
           e->streams[1].len == 0 && !(e->rec.set & never);
}

static int finish_batch(struct backlog *b, uint32_t number)
{
    struct batch *batch = backlog_batch(b, number);
    int rc = take_slot(b, &batch->slot);
    if (rc < 0)
        return rc;
    batch->length = (uint32_t)b->octets.len;
    rc = write_slot(b, batch->slot, b->octets.data, b->octets.len);
    if (rc < 0)
        b->free_slots[b->n_free++] = batch->slot;
    return rc;
}

/* One batch; returns how many requests it takes, or a negative ERSA_E*. */
static int put_batch(struct backlog *b, struct pending_entry *const *entries, unsigned n)
{
    uint32_t number = 0;
    unsigned done = 0;
    int rc = new_batch(b, &number);
    if (rc < 0)
        return rc;
    buf_reset(&b->octets);
    for (; done < n && rc == 0 && b->octets.len + entries[done]->bytes <= BATCH_MAX; done++) {
        uint32_t at = (uint32_t)b->octets.len;
        rc = pack_put(&b->octets, &entries[done]->rec);
        b->batches[number - b->first].open++;
        b->n_open++;
        if (rc == 0)
            rc = backlog_index_add(&b->index, pending_id(entries[done]), number, at, is_alive,
                                   b);
    }
    if (rc == 0)
        rc = finish_batch(b, number);
    if (rc < 0)
        forget_batch(b, &b->batches[number - b->first]);
    return rc < 0 ? rc : (int)done;
}

unsigned backlog_put(struct sqlite_store *s, struct pending_entry *const *entries, unsigned n)
{
    struct backlog *b = s->backlog;
    unsigned done = 0;
    int rc = make_file(b);
    while (rc >= 0 && done < n) {
        rc = put_batch(b, entries + done, n - done);
        done += rc < 0 ? 0 : (unsigned)rc;
    }
    b->retry_ms = rc < 0 ? clock_mono_ms() + RETRY_MS : 0;
    return done;
}

/* Taking back */

int backlog_load(struct sqlite_store *s, uint32_t number, struct slice *ret,
                 struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct batch *batch = backlog_batch(b, number);
    struct batch_copy *copy = NULL;
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

int backlog_take(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                 struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct store_record r;
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
        if (pack_get(octets, &b->items, &r) > 0 && slice_eq(r.v[F_msg_id].text, id))
            return backlog_bring_back(s, p, &r, ret, err);
    }
    return 0;
}

/* The transaction at hand */

static int touch(struct backlog *b, uint32_t number)
{
    if (make_room(&b->touched, &b->cap_touched, b->n_touched) < 0)
        return ERSA_ENOMEM;
    b->touched[b->n_touched++] = number;
    backlog_batch(b, number)->is_touched = true;
    return 0;
}

/* What is not counted (no memory) keeps its batch until the store is quiet. */
void backlog_wrote(struct sqlite_store *s, struct pending_entry *e)
{
    struct backlog *b = s->backlog;
    uint32_t number = e->batch;
    struct batch *batch = number ? backlog_batch(b, number) : NULL;
    e->batch = 0;
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
    buf_init(&b->octets, SLOT_BYTES);
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

bool backlog_is_empty(const struct sqlite_store *s)
{
    return s->backlog->n_open == 0;
}
