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

/* What is not open and has no record is unknown, also if it was done once: it was purged, or
 * dropped for room. */
static int find_record(struct query *q, struct slice id, bool *ret_pending,
                       struct store_record *ret)
{
    struct ersa_error err = {0};
    int rc = q->r->st->ops->get(q->r->st, id, STORE_FIELD(F_completed), ret, &err);
    bool is_open = seen_get(&q->r->seen, id) == SEEN_OPEN;
    if (rc == ERSA_ENOENT && !is_open)
        return fail_unknown(q, id);
    if (rc < 0 && rc != ERSA_ENOENT)
        return query_fail_store(q, rc, &err);
    *ret_pending = is_open || store_is_null(ret, F_completed);
    return 0;
}

static int answer(struct query *q, const struct ids *ids, bool *is_pending)
{
    bool status_only = json_truth(q->content, "status_only");
    struct store_record rec;
    int rc = 0;
    for (size_t i = 0; i < ids->n && rc == 0; i++)
        rc = status_only ? find_status(q, ids->items[i], &is_pending[i])
                         : find_record(q, ids->items[i], &is_pending[i], &rec);
    if (rc == 0)
        rc = buf_puts(&q->body, "{\"status\": \"ok\"");
    if (rc == 0)
        rc = put_list(&q->body, "pending", ids, is_pending, true);
    if (rc == 0)
        rc = put_list(&q->body, "completed", ids, is_pending, false);
    for (size_t i = 0; i < ids->n && rc == 0 && !status_only; i++) {
        if (is_pending[i])
            continue;
        rc = q->r->st->ops->get(q->r->st, ids->items[i], STORE_ALL, &rec, NULL);
        if (rc == 0)
            rc = put_body(q, &rec);
    }
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
