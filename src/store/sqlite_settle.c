/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows are made of requests that were set aside (sqlite_backlog.c): of all of them before a
 * search and at the end, of some when it is quiet, of a batch when a record of it is dropped
 * (otherwise the next life would find it there again), and, when a database is opened, of what
 * an earlier life has left because it was killed. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/sqlite_backlog.h"
#include "util/err.h"
#include "util/log.h"

#define SETTLE_BATCHES 64 /* in one transaction */

static struct place *place_of(struct backlog *b, struct slice id, uint32_t number, size_t at)
{
    struct place *p = NULL;
    while ((p = backlog_index_find(&b->index, id, p)))
        if (p->batch == number && p->at == at)
            return p;
    return NULL;
}

/* What has not been taken back yet waits in memory again. */
static int take_all(struct sqlite_store *s, uint32_t number, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    struct store_record r;
    struct slice octets;
    size_t at = 0;
    int rc = backlog_load(s, number, &octets, err);
    while (rc == 0 && at < octets.len) {
        struct slice rest = {octets.data + at, octets.len - at};
        int64_t size = pack_get(rest, &b->items, &r);
        if (size < 0)
            return err_set(err, (int)size, "%s: waiting task records are damaged", b->path);
        struct place *p = place_of(b, r.v[F_msg_id].text, number, at);
        rc = p ? backlog_bring_back(s, p, &r, NULL, err) : 0;
        at += (size_t)size;
    }
    return rc;
}

/* What can't be read will not be later: the rest of the batch is lost, and nobody waits for it.
 */
static int take_sound(struct sqlite_store *s, uint32_t number, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    size_t before = map_size(&s->pending.by_id);
    unsigned open = backlog_batch(b, number)->open;
    int rc = take_all(s, number, err);
    if (rc != ERSA_EPARSE && rc != ERSA_EIO)
        return rc;
    size_t taken = map_size(&s->pending.by_id) - before;
    s->base.counts.lost += open > taken ? open - taken : 0;
    if (!b->is_damaged)
        log_error("records::%s, and lost (others are only counted)", err ? err->text : b->path);
    b->is_damaged = true;
    return 0;
}

int backlog_unmake(struct sqlite_store *s, struct ersa_error *err)
{
    int rc = take_all(s, s->backlog->making, err);
    if (rc == 0)
        backlog_end_batch(s->backlog, s->backlog->making);
    return rc;
}

static bool is_wanted(struct backlog *b, uint32_t number, bool spoiled_only)
{
    const struct batch *batch = backlog_batch(b, number);
    return batch && (!spoiled_only || batch->is_spoiled);
}

/* Of batches `from` up to `to` nothing is set aside any more: it is written, and they end. */
static int end_batches(struct sqlite_store *s, uint32_t from, uint32_t to, bool spoiled_only,
                       struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    int rc = sqlite_write_rows(s, err);
    if (rc == 0)
        rc = sqlite_commit(s, err);
    for (; from != to && rc == 0; from++)
        if (is_wanted(b, from, spoiled_only))
            backlog_end_batch(b, from);
    return rc;
}

static int settle(struct sqlite_store *s, uint32_t max, bool spoiled_only,
                  struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    uint32_t from = b->first, number = from, end = from + (uint32_t)b->n, n = 0;
    int rc = 0;
    for (; number != end && n < max && rc == 0; number++) {
        if (!is_wanted(b, number, spoiled_only))
            continue;
        rc = take_sound(s, number, err);
        if (rc < 0 || ++n % SETTLE_BATCHES)
            continue;
        rc = end_batches(s, from, number + 1, spoiled_only, err);
        from = number + 1;
    }
    return rc < 0 ? rc : end_batches(s, from, number, spoiled_only, err);
}

int backlog_settle(struct sqlite_store *s, uint32_t max, struct ersa_error *err)
{
    return s->backlog->n_open ? settle(s, max, false, err) : 0;
}

static bool spoil(struct batch *batch)
{
    if (batch)
        batch->is_spoiled = true;
    return batch;
}

void backlog_spoil(struct sqlite_store *s, struct slice id)
{
    struct backlog *b = s->backlog;
    struct place *p = NULL;
    while (b->n_open && (p = backlog_index_find(&b->index, id, p)))
        if (spoil(backlog_batch(b, p->batch)))
            b->is_spoiled = true;
}

int backlog_settle_spoiled(struct sqlite_store *s, struct ersa_error *err)
{
    struct backlog *b = s->backlog;
    if (!b->is_spoiled)
        return 0;
    int rc = settle(s, BACKLOG_ALL, true, err);
    b->is_spoiled = rc < 0;
    return rc;
}

/* Earlier lives */

/* What is a row already knows more, and stays as it is. */
static int write_new(struct sqlite_store *s, struct ersa_error *err)
{
    struct sqlite_feed *feed = s->feed;
    int rc = feed->to ? sqlite_begin(s, err) : 0;
    if (rc == 0 && feed->to && feed_write(s) != SQLITE_OK)
        rc = sqlite_error(s, err, "task records of an earlier life");
    for (unsigned i = 0; i < feed->to; i++)
        pending_drop(&s->pending, feed->entries[i]);
    feed->to = 0;
    return rc;
}

static int recover_batch(struct sqlite_store *s, struct slice octets, struct ersa_error *err)
{
    struct store_record r;
    int rc = 0;
    int64_t size;
    s->feed->from = s->feed->to = 0;
    for (; rc == 0 && octets.len; octets.data += size, octets.len -= (size_t)size) {
        size = pack_get(octets, &s->backlog->items, &r);
        if (size < 0) {
            log_error("records::%zu octets of an earlier life are damaged", octets.len);
            break;
        }
        if (pending_find(&s->pending, r.v[F_msg_id].text))
            continue;
        struct pending_entry *e = pending_entry(&s->pending, r.v[F_msg_id].text, true);
        if (!e || pending_merge(&s->pending, e, &r) < 0)
            return err_set(err, ERSA_ENOMEM, "out of memory");
        s->feed->entries[s->feed->to++] = e;
        if (s->feed->to == FEED_MAX)
            rc = write_new(s, err);
    }
    return rc < 0 ? rc : write_new(s, err);
}

static int recover_slots(struct sqlite_store *s, int fd, char *octets, struct ersa_error *err)
{
    struct slot_head head;
    off_t at = 0;
    int rc = 0;
    for (int n = 1; rc == 0 && pread(fd, &head, sizeof(head), at) == sizeof(head); n++) {
        bool is_used =
            memcmp(head.magic, SLOT_MAGIC, sizeof(head.magic)) == 0 && head.length <= BATCH_MAX;
        if (is_used &&
            pread(fd, octets, head.length, at + (off_t)sizeof(head)) == (ssize_t)head.length)
            rc = recover_batch(s, (struct slice){octets, head.length}, err);
        if (rc == 0 && n % SETTLE_BATCHES == 0)
            rc = sqlite_commit(s, err);
        at += (off_t)SLOT_BYTES;
    }
    return rc < 0 ? rc : sqlite_commit(s, err);
}

static void recover_file(struct sqlite_store *s, const char *path, char *octets)
{
    struct ersa_error err = {0};
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* otherwise its life goes on */
        int rc = recover_slots(s, fd, octets, &err);
        if (rc == 0)
            unlink(path);
        else
            log_error("records::%s: %s (left for the next time)", path, err.text);
        if (rc < 0)
            sqlite_roll_back(s);
    }
    close(fd);
}

static int recover_folder(struct sqlite_store *s, const char *folder, const char *prefix,
                          char *octets)
{
    char path[4096];
    DIR *dir = opendir(folder);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        int n = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && n < (int)sizeof(path))
            recover_file(s, path, octets);
    }
    closedir(dir);
    return 0;
}

int backlog_recover(struct sqlite_store *s, const char *database)
{
    const char *slash = strrchr(database, '/');
    char *octets = malloc(BATCH_MAX);
    char *prefix = sqlite3_mprintf("%s-waiting-", slash ? slash + 1 : database);
    char *folder = slash ? sqlite3_mprintf("%.*s", (int)(slash - database + 1), database)
                         : sqlite3_mprintf(".");
    int rc =
        octets && prefix && folder ? recover_folder(s, folder, prefix, octets) : ERSA_ENOMEM;
    sqlite3_free(folder);
    sqlite3_free(prefix);
    free(octets);
    return rc;
}
