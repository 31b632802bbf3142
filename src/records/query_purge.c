/* SPDX-License-Identifier: BSD-3-Clause */
/* purge_request (controller.md 14.7). What is dropped is forgotten also as done, so that it is
 * unknown from then on. */
#include <stdlib.h>
#include <string.h>

#include "records/query.h"
#include "wire/json.h"
#include "wire/reply.h"

#define IDS_MAX ((size_t)1 << 30)

/* Ids of the records found, each behind its length: they are dropped when the search is over.
 */
static int collect(void *ctx, const struct store_record *rec)
{
    struct buf *ids = ctx;
    struct slice id = rec->v[F_msg_id].text;
    uint32_t len = (uint32_t)id.len;
    int rc = buf_append(ids, &len, sizeof(len));
    return rc < 0 ? rc : buf_append(ids, id.data, id.len);
}

/* What is not there, or is never kept, is no failure. */
static int drop_each(struct query *q, const struct slice *ids, size_t n, struct ersa_error *err)
{
    const struct store_ops *ops = q->r->st->ops;
    if (ops->drop_many)
        return ops->drop_many(q->r->st, ids, n, err);
    for (size_t i = 0; i < n; i++) {
        int rc = ops->drop(q->r->st, ids[i], err);
        if (rc < 0 && rc != ERSA_ENOENT)
            return rc;
    }
    return 0;
}

static int drop_all(struct query *q, const struct slice *ids, size_t n)
{
    struct ersa_error err = {0};
    int rc = q->r->keeps ? drop_each(q, ids, n, &err) : 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        if (seen_get(&q->r->seen, ids[i]) == SEEN_OK)
            seen_set(&q->r->seen, ids[i], SEEN_NEVER);
    return rc < 0 ? query_fail_store(q, rc, &err) : 0;
}

static int drop_collected(struct query *q, const struct buf *ids)
{
    uint32_t len;
    size_t n = 0, at;
    for (at = 0; at < ids->len; at += sizeof(len) + len, n++)
        memcpy(&len, ids->data + at, sizeof(len));
    struct slice *list = calloc(n + 1, sizeof(*list));
    if (!list)
        return ERSA_ENOMEM;
    for (at = 0, n = 0; at < ids->len; at += sizeof(len) + len) {
        memcpy(&len, ids->data + at, sizeof(len));
        list[n++] = (struct slice){(const char *)ids->data + at + sizeof(len), len};
    }
    int rc = drop_all(q, list, n);
    free(list);
    return rc;
}

/* Takes `query`. */
static int drop_matching(struct query *q, json_t *query)
{
    struct store_query *what = NULL;
    struct ersa_error err = {0};
    struct buf ids;
    buf_init(&ids, IDS_MAX);
    int rc = store_query_parse(&what, query, &err);
    json_decref(query);
    if (rc == 0)
        rc = q->r->st->ops->find(q->r->st, what, STORE_FIELD(F_msg_id), collect, &ids, &err);
    if (rc == 0)
        rc = drop_collected(q, &ids);
    store_query_free(what);
    buf_fini(&ids);
    return rc < 0 ? query_fail_store(q, rc, &err) : 0;
}

static int fail_about(struct query *q, const char *ename, const char *text, const json_t *item)
{
    buf_reset(&q->body);
    buf_puts(&q->body, text);
    put_repr_json(&q->body, item);
    const char *evalue = buf_cstr(&q->body);
    return query_fail(q, ename, evalue ? evalue : text);
}

static struct slice string_of(const json_t *j)
{
    return (struct slice){json_string_value(j), json_string_length(j)};
}

static int purge_listed(struct query *q, const json_t *ids)
{
    size_t i, n = 0;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        if (json_is_string(id) && seen_get(&q->r->seen, string_of(id)) == SEEN_OPEN)
            return fail_about(q, "IndexError", "msg pending: ", id);
    }
    struct slice *list = calloc(json_array_size(ids) + 1, sizeof(*list));
    if (!list)
        return ERSA_ENOMEM;
    json_array_foreach(ids, i, id)
    {
        if (json_is_string(id))
            list[n++] = string_of(id);
    }
    int rc = drop_all(q, list, n);
    free(list);
    return rc;
}

/* The next uuid of the mail's list (mail.h); "-" when there is none. */
static struct slice take_engine(struct slice *list)
{
    const char *space = list->len ? memchr(list->data, ' ', list->len) : NULL;
    struct slice first = {list->data, space ? (size_t)(space - list->data) : list->len};
    size_t taken = first.len + (space ? 1 : 0);
    list->data += taken;
    list->len -= taken;
    return first.len ? first : SLICE_LIT("-");
}

static int purge_engines(struct query *q, const json_t *engine_ids)
{
    struct slice uuids = q->mail->engine.data ? q->mail->engine : SLICE_LIT("");
    size_t i;
    json_t *id;
    json_array_foreach(engine_ids, i, id)
    {
        struct slice uuid = take_engine(&uuids);
        if (slice_is(uuid, "-"))
            return fail_about(q, "IndexError", "No such engine: ", id);
        int rc = q->r->keeps ? drop_matching(q, json_pack("{s:o, s:{s:n}}", "engine_uuid",
                                                          json_lossy(uuid), "completed", "$ne"))
                             : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int query_purge(struct query *q)
{
    const json_t *ids = json_object_get(q->content, "msg_ids");
    const json_t *engine_ids = json_object_get(q->content, "engine_ids");
    int rc = 0;
    if (json_is_string(ids) && slice_is(string_of(ids), "all")) {
        if (q->r->keeps)
            rc = drop_matching(q, json_pack("{s:{s:n}}", "completed", "$ne"));
        if (rc == 0)
            seen_forget_closed(&q->r->seen);
    } else if (ids && !json_is_null(ids) && !json_is_array(ids)) {
        return query_fail_hub(q, "TypeError", "msg_ids must be a list of ids, or 'all'");
    } else if (engine_ids && !json_is_null(engine_ids) && !json_is_array(engine_ids)) {
        return query_fail_hub(q, "TypeError", "engine_ids must be a list of ids");
    } else {
        rc = purge_listed(q, ids);
        if (rc == 0)
            rc = purge_engines(q, engine_ids);
    }
    buf_reset(&q->body);
    return rc < 0 ? rc : buf_puts(&q->body, "{\"status\": \"ok\"}");
}
