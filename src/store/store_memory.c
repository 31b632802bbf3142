/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in memory, bounded by number and by octets (db.md 5.2). A record's members are copied
 * into one piece of memory for the request, one for the result, and one for each other member,
 * so that a member written again leaves nothing behind. Streams grow in place.
 *
 * Every record is in two lists: all of them by creation, and, to be dropped from the front,
 * those that are done (or were never requested) or those that are not. Beyond the octets of
 * buffers the first in this order lose theirs, and say so; the records themselves stay. */
#include <stdlib.h>
#include <string.h>

#include "store/query.h"
#include "store/store.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/err.h"
#include "util/list.h"
#include "util/map.h"

#define TEXT_LIMIT_MIN ((uint64_t)64 << 20)
#define STREAM_SHARE 16

struct entry {
    struct list all;  /* by creation */
    struct list age;  /* in `done` or `open` */
    struct list load; /* while it has buffers: in `done_loads` or `open_loads` */
    int64_t created_us;
    struct store_record rec;
    void *piece[F_MAX];   /* owned; at the first field of a group */
    size_t weight[F_MAX]; /* of the piece, without buffers */
    struct buf streams[2];
    uint64_t buffer_bytes, text_bytes; /* as counted in the store */
    size_t id_len;
    char id[];
};

struct memory {
    struct store base;
    struct store_limits limits;
    uint64_t text_limit;
    struct map by_id;
    struct list all, open, done, open_loads, done_loads;
    struct entry *last; /* found last: an assignment follows its request */
    uint64_t buffer_bytes, text_bytes;
};

/* The fields that share a piece of memory, by its first; dates and the id need none. */
static const unsigned char groups[F_MAX] = {
    [F_msg_id] = F_MAX,
    [F_header] = F_header,
    [F_metadata] = F_header,
    [F_content] = F_header,
    [F_buffers] = F_header,
    [F_submitted] = F_MAX,
    [F_client_uuid] = F_header,
    [F_engine_uuid] = F_engine_uuid,
    [F_started] = F_MAX,
    [F_completed] = F_MAX,
    [F_resubmitted] = F_resubmitted,
    [F_received] = F_MAX,
    [F_result_header] = F_result_header,
    [F_result_metadata] = F_result_header,
    [F_result_content] = F_result_header,
    [F_result_buffers] = F_result_header,
    [F_queue] = F_header,
    [F_execute_input] = F_execute_input,
    [F_execute_result] = F_execute_result,
    [F_error] = F_error,
    [F_stdout] = F_MAX,
    [F_stderr] = F_MAX,
    [F_label] = F_header,
    [F_display_data] = F_display_data,
};

static struct memory *memory_of(struct store *st)
{
    return (struct memory *)st;
}

static uint32_t bit(unsigned f)
{
    return (uint32_t)1 << f;
}

/* Pieces */

static size_t binary_bytes(const struct store_binary *b)
{
    size_t n = 0;
    for (unsigned i = 0; i < b->n; i++)
        n += b->items[i].len;
    return n;
}

/* Copies what the group's fields hold in `want`, one behind the other, the lists of buffers
 * first for the sake of their alignment. The fields then point there. */
static int write_piece(struct entry *e, unsigned group, const struct store_record *want)
{
    size_t lists = 0, text = 0, buffers = 0;
    for (unsigned f = group; f < F_MAX; f++) {
        if (groups[f] != group || !(want->set & bit(f)))
            continue;
        if (store_fields[f].kind == 'b') {
            lists += want->v[f].binary.n * sizeof(struct slice);
            buffers += binary_bytes(&want->v[f].binary);
        } else {
            text += want->v[f].text.len;
        }
    }
    char *piece = malloc(lists + text + buffers + 1);
    if (!piece)
        return ERSA_ENOMEM;
    struct slice *list = (struct slice *)piece;
    char *at = piece + lists;
    for (unsigned f = group; f < F_MAX; f++) {
        if (groups[f] != group || !(want->set & bit(f)))
            continue;
        union store_value v = want->v[f];
        if (store_fields[f].kind == 'b') {
            for (unsigned i = 0; i < v.binary.n; i++) {
                list[i] = (struct slice){at, v.binary.items[i].len};
                if (list[i].len)
                    memcpy(at, v.binary.items[i].data, list[i].len);
                at += list[i].len;
            }
            v.binary.items = list;
            list += v.binary.n;
        } else {
            if (v.text.len)
                memcpy(at, v.text.data, v.text.len);
            v.text.data = at;
            at += v.text.len;
        }
        e->rec.v[f] = v;
        e->rec.set |= bit(f);
    }
    free(e->piece[group]);
    e->piece[group] = piece;
    e->weight[group] = lists + text;
    return 0;
}

/* What is new, and of the rest of its group what was there. */
static int write_group(struct entry *e, unsigned group, const struct store_record *r)
{
    struct store_record want = {.set = 0};
    for (unsigned f = group; f < F_MAX; f++) {
        const struct store_record *from = r->set & bit(f) ? r : &e->rec;
        if (groups[f] != group || !(from->set & bit(f)))
            continue;
        want.set |= bit(f);
        want.v[f] = from->v[f];
    }
    return write_piece(e, group, &want);
}

static int write_stream(const struct memory *m, struct entry *e, enum store_field f,
                        struct slice text)
{
    struct buf *b = &e->streams[f - F_stdout];
    b->max = m->text_limit / STREAM_SHARE;
    int rc = buf_append(b, text.data, text.len);
    if (b->len)
        e->rec.v[f].text = (struct slice){(const char *)b->data, b->len};
    return rc;
}

/* An engine is written when it gets the task and again with the result. */
static bool is_same_text(const struct entry *e, unsigned f, const struct store_record *r)
{
    return store_fields[f].kind == 't' && e->rec.set & bit(f) &&
           slice_eq(e->rec.v[f].text, r->v[f].text);
}

static int write_fields(const struct memory *m, struct entry *e, const struct store_record *r)
{
    uint32_t written = 0;
    for (unsigned f = 0; f < F_MAX; f++) {
        unsigned group = groups[f];
        int rc = 0;
        if (!(r->set & bit(f)) || f == F_msg_id || is_same_text(e, f, r))
            continue;
        if (f == F_stdout || f == F_stderr) {
            buf_reset(&e->streams[f - F_stdout]);
            e->rec.v[f].text = SLICE_LIT("");
            rc = write_stream(m, e, f, r->v[f].text);
        } else if (group == F_MAX) {
            e->rec.v[f] = r->v[f];
            e->rec.set |= bit(f);
        } else if (!(written & bit(group))) {
            rc = write_group(e, group, r);
            written |= bit(group);
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Records */

static void count_again(struct memory *m, struct entry *e)
{
    m->buffer_bytes -= e->buffer_bytes;
    m->text_bytes -= e->text_bytes;
    e->buffer_bytes = 0;
    e->text_bytes = sizeof(*e) + e->id_len + e->streams[0].cap + e->streams[1].cap;
    for (unsigned f = 0; f < F_MAX; f++) {
        e->text_bytes += e->weight[f];
        if (store_fields[f].kind == 'b' && e->rec.set & bit(f))
            e->buffer_bytes += binary_bytes(&e->rec.v[f].binary);
    }
    m->buffer_bytes += e->buffer_bytes;
    m->text_bytes += e->text_bytes;
}

static void drop_entry(struct memory *m, struct entry *e)
{
    if (m->last == e)
        m->last = NULL;
    map_remove(&m->by_id, e->id, e->id_len);
    list_remove(&e->all);
    list_remove(&e->age);
    list_remove(&e->load);
    m->buffer_bytes -= e->buffer_bytes;
    m->text_bytes -= e->text_bytes;
    for (unsigned f = 0; f < F_MAX; f++)
        free(e->piece[f]);
    buf_fini(&e->streams[0]);
    buf_fini(&e->streams[1]);
    free(e);
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
    struct entry *e = calloc(1, sizeof(*e) + id.len);
    if (!e)
        return NULL;
    e->id_len = id.len;
    memcpy(e->id, id.data, id.len);
    if (map_put(&m->by_id, e->id, e->id_len, e) < 0) {
        free(e);
        return NULL;
    }
    e->rec.set = bit(F_msg_id) | bit(F_stdout) | bit(F_stderr);
    e->rec.v[F_msg_id].text = (struct slice){e->id, e->id_len};
    e->rec.v[F_stdout].text = e->rec.v[F_stderr].text = SLICE_LIT("");
    for (int i = 0; i < 2; i++)
        buf_init(&e->streams[i], 0);
    e->created_us = clock_utc_us();
    list_init(&e->load);
    list_push_back(&m->all, &e->all);
    list_push_back(&m->done, &e->age); /* until it proves to be a request */
    m->last = e;
    return e;
}

static bool is_done(const struct entry *e)
{
    return e->rec.set & bit(F_completed);
}

/* After a change; `moves`: it is the last of its kind now. */
static void place_load(struct memory *m, struct entry *e, bool moves)
{
    if (e->buffer_bytes && !moves && !list_is_empty(&e->load))
        return;
    list_remove(&e->load);
    if (e->buffer_bytes)
        list_push_back(is_done(e) ? &m->done_loads : &m->open_loads, &e->load);
}

/* Leaves the buffers out; a result that had some says so. */
static int strip(struct memory *m, struct entry *e)
{
    struct store_record change = {.set = 0};
    const struct store_record *r = &e->rec;
    uint32_t had = r->set & STORE_BUFFERS;
    if (had & bit(F_result_buffers) && binary_bytes(&r->v[F_result_buffers].binary)) {
        change.set = bit(F_result_content);
        change.v[F_result_content].text = store_stripped_content;
    }
    e->rec.set &= ~STORE_BUFFERS;
    int rc = had & bit(F_buffers) ? write_group(e, F_header, &change) : 0;
    if (rc == 0 && had & bit(F_result_buffers))
        rc = write_group(e, F_result_header, &change);
    m->base.counts.stripped++;
    count_again(m, e);
    place_load(m, e, false);
    return rc;
}

/* The first of the list that is not `keep`, NULL when there is none. */
static struct entry *first_of(const struct list *l, const struct entry *keep)
{
    list_for_each (l, it) {
        struct entry *e = container_of(it, struct entry, age);
        if (e != keep)
            return e;
    }
    return NULL;
}

static bool drop_oldest(struct memory *m, const struct entry *keep)
{
    struct entry *e = first_of(&m->done, keep);
    if (!e)
        e = first_of(&m->open, keep);
    if (e)
        drop_entry(m, e);
    return e;
}

static bool strip_oldest(struct memory *m, const struct entry *keep)
{
    const struct list *lists[] = {&m->done_loads, &m->open_loads};
    for (int i = 0; i < 2; i++)
        list_for_each (lists[i], it) {
            struct entry *e = container_of(it, struct entry, load);
            if (e == keep)
                continue;
            if (strip(m, e) < 0)
                drop_entry(m, e);
            return true;
        }
    return false;
}

static void cull(struct memory *m, const struct entry *keep)
{
    double kept = 1 - m->limits.cull;
    if (m->limits.records && map_size(&m->by_id) > m->limits.records) {
        double share = m->limits.cull * (double)m->limits.records;
        size_t n = share >= 1 ? (size_t)share : 1;
        while (n-- && drop_oldest(m, keep))
            ;
    }
    if (m->limits.bytes && m->buffer_bytes > m->limits.bytes)
        while ((double)m->buffer_bytes > kept * (double)m->limits.bytes &&
               strip_oldest(m, keep))
            ;
    if (m->text_bytes > m->text_limit)
        while ((double)m->text_bytes > kept * (double)m->text_limit && drop_oldest(m, keep))
            ;
}

/* The seam */

static int write_record(struct memory *m, struct entry *e, const struct store_record *r,
                        struct ersa_error *err)
{
    int rc = write_fields(m, e, r);
    bool moves = r->set & (bit(F_completed) | bit(F_submitted));
    if (moves) {
        list_remove(&e->age);
        list_push_back(is_done(e) ? &m->done : &m->open, &e->age);
    }
    count_again(m, e);
    place_load(m, e, moves);
    cull(m, e);
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
    int rc = write_stream(m, e, f, text);
    count_again(m, e);
    cull(m, e);
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
    drop_entry(memory_of(st), e);
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
        if (e->rec.set & bit(F_submitted)) {
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
        drop_entry(m, e);
    }
    return 0;
}

static void on_close(struct store *st)
{
    struct memory *m = memory_of(st);
    list_for_each (&m->all, it)
        drop_entry(m, container_of(it, struct entry, all));
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
    list_init(&m->open);
    list_init(&m->done);
    list_init(&m->open_loads);
    list_init(&m->done_loads);
    *ret = &m->base;
    return 0;
}
