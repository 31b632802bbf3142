/* SPDX-License-Identifier: BSD-3-Clause */
/* A database that takes no more for a reason that waiting does not mend: its file is damaged,
 * read-only, or gone, or the disk fails. Tasks go on: changes are taken, the newest of them are
 * kept in memory, and who asks for more is told why there is none. It is closed and tried again
 * once a second; what is damaged only when another file is in its place, or none, or an empty
 * one, since what is in it may be of use yet. A file that was moved or deleted is noticed
 * before anything else is written to it.
 *
 *     whole -> a write fails: spoiled -> closed -> (another file, or a commit) whole
 *     whole -> not where it was -> closed -> opened anew: whole */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define MEND_MS 1000

int sqlite_fail_broken(const struct sqlite_store *s, struct ersa_error *err)
{
    return err_set(err, ERSA_EIO, "%s", s->broken.text);
}

/* The system's error behind the last one of a file, 0: none. */
static int errno_of(sqlite3_file *f)
{
    int code = 0;
    if (f && f->pMethods)
        f->pMethods->xFileControl(f, SQLITE_FCNTL_LAST_ERRNO, &code);
    return code;
}

/* The log, or the journal, is what is written to; then the database. */
static int last_errno(struct sqlite_store *s)
{
    static const int files[] = {SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER};
    int code = 0;
    for (int i = 0; i < 2 && !code; i++) {
        sqlite3_file *f = NULL;
        if (sqlite3_file_control(s->db, "main", files[i], &f) == SQLITE_OK)
            code = errno_of(f);
    }
    return code;
}

static bool is_damage(const struct sqlite_store *s, int system)
{
    switch (s->failure & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_ERROR: /* there is no such table, or it has no such columns */
        return true;
    case SQLITE_IOERR: /* these are a full disk by other names */
        return s->failure != SQLITE_IOERR_NOMEM && s->failure != SQLITE_IOERR_SHMSIZE &&
               system != ENOSPC && system != EDQUOT && system != EFBIG;
    default:
        return false;
    }
}

/* Said once, however often it fails until it is whole. */
static void become_broken(struct sqlite_store *s, const char *why, const char *advice)
{
    s->is_spoiled = true;
    if (s->base.is_broken)
        return;
    s->base.is_broken = true;
    s->mend_ms = 0;
    err_set(&s->broken, ERSA_EIO, "task records are not kept: %s: %s%s%s", s->cfg.path, why,
            advice ? ": " : "", advice ? advice : "");
    log_error("records::%s (tasks go on)", s->broken.text);
}

void sqlite_look_for_damage(struct sqlite_store *s)
{
    int kind = s->failure & 0xff, system = kind == SQLITE_IOERR ? last_errno(s) : 0;
    if (!s->is_open || !is_damage(s, system))
        return;
    char why[160];
    snprintf(why, sizeof(why), "%s%s%s", sqlite3_errstr(s->failure), system ? ", " : "",
             system ? strerror(system) : "");
    s->failure = SQLITE_OK;
    s->needs_other = s->needs_other || kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB;
    become_broken(s, why, sqlite_advice(kind, true));
}

/* Another file than the one that was opened, or nothing that could be lost. */
static bool is_other_file(const struct sqlite_store *s)
{
    struct stat sb;
    if (stat(s->cfg.path, &sb) < 0)
        return errno == ENOENT;
    return sb.st_dev != s->dev || sb.st_ino != s->ino || sb.st_size == 0;
}

static bool has_moved(const struct sqlite_store *s)
{
    int moved = 0;
    return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
           moved;
}

void sqlite_mended(struct sqlite_store *s)
{
    s->base.is_broken = s->needs_other = false;
    log_info("records::%s: task records are kept again; %llu changes are lost", s->cfg.path,
             (unsigned long long)s->base.counts.lost);
}

static void reopen(struct sqlite_store *s)
{
    struct ersa_error err = {0};
    dev_t dev = s->dev;
    ino_t ino = s->ino;
    if (sqlite_connect(s, &err) < 0) {
        s->dev = dev;
        s->ino = ino;
        become_broken(s, err.text, NULL);
        s->is_spoiled = false;
        return;
    }
    s->retry_ms = 0;
    if (s->dev == dev && s->ino == ino && !s->needs_other)
        return; /* a commit will tell */
    seen_fini(&s->known);
    seen_init(&s->known);
    pending_forget_rows(&s->pending);
    if (s->base.is_broken)
        sqlite_mended(s);
}

void sqlite_mend(struct sqlite_store *s)
{
    bool moved = !s->base.is_broken && has_moved(s);
    int64_t now = clock_mono_ms();
    if (moved) {
        log_warn("records::%s was moved or deleted; task records go to a new one", s->cfg.path);
    } else if (!s->base.is_broken || (s->db && !s->is_spoiled) || now < s->mend_ms) {
        return;
    }
    s->mend_ms = now + MEND_MS;
    s->is_spoiled = false;
    if (s->db) {
        s->failure = SQLITE_OK;
        sqlite_roll_back(s);
        keep_free(&s->kept);
        sqlite_disconnect(s);
    }
    if (moved || !s->needs_other || is_other_file(s))
        reopen(s);
}
