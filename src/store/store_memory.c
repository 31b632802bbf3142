/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in memory (memory_entry.c), bounded by number and by octets (memory_bounds.c; db.md
 * 5.2). */
#include <stdlib.h>
#include <string.h>

#include "store/memory_impl.h"
#include "store/query.h"
#include "util/clock.h"
#include "util/err.h"

#define TEXT_LIMIT_MIN ((uint64_t)64 << 20)

static struct memory *memory_of(struct store *st)
{
    return (struct memory *)st;
}

static struct entry *find_entry(struct memory *m, struct slice id)
{
    struct entry *e = m->last;
    if (e && e->id_len == id.len && memcmp(e->id, id.data, id.len) == 0)
        return e;
    e = map_get(&m->by_id, id.data, id.len);
    if (e)
        m->last = e;
    return e;
}

static struct entry *add_entry(struct memory *m, struct slice id)
{
    struct entry *e = entry_new(id);
    if (!e)
        return NULL;
    if (map_put(&m->by_id, e->id, e->id_len, e) < 0) {
        entry_free(e);
        return NULL;
    }
    list_push_back(&m->all, &e->all);
    list_push_back(&m->queues[1].age, &e->age); /* until it proves to be a request */
    m->last = e;
    return e;
}

static uint64_t stream_max(const struct memory *m)
{
    return m->text_limit / MEMORY_STREAM_SHARE;
}

static int write_record(struct memory *m, struct entry *e, const struct store_record *r,
                        struct ersa_error *err)
{
    int rc = entry_write(e, r, stream_max(m));
    memory_changed(m, e, r->set & (STORE_FIELD(F_completed) | STORE_FIELD(F_submitted)));
    memory_cull(m, e);
    return rc < 0 ? err_set(err, rc, "a record was not written: %s", ersa_strerror(rc)) : 0;
}

static int on_put(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    struct slice id = r->v[F_msg_id].text;
    struct entry *e = find_entry(m, id);
    if (!e)
        e = add_entry(m, id);
    return e ? write_record(m, e, r, err) : err_set(err, ERSA_ENOMEM, "out of memory");
}

static int on_update(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    struct entry *e = find_entry(m, r->v[F_msg_id].text);
    return e ? write_record(m, e, r, err) : err_set(err, ERSA_ENOENT, "no such record");
}

static int on_append(struct store *st, struct slice msg_id, enum store_field f,
                     struct slice text, struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    struct entry *e = find_entry(m, msg_id);
    if (!e)
        return err_set(err, ERSA_ENOENT, "no such record");
    if (f != F_stdout && f != F_stderr)
        return err_set(err, ERSA_EINVAL, "not a stream");
    int rc = entry_append(e, f, text, stream_max(m));
    memory_changed(m, e, false);
    memory_cull(m, e);
    return rc < 0 ? err_set(err, rc, "output was not added: %s", ersa_strerror(rc)) : 0;
}

static int on_get(struct store *st, struct slice msg_id, uint32_t fields,
                  struct store_record *ret, struct ersa_error *err)
{
    const struct entry *e = find_entry(memory_of(st), msg_id);
    if (!e)
        return err_set(err, ERSA_ENOENT, "no such record");
    *ret = e->rec;
    return 0;
}

static int on_drop(struct store *st, struct slice msg_id, struct ersa_error *err)
{
    struct entry *e = find_entry(memory_of(st), msg_id);
    if (!e)
        return err_set(err, ERSA_ENOENT, "no such record");
    memory_drop(memory_of(st), e);
    return 0;
}

struct dated {
    int64_t date;
    size_t number; /* by creation */
    const struct entry *e;
};

static int by_date(const void *a, const void *b)
{
    const struct dated *x = a, *y = b;
    if (x->date != y->date)
        return x->date < y->date ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static int on_history(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                      struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    size_t n = 0;
    struct dated *all = calloc(map_size(&m->by_id) + 1, sizeof(*all));
    if (!all)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    list_for_each (&m->all, it) {
        const struct entry *e = container_of(it, struct entry, all);
        if (e->rec.set & STORE_FIELD(F_submitted)) {
            all[n] = (struct dated){e->rec.v[F_submitted].date, n, e};
            n++;
        }
    }
    qsort(all, n, sizeof(*all), by_date);
    for (size_t i = 0; i < n; i++)
        fn(ctx, (struct slice){all[i].e->id, all[i].e->id_len});
    free(all);
    return 0;
}

static int on_find(struct store *st, const struct store_query *q, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    struct slice id;
    if (store_query_id(q, &id)) {
        const struct entry *e = find_entry(m, id);
        return e && store_query_matches(q, &e->rec) ? fn(ctx, &e->rec) : 0;
    }
    list_for_each (&m->all, it) {
        const struct entry *e = container_of(it, struct entry, all);
        int rc = store_query_matches(q, &e->rec) ? fn(ctx, &e->rec) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int on_tick(struct store *st, struct ersa_error *err)
{
    struct memory *m = memory_of(st);
    int64_t since = clock_utc_us() - m->limits.max_age_s * 1000000;
    list_for_each (&m->all, it) {
        struct entry *e = container_of(it, struct entry, all);
        if (!m->limits.max_age_s || e->created_us >= since)
            break;
        memory_drop(m, e);
    }
    return 0;
}

static void on_close(struct store *st)
{
    struct memory *m = memory_of(st);
    list_for_each (&m->all, it)
        memory_drop(m, container_of(it, struct entry, all));
    map_fini(&m->by_id);
    free(m);
}

static const struct store_ops ops = {
    .name = "memory",
    .close = on_close,
    .put = on_put,
    .update = on_update,
    .append = on_append,
    .get = on_get,
    .drop = on_drop,
    .history = on_history,
    .find = on_find,
    .tick = on_tick,
};

int store_memory_open(struct store **ret, const struct store_limits *limits,
                      struct ersa_error *err)
{
    if (!(limits->cull >= 0 && limits->cull <= 1))
        return err_set(err, ERSA_EINVAL, "the share to drop must be between 0 and 1");
    struct memory *m = calloc(1, sizeof(*m));
    if (!m)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    m->base.ops = &ops;
    m->limits = *limits;
    m->text_limit = limits->bytes > TEXT_LIMIT_MIN ? limits->bytes : TEXT_LIMIT_MIN;
    map_init(&m->by_id);
    list_init(&m->all);
    for (int i = 0; i < 2; i++) {
        list_init(&m->queues[i].age);
        for (int load = 0; load < N_LOADS; load++)
            list_init(&m->queues[i].loads[load]);
    }
    *ret = &m->base;
    return 0;
}
