/* SPDX-License-Identifier: BSD-3-Clause */
/* A thread that carries the write-ahead log over into the database, on a connection of its own:
 * waiting for the disk is its business alone. Under steady writing it may never quite catch up;
 * then the log grows to SQLITE_LOG_MAX, and the writer does it once itself, which starts the
 * log anew. It keeps that size (journal_size_limit, the same): fresh pages of a file cost more
 * than those that are written again. What was carried over a while ago leaves the system's
 * cache (drop_old). When it can't be done (the database's disk fails, not the log's) nothing is
 * lost, but the log grows: that is said once. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/sqlite_impl.h"
#include "util/background.h"
#include "util/err.h"
#include "util/log.h"

#define START_BYTES ((int64_t)16 << 20)
#define CACHED_BYTES ((off_t)64 << 20) /* of the end of the database */

struct checkpointer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    sqlite3 *db;
    bool wanted, stop; /* under the lock */
    bool has_said;     /* the thread's own */
    int64_t page_bytes;
    int fd;        /* borrowed */
    off_t dropped; /* up to there */
};

static void say(struct checkpointer *c, int code)
{
    bool is_wrong = code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED;
    const char *path = sqlite3_db_filename(c->db, "main");
    if (is_wrong && !c->has_said)
        log_error(
            "records::%s: the write-ahead log beside it is not carried over: %s; it grows "
            "until it can be",
            path, sqlite3_errstr(code));
    else if (!is_wrong && c->has_said)
        log_info("records::%s: the write-ahead log is carried over again", path);
    c->has_said = is_wrong;
}

/* Records are rarely read, and never again by who writes them, but the system keeps all that
 * was written while it has room. So the pages of the next ones are fresh, and those cost more
 * than what is written to them: a virtual machine gets them from its host one by one. */
static void drop_old(struct checkpointer *c)
{
    struct stat sb;
    if (fstat(c->fd, &sb) < 0 || sb.st_size < c->dropped + 2 * CACHED_BYTES)
        return;
    off_t end = sb.st_size - CACHED_BYTES;
    posix_fadvise(c->fd, c->dropped, end - c->dropped, POSIX_FADV_DONTNEED);
    c->dropped = end;
}

static void *run(void *arg)
{
    struct checkpointer *c = arg;
    background("checkpoint");
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (!c->wanted) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        c->wanted = false;
        pthread_mutex_unlock(&c->lock);
        say(c, sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
        drop_old(c);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* After each commit: how many pages the log has. */
static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct checkpointer *c = ctx;
    int64_t bytes = pages * c->page_bytes;
    if (bytes > SQLITE_LOG_MAX)
        sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    if (bytes < START_BYTES || bytes > SQLITE_LOG_MAX)
        return SQLITE_OK;
    pthread_mutex_lock(&c->lock);
    c->wanted = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return SQLITE_OK;
}

int checkpointer_start(struct checkpointer **ret, struct sqlite_store *s, const char *path,
                       struct ersa_error *err)
{
    struct checkpointer *c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->page_bytes = s->page_bytes;
    c->fd = s->fd;
    struct stat sb;
    c->dropped = fstat(c->fd, &sb) == 0 ? sb.st_size : 0;
    int rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    /* It knows of the log once it has read something. */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db, "SELECT count(*) FROM sqlite_master", NULL, NULL, NULL);
    if (rc != SQLITE_OK || pthread_create(&c->thread, NULL, run, c) != 0) {
        sqlite3_close(c->db);
        free(c);
        return err_set(err, ERSA_EIO, "the thread of the write-ahead log was not started");
    }
    sqlite3_wal_hook(s->db, on_commit, c);
    *ret = c;
    return 0;
}

void checkpointer_stop(struct checkpointer *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    sqlite3_close(c->db);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
