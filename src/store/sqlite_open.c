/* SPDX-License-Identifier: BSD-3-Clause */
/* The database file and its table: the schema is the reference's, so that either reads what the
 * other wrote (db.md 5.3). A table that we meet for the first time gets our indexes; dates in
 * it that are not UTC are written anew, since they are compared as texts. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/query_sql.h"
#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/log.h"

#define TEXT(x) #x
#define TEXT_OF(x) TEXT(x)
#define BUSY_MS 10000 /* for a lock that somebody else holds, while it is opened */
#define AGAIN_MS 20   /* the same, when it is tried again and again */
#define TABLES_MAX 1000

/* Where locks and shared memory can't be relied on. */
static bool is_network(const char *path)
{
    static const long types[] = {
        0x6969 /* nfs */,        0x517B /* smb */,      0xFF534D42 /* cifs */,
        0xFE534D42 /* smb2 */,   0x65735546 /* fuse */, 0x01021997 /* 9p */,
        0x0BD00BD0 /* lustre */, 0x47504653 /* gpfs */, 0x19830326 /* beegfs */,
        0x00C36400 /* ceph */,   0x5346414F /* afs */,  0x73757245 /* coda */,
    };
    struct statfs fs;
    if (statfs(path, &fs) < 0)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if ((unsigned long)fs.f_type == (unsigned long)types[i])
            return true;
    return false;
}

/* The file is private from the first octet. */
static int make_file(struct sqlite_store *s, struct ersa_error *err)
{
    struct stat sb = {.st_ino = 0};
    int fd = open(s->cfg.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &sb) < 0) {
        int rc = err_errno(err, ERSA_EIO, "%s", s->cfg.path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    s->dev = sb.st_dev;
    s->ino = sb.st_ino;
    s->fd = fd;
    return 0;
}

/* The first value, "" when there is none; SQLite's result. */
static int read_text(struct sqlite_store *s, const char *sql, char *ret, size_t cap)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);
    ret[0] = 0;
    if (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(stmt, 0);
        snprintf(ret, cap, "%s", text ? (const char *)text : "");
    }
    int ended = sqlite3_finalize(stmt); /* what went wrong in the step */
    return rc == SQLITE_OK ? ended : rc;
}

static int set_journal(struct sqlite_store *s, const char *path, struct ersa_error *err)
{
    char mode[16] = "";
    bool network = is_network(path);
    if (!network && read_text(s, "PRAGMA journal_mode=WAL", mode, sizeof(mode)) != SQLITE_OK)
        return sqlite_error(s, err, "the database of task records");
    s->has_log = strcmp(mode, "wal") == 0;
    if (s->has_log)
        return 0;
    log_warn("%s: %s, so records are written with a plain journal, more slowly", path,
             network ? "on a network file system" : "there can be no write-ahead log here");
    return sqlite_run(s, "PRAGMA journal_mode=TRUNCATE", err);
}

#define MOVE_AWAY "move it away, or name another file by SQLiteDB.filename"
#define MOVE_NOW                                                                           \
    "move it away and a new one is begun, or put a sound one in its place; no restart is " \
    "needed"
#define MAKE_WRITABLE "file and folder must be writable"

const char *sqlite_advice(int code, bool is_open)
{
    static const struct {
        int code;
        const char *at_start, *later;
    } rows[] = {
        {SQLITE_BUSY, "another program holds a lock on it and must end first", NULL},
        {SQLITE_NOTADB, MOVE_AWAY, MOVE_NOW},
        {SQLITE_CORRUPT, MOVE_AWAY, MOVE_NOW},
        {SQLITE_READONLY, MAKE_WRITABLE, MAKE_WRITABLE},
        {SQLITE_CANTOPEN, MAKE_WRITABLE, MAKE_WRITABLE},
        {SQLITE_IOERR, NULL, "see to the disk"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == (code & 0xff))
            return is_open ? rows[i].later : rows[i].at_start;
    return NULL;
}

/* Adds whose fault it is, and what can be done. */
static int tell_unusable(struct sqlite_store *s, int rc, struct ersa_error *err)
{
    const char *advice = sqlite_advice(s->db ? sqlite3_errcode(s->db) : SQLITE_OK, false);
    char why[sizeof(err->text)];
    snprintf(why, sizeof(why), "%s", err ? err->text : "");
    return err_set(err, rc, "%s: %s%s%s", s->cfg.path, why, advice ? ": " : "",
                   advice ? advice : "");
}

static int open_file(struct sqlite_store *s, struct ersa_error *err)
{
    const struct store_sqlite_config *cfg = &s->cfg;
    int rc = make_file(s, err);
    if (rc < 0)
        return rc;
    if (sqlite3_open_v2(cfg->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return sqlite_error(s, err, cfg->path);
    sqlite3_busy_timeout(s->db, s->is_open ? AGAIN_MS : BUSY_MS);
    /* Large pages: fewer system calls; of a new file only. */
    rc = sqlite_run(s, "PRAGMA page_size=32768", err);
    if (rc == 0)
        rc = set_journal(s, cfg->path, err);
    if (rc == 0)
        /* Freed octets are not overwritten: who may read the file may read the records. */
        rc = sqlite_run(
            s,
            "PRAGMA synchronous=NORMAL; PRAGMA secure_delete=OFF; "
            "PRAGMA journal_size_limit=" TEXT_OF(SQLITE_LOG_MAX) "; PRAGMA cache_size=-32768;"
                                                                 "PRAGMA temp_store=MEMORY",
            err);
    char number[32];
    if (rc == 0 && cfg->max_pages) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)cfg->max_pages);
        char sql[64];
        snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%s", number);
        rc = sqlite_run(s, sql, err);
    }
    if (rc == 0 && read_text(s, "PRAGMA page_size", number, sizeof(number)) == SQLITE_OK)
        s->page_bytes = atoll(number);
    return rc < 0 ? tell_unusable(s, rc, err) : 0;
}

/* Tables */

static const char *declared_type(unsigned f)
{
    if (f == F_execute_result || f == F_error)
        return "text";
    switch (store_fields[f].kind) {
    case 'j':
        return "dict text";
    case 'b':
        return "bufs blob";
    case 'd':
        return "timestamp";
    default:
        return "text";
    }
}

/* 1: has our columns, 0: others, -1: there is no such table. */
static int look_at_table(struct sqlite_store *s)
{
    sqlite3_stmt *stmt = NULL;
    int n = 0;
    bool same = true;
    char *sql = sqlite3_mprintf("PRAGMA table_info(%s)", s->table);
    if (sql && sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        for (; sqlite3_step(stmt) == SQLITE_ROW; n++) {
            const char *name = (const char *)sqlite3_column_text(stmt, 1);
            const char *type = (const char *)sqlite3_column_text(stmt, 2);
            same = same && n < STORE_COLUMNS && name && type &&
                   strcmp(name, store_fields[n].name) == 0 &&
                   strcasecmp(type, declared_type((unsigned)n)) == 0;
        }
    }
    sqlite3_finalize(stmt);
    sqlite3_free(sql);
    return n == 0 ? -1 : same && n == STORE_COLUMNS;
}

static int create_table(struct sqlite_store *s, struct ersa_error *err)
{
    struct buf b;
    buf_init(&b, SQL_MAX);
    int rc = buf_printf(&b, "CREATE TABLE IF NOT EXISTS %s (", s->table);
    for (unsigned f = 0; f < STORE_COLUMNS && rc == 0; f++)
        rc = buf_printf(&b, "%s%s %s%s", f ? ", " : "", store_fields[f].name, declared_type(f),
                        f == F_msg_id ? " PRIMARY KEY" : "");
    if (rc == 0)
        rc = buf_putc(&b, ')');
    const char *sql = rc == 0 ? buf_cstr(&b) : NULL;
    rc = sql ? sqlite_run(s, sql, err) : err_set(err, ERSA_ENOMEM, "out of memory");
    buf_fini(&b);
    return rc;
}

/* ersa_utc(text): the same instant as we write dates; the text itself when it is no date. */
static void utc(sqlite3_context *ctx, int n, sqlite3_value **args)
{
    const char *text = (const char *)sqlite3_value_text(args[0]);
    char out[SQL_DATE_MAX];
    int64_t date;
    if (text && clock_parse_iso(text, (size_t)sqlite3_value_bytes(args[0]), &date) == 0)
        sqlite3_result_text(ctx, out, (int)sql_date(date, out), SQLITE_TRANSIENT);
    else
        sqlite3_result_value(ctx, args[0]);
}

static int adopt_table(struct sqlite_store *s, const char *name, struct ersa_error *err)
{
    char found[8];
    char *sql = sqlite3_mprintf(
        "SELECT 1 FROM sqlite_master WHERE type='index' AND name='%q_by_submitted'", name);
    if (!sql)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    read_text(s, sql, found, sizeof(found));
    sqlite3_free(sql);
    if (found[0])
        return 0;
    sqlite3_create_function(s->db, "ersa_utc", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, utc,
                            NULL, NULL);
    sql = sqlite3_mprintf(
        "BEGIN IMMEDIATE;"
        "UPDATE %s SET submitted=ersa_utc(submitted), started=ersa_utc(started),"
        " completed=ersa_utc(completed), received=ersa_utc(received)"
        " WHERE submitted NOT LIKE '%%+00:00' OR started NOT LIKE '%%+00:00'"
        " OR completed NOT LIKE '%%+00:00' OR received NOT LIKE '%%+00:00';"
        "CREATE INDEX \"%w_by_submitted\" ON %s(submitted);"
        "CREATE INDEX \"%w_open\" ON %s(engine_uuid) WHERE completed IS NULL;"
        "COMMIT",
        s->table, name, s->table, name, s->table);
    int rc = sql ? sqlite_run(s, sql, err) : err_set(err, ERSA_ENOMEM, "out of memory");
    sqlite3_free(sql);
    return rc;
}

static int try_table(struct sqlite_store *s, const char *name, struct ersa_error *err)
{
    sqlite3_free(s->table);
    s->table = sqlite3_mprintf("\"%w\"", name);
    if (!s->table)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    int found = look_at_table(s);
    int rc = found < 0 ? create_table(s, err) : found ? 0 : ERSA_EEXIST;
    return rc < 0 ? rc : adopt_table(s, name, err);
}

static int open_table(struct sqlite_store *s, struct ersa_error *err)
{
    const char *table = s->cfg.table;
    int rc = try_table(s, table, err);
    for (int i = 1; i < TABLES_MAX && rc == ERSA_EEXIST; i++) {
        char *name = sqlite3_mprintf("%s_%d", table, i);
        rc = name ? try_table(s, name, err) : err_set(err, ERSA_ENOMEM, "out of memory");
        if (rc == 0)
            log_warn("table %s has other columns than ours; records go to %s", table, name);
        sqlite3_free(name);
    }
    if (rc == ERSA_EEXIST)
        return err_set(err, rc, "%s: no table %s, %s_1, ... has our columns", s->cfg.path,
                       table, table);
    return rc < 0 ? tell_unusable(s, rc, err) : 0;
}

/* Connections */

void sqlite_disconnect(struct sqlite_store *s)
{
    sqlite_finalize(s);
    feed_detach(s->feed);
    checkpointer_stop(s->checkpointer);
    s->checkpointer = NULL;
    sqlite3_close(s->db);
    s->db = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

int sqlite_connect(struct sqlite_store *s, struct ersa_error *err)
{
    int rc = open_file(s, err);
    if (rc == 0)
        rc = open_table(s, err);
    if (rc == 0 && feed_attach(s->feed, s->db) < 0)
        rc = err_set(err, ERSA_ENOMEM, "out of memory");
    if (rc == 0 && s->has_log)
        rc = checkpointer_start(&s->checkpointer, s, s->cfg.path, err);
    if (rc < 0) {
        sqlite_disconnect(s);
        return rc;
    }
    if (s->limits.records)
        sqlite_count_rows(s);
    sqlite3_update_hook(s->db, sqlite_on_row, s);
    sqlite_be_patient(s, false);
    return 0;
}
