/* SPDX-License-Identifier: BSD-3-Clause */
/* One record as it is: its row, with what could not be written to it yet. */
#include <string.h>

#include "store/sqlite_impl.h"
#include "util/clock.h"
#include "util/err.h"

int sqlite_find_waiting(struct sqlite_store *s, struct slice id, struct pending_entry **ret,
                        struct ersa_error *err)
{
    *ret = pending_find(&s->pending, id);
    return *ret ? 0 : backlog_take(s, id, ret, err);
}

/* What is known of a record that could not be written. */
static void give_entry(const struct pending_entry *e, struct store_record *ret)
{
    *ret = e->rec;
    for (unsigned i = 0; i < 2; i++) {
        ret->set |= STORE_FIELD(F_stdout + i);
        ret->v[F_stdout + i].text =
            e->streams[i].len
                ? (struct slice){(const char *)e->streams[i].data, e->streams[i].len}
                : SLICE_LIT("");
    }
}

/* A row with what could not be written to it. */
static int add_changes(struct sqlite_store *s, const struct pending_entry *e, uint32_t fields,
                       struct store_record *ret)
{
    for (unsigned f = 0; f < STORE_COLUMNS; f++) {
        if (!(fields & e->dirty & STORE_FIELD(f)) || f == F_stdout || f == F_stderr)
            continue;
        ret->set |= STORE_FIELD(f);
        ret->v[f] = e->rec.v[f];
    }
    for (int i = 0; i < 2; i++) {
        unsigned f = F_stdout + (unsigned)i;
        struct slice more = pending_suffix(e, i), *text = &ret->v[f].text;
        if (!(fields & STORE_FIELD(f)) || (!more.len && !(e->dirty & STORE_FIELD(f))))
            continue;
        if (e->dirty & STORE_FIELD(f) || store_is_null(ret, f))
            *text = SLICE_LIT("");
        char *both = keep_octets(&s->kept, text->len + more.len);
        if (!both)
            return ERSA_ENOMEM;
        memcpy(both, text->data, text->len);
        if (more.len)
            memcpy(both + text->len, more.data, more.len);
        *text = (struct slice){both, text->len + more.len};
        ret->set |= STORE_FIELD(f);
    }
    return 0;
}

/* Before it is read; false: it still waits. */
static bool write_waiting(struct sqlite_store *s, struct pending_entry *e,
                          struct ersa_error *err)
{
    if (!e || !pending_is_dirty(e))
        return true;
    if (s->is_failing && clock_mono_ms() < s->retry_ms)
        return false;
    return sqlite_write_entry(s, e, err) == 0;
}

int sqlite_get(struct store *st, struct slice msg_id, uint32_t fields, struct store_record *ret,
               struct ersa_error *err)
{
    struct sqlite_store *s = (struct sqlite_store *)st;
    struct pending_entry *e;
    int rc = sqlite_find_waiting(s, msg_id, &e, err);
    if (rc < 0)
        return rc;
    uint32_t streams = STORE_FIELD(F_stdout) | STORE_FIELD(F_stderr);
    if (e && !(fields & streams) && !(fields & ~e->rec.set)) {
        *ret = e->rec;
        return 0;
    }
    if (fields == 0 && seen_get(&s->known, msg_id) != SEEN_NEVER) {
        *ret = (struct store_record){.set = 0};
        return 0;
    }
    (void)ended_write(s, NULL);
    e = pending_find(&s->pending, msg_id); /* what was not written is there */
    bool is_whole = write_waiting(s, e, err);
    if (!is_whole && e->creates) {
        give_entry(e, ret);
        return 0;
    }
    if (!s->db)
        return sqlite_fail_broken(s, err);
    fields |= STORE_FIELD(F_msg_id);
    sqlite3_stmt *stmt = sqlite_select_one(s, msg_id, fields);
    int code = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;
    if (code == SQLITE_ROW)
        rc = sqlite_read(s, stmt, fields, true, ret);
    else if (code == SQLITE_DONE)
        rc = err_set(err, ERSA_ENOENT, "no such record");
    else
        rc = sqlite_error(s, err, "task records are not read");
    sqlite3_reset(stmt);
    if (rc == 0 && !is_whole)
        rc = add_changes(s, e, fields, ret);
    return rc == ERSA_ENOMEM ? err_set(err, rc, "out of memory") : rc;
}
