/* SPDX-License-Identifier: BSD-3-Clause */
/* result_request (controller.md 14.4): what is pending, what is done, and what came out. */
#include <stdlib.h>
#include <string.h>

#include "records/query.h"
#include "wire/json.h"

struct ids {
    struct slice *items; /* owned list, borrowed from the content */
    size_t n;
};

static int by_text(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int fail_unknown(struct query *q, struct slice id)
{
    if (q->r->is_held)
        return query_fail_full(q); /* its request may be in the ring */
    buf_reset(&q->body);
    int rc = buf_puts(&q->body, "No such message: ");
    if (rc == 0)
        rc = buf_append(&q->body, id.data, id.len);
    const char *text = rc == 0 ? buf_cstr(&q->body) : NULL;
    return query_fail_key(q, text ? text : "No such message");
}

/* Each once, ascending. */
static int read_ids(struct query *q, struct ids *ret)
{
    const json_t *list = json_object_get(q->content, "msg_ids");
    size_t i;
    json_t *item;
    if (!list)
        return query_fail_missing(q, "msg_ids");
    if (!json_is_array(list))
        return query_fail(q, "TypeError", "msg_ids must be a list");
    ret->items = calloc(json_array_size(list) + 1, sizeof(*ret->items));
    if (!ret->items)
        return ERSA_ENOMEM;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return query_fail(q, "TypeError", "msg_ids must be strings");
        ret->items[ret->n++] =
            (struct slice){json_string_value(item), json_string_length(item)};
    }
    qsort(ret->items, ret->n, sizeof(*ret->items), by_text);
    size_t n = 0;
    for (i = 0; i < ret->n; i++)
        if (n == 0 || !slice_eq(ret->items[n - 1], ret->items[i]))
            ret->items[n++] = ret->items[i];
    ret->n = n;
    return 0;
}

static bool field_is(struct slice object, const char *key, const char *value)
{
    struct jfield f = {.key = key};
    return jscan(object, &f, 1) == 0 && f.type == J_STRING && slice_is(f.raw, value);
}

/* The client takes buffers from the front, for each good result of an apply. */
static bool has_buffers_for_client(const struct store_record *rec)
{
    return !store_is_null(rec, F_result_content) && !store_is_null(rec, F_result_header) &&
           field_is(rec->v[F_result_content].text, "status", "ok") &&
           field_is(rec->v[F_result_header].text, "msg_type", "apply_reply");
}

static int put_body(struct query *q, const struct store_record *rec)
{
    static const struct member {
        const char *text;
        enum store_field field;
        bool is_object;
    } members[] = {
        {": {\"header\": ", F_header, true},
        {", \"metadata\": ", F_metadata, true},
        {", \"result_header\": ", F_result_header, true},
        {", \"result_metadata\": ", F_result_metadata, true},
        {", \"result_content\": ", F_result_content, true},
        {", \"received\": ", F_received, false},
        {", \"io\": {\"execute_input\": ", F_execute_input, false},
        {", \"execute_result\": ", F_execute_result, false},
        {", \"error\": ", F_error, false},
        {", \"stdout\": ", F_stdout, false},
        {", \"stderr\": ", F_stderr, false},
    };
    struct slice id = rec->v[F_msg_id].text;
    int rc = buf_puts(&q->body, ", ");
    if (rc == 0)
        rc = buf_put_json(&q->body, id.data, id.len);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && rc == 0; i++) {
        const struct member *m = &members[i];
        rc = buf_puts(&q->body, m->text);
        if (rc == 0)
            rc = m->is_object ? render_object(&q->body, rec, m->field)
                              : render_field(&q->body, rec, m->field);
    }
    if (rc == 0 && has_buffers_for_client(rec))
        rc = query_add_binary(q, rec, F_result_buffers);
    if (rc == 0)
        rc = buf_puts(&q->body, "}}");
    return rc < 0 ? rc : query_count_item(q);
}

static int put_list(struct buf *b, const char *key, const struct ids *ids,
                    const bool *is_pending, bool pending)
{
    int rc = buf_printf(b, ", \"%s\": [", key);
    bool is_first = true;
    for (size_t i = 0; i < ids->n && rc == 0; i++) {
        if (is_pending[i] != pending)
            continue;
        if (!is_first)
            rc = buf_puts(b, ", ");
        if (rc == 0)
            rc = buf_put_json(b, ids->items[i].data, ids->items[i].len);
        is_first = false;
    }
    return rc < 0 ? rc : buf_putc(b, ']');
}

/* From this life's tables alone. */
static int find_status(struct query *q, struct slice id, bool *ret_pending)
{
    enum seen_state state = seen_get(&q->r->seen, id);
    *ret_pending = state == SEEN_OPEN;
    return state == SEEN_NEVER ? fail_unknown(q, id) : 0;
}

/* Records that were asked for, as they come. */
struct found {
    struct query *q;
    const struct ids *ids;
    bool *is_pending; /* borrowed; of each id */
    size_t next;
};

/* What is open is so in any case. What is not, and has no record, is unknown, also if it was
 * done once: it was purged, or dropped for room. */
static int pass_over(struct found *f, const struct slice *until)
{
    const struct ids *ids = f->ids;
    for (; f->next < ids->n && !(until && slice_eq(ids->items[f->next], *until)); f->next++)
        if (!f->is_pending[f->next])
            return fail_unknown(f->q, ids->items[f->next]);
    return 0;
}

static int on_record(void *ctx, const struct store_record *rec)
{
    struct found *f = ctx;
    int rc = pass_over(f, &rec->v[F_msg_id].text);
    if (rc < 0 || f->next == f->ids->n)
        return rc;
    bool *is_pending = &f->is_pending[f->next++];
    *is_pending = store_is_null(rec, F_completed);
    return *is_pending ? 0 : put_body(f->q, rec);
}

static int get_each(struct store *st, const struct ids *wanted, struct found *f,
                    struct ersa_error *err)
{
    struct store_record rec;
    int rc = 0;
    if (st->ops->get_many)
        return st->ops->get_many(st, wanted->items, wanted->n, STORE_ALL, on_record, f, err);
    for (size_t i = 0; i < wanted->n && rc == 0; i++) {
        rc = st->ops->get(st, wanted->items[i], STORE_ALL, &rec, err);
        if (rc == 0)
            rc = on_record(f, &rec);
        else if (rc == ERSA_ENOENT)
            rc = fail_unknown(f->q, wanted->items[i]);
    }
    return rc;
}

static int put_records(struct query *q, const struct ids *ids, bool *is_pending)
{
    struct found f = {.q = q, .ids = ids, .is_pending = is_pending};
    struct ids wanted = {calloc(ids->n + 1, sizeof(*wanted.items)), 0};
    struct ersa_error err = {0};
    if (!wanted.items)
        return ERSA_ENOMEM;
    for (size_t i = 0; i < ids->n; i++) {
        is_pending[i] = q->r->keeps && seen_get(&q->r->seen, ids->items[i]) == SEEN_OPEN;
        if (!is_pending[i])
            wanted.items[wanted.n++] = ids->items[i];
    }
    int rc = get_each(q->r->st, &wanted, &f, &err);
    free(wanted.items);
    if (rc == 0)
        rc = pass_over(&f, NULL);
    return rc < 0 && !q->error ? query_fail_store(q, rc, &err) : rc;
}

static int put_states(struct query *q, const struct ids *ids, bool *is_pending)
{
    int rc = 0;
    for (size_t i = 0; i < ids->n && rc == 0; i++)
        rc = find_status(q, ids->items[i], &is_pending[i]);
    return rc;
}

static int answer(struct query *q, const struct ids *ids, bool *is_pending)
{
    int rc = buf_puts(&q->body, "{\"status\": \"ok\"");
    if (rc == 0)
        rc = json_truth(q->content, "status_only") ? put_states(q, ids, is_pending)
                                                   : put_records(q, ids, is_pending);
    if (rc == 0)
        rc = put_list(&q->body, "pending", ids, is_pending, true);
    if (rc == 0)
        rc = put_list(&q->body, "completed", ids, is_pending, false);
    return rc < 0 ? rc : buf_putc(&q->body, '}');
}

int query_result(struct query *q)
{
    struct ids ids = {NULL, 0};
    int rc = read_ids(q, &ids);
    bool *is_pending = rc == 0 ? calloc(ids.n + 1, sizeof(*is_pending)) : NULL;
    if (rc == 0)
        rc = is_pending ? answer(q, &ids, is_pending) : ERSA_ENOMEM;
    free(is_pending);
    free(ids.items);
    return rc;
}
