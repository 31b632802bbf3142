/* SPDX-License-Identifier: BSD-3-Clause */
/* history_request and db_request (controller.md 14.5, 14.6). */
#include "records/query.h"
#include "util/err.h"
#include "wire/json.h"
#include "wire/reply.h"

/* History */

struct history {
    struct query *q;
    int rc;
    bool is_later;
};

static void put_id(void *ctx, struct slice msg_id)
{
    struct history *h = ctx;
    struct buf *body = &h->q->body;
    if (h->rc == 0 && h->is_later)
        h->rc = buf_puts(body, ", ");
    if (h->rc == 0)
        h->rc = buf_put_json(body, msg_id.data, msg_id.len);
    if (h->rc == 0)
        h->rc = query_count_item(h->q);
    h->is_later = true;
}

int query_history(struct query *q)
{
    struct history h = {.q = q};
    struct ersa_error err = {0};
    int rc = buf_puts(&q->body, "{\"status\": \"ok\", \"history\": [");
    if (rc < 0)
        return rc;
    rc = q->r->st->ops->history(q->r->st, put_id, &h, &err);
    if (rc < 0)
        return query_fail_store(q, rc, &err);
    return h.rc < 0 ? h.rc : buf_puts(&q->body, "]}");
}

/* Records by query */

struct selection {
    struct query *q;
    bool wanted[F_MAX];
    bool is_all;        /* no keys were named */
    uint32_t fields;    /* the same as a set */
    struct buf lens[2]; /* JSON lists: buffers, result_buffers */
    bool is_later;
};

static const enum store_field binaries[2] = {F_buffers, F_result_buffers};

static bool keeps(const struct query *q, unsigned field)
{
    return !(q->r->st->ops->without & STORE_FIELD(field));
}

/* None, or an empty list: every field but the buffers; display_data where there is some. */
static int read_keys(struct query *q, struct selection *s)
{
    const json_t *keys =
        json_truth(q->content, "keys") ? json_object_get(q->content, "keys") : NULL;
    size_t i, n = json_is_string(keys) ? 1 : json_array_size(keys);
    if (keys && !json_is_array(keys) && !json_is_string(keys))
        return query_fail(q, "TypeError", "keys must be a list of names");
    s->is_all = n == 0;
    for (unsigned f = 0; f < F_MAX; f++)
        s->wanted[f] = s->is_all && store_fields[f].kind != 'b' && keeps(q, f);
    s->wanted[F_msg_id] = true;
    for (i = 0; i < n; i++) {
        const json_t *key = json_is_string(keys) ? keys : json_array_get(keys, i);
        const char *name = json_string_value(key);
        if (!name)
            return query_fail(q, "TypeError", "keys must be a list of names");
        enum store_field f = store_field_find((struct slice){name, json_string_length(key)});
        if (f == F_MAX || !keeps(q, f))
            return query_fail_key(q, name);
        s->wanted[f] = true;
    }
    for (unsigned f = 0; f < F_MAX; f++)
        s->fields |= s->wanted[f] ? STORE_FIELD(f) : 0;
    return 0;
}

static int put_members(struct selection *s, const struct store_record *rec)
{
    struct buf *b = &s->q->body;
    int rc = buf_puts(b, s->is_later ? ", {" : "{");
    bool is_first = true;
    for (unsigned f = 0; f < F_MAX && rc == 0; f++) {
        if (!s->wanted[f] || store_fields[f].kind == 'b' ||
            (s->is_all && f >= STORE_COLUMNS && store_is_null(rec, f)))
            continue;
        rc = buf_printf(b, "%s\"%s\": ", is_first ? "" : ", ", store_fields[f].name);
        if (rc == 0)
            rc = render_field(b, rec, f);
        is_first = false;
    }
    return rc < 0 ? rc : buf_putc(b, '}');
}

static int put_buffers(struct selection *s, const struct store_record *rec)
{
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        enum store_field f = binaries[i];
        if (!s->wanted[f])
            continue;
        unsigned n = store_is_null(rec, f) ? 0 : rec->v[f].binary.n;
        rc = buf_printf(&s->lens[i], "%s%u", s->is_later ? ", " : "", n);
        if (rc == 0)
            rc = query_add_binary(s->q, rec, f);
    }
    return rc;
}

static int put_record(void *ctx, const struct store_record *rec)
{
    struct selection *s = ctx;
    int rc = put_members(s, rec);
    if (rc == 0)
        rc = put_buffers(s, rec);
    s->is_later = true;
    return rc < 0 ? rc : query_count_item(s->q);
}

static int put_lens(struct selection *s, int i, const char *key)
{
    struct buf *b = &s->q->body;
    if (!s->wanted[binaries[i]])
        return buf_printf(b, ", \"%s\": null", key);
    int rc = buf_printf(b, ", \"%s\": [", key);
    if (rc == 0)
        rc = buf_append(b, s->lens[i].data, s->lens[i].len);
    return rc < 0 ? rc : buf_putc(b, ']');
}

static int select_records(struct selection *s, const struct store_query *what)
{
    struct query *q = s->q;
    struct ersa_error err = {0};
    int rc = buf_puts(&q->body, "{\"status\": \"ok\", \"records\": [");
    if (rc == 0)
        rc = q->r->st->ops->find(q->r->st, what, s->fields, put_record, s, &err);
    if (rc < 0)
        return query_fail_store(q, rc, &err);
    rc = buf_putc(&q->body, ']');
    if (rc == 0)
        rc = put_lens(s, 0, "buffer_lens");
    if (rc == 0)
        rc = put_lens(s, 1, "result_buffer_lens");
    return rc < 0 ? rc : buf_putc(&q->body, '}');
}

int query_db(struct query *q)
{
    json_t *text = json_object_get(q->content, "query"), *everything = json_object();
    struct selection s = {.q = q};
    struct store_query *what = NULL;
    struct ersa_error err = {0};
    buf_init(&s.lens[0], q->body.max);
    buf_init(&s.lens[1], q->body.max);
    int rc = read_keys(q, &s);
    if (rc == 0) {
        rc = store_query_parse(&what, text && !json_is_null(text) ? text : everything, &err);
        rc = rc < 0 ? query_fail_store(q, rc, &err) : select_records(&s, what);
    }
    store_query_free(what);
    json_decref(everything);
    buf_fini(&s.lens[0]);
    buf_fini(&s.lens[1]);
    return rc;
}
