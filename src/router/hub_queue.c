/* SPDX-License-Identifier: BSD-3-Clause */
/* queue_request and load_request (controller.md 14.2 and 14.3): what each engine has to do and
 * has done. Engines that are gone don't appear; a task that moved is counted where it is. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "router/core.h"
#include "wire/reply.h"
#include "wire/json.h"

#define EVALUE_MAX 4096
#define LISTS_MAX ((size_t)1 << 30)

/* The engines that `targets` names, each once; they are borrowed. */
struct selection {
    struct engine **engines; /* owned array */
    size_t n;
};

static struct engine *select_one(const struct router *r, const json_t *target)
{
    struct engine *e = NULL;
    if (json_is_string(target))
        e = registry_by_uuid(&r->registry, (struct slice){json_string_value(target),
                                                          json_string_length(target)});
    else if (json_is_integer(target))
        e = registry_by_id(&r->registry, json_integer_value(target));
    return e && engine_is_live(e) ? e : NULL;
}

static int by_id(const void *a, const void *b)
{
    const struct engine *const *x = a, *const *y = b;
    return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int select_all(const struct router *r, struct selection *ret)
{
    ret->engines = calloc(r->registry.n_live + 1, sizeof(*ret->engines));
    if (!ret->engines)
        return ERSA_ENOMEM;
    list_for_each (&r->registry.live, it)
        ret->engines[ret->n++] = container_of(it, struct engine, link);
    qsort(ret->engines, ret->n, sizeof(*ret->engines), by_id);
    return 0;
}

static void refuse_targets(const struct query *q, const json_t *bad)
{
    struct buf text;
    buf_init(&text, EVALUE_MAX);
    size_t i;
    json_t *item;
    buf_puts(&text, "No Such Engine: [");
    json_array_foreach(bad, i, item)
    {
        if (i)
            buf_puts(&text, ", ");
        put_repr_json(&text, item);
    }
    buf_putc(&text, ']');
    const char *evalue = buf_cstr(&text);
    hub_error(q, "IndexError", evalue ? evalue : "No Such Engine");
    buf_fini(&text);
}

static int select_listed(const struct query *q, const json_t *list, struct selection *ret)
{
    size_t i;
    json_t *target;
    json_t *bad = json_array();
    struct map seen;
    map_init(&seen);
    ret->engines = calloc(json_array_size(list) + 1, sizeof(*ret->engines));
    if (!ret->engines) {
        json_decref(bad);
        return ERSA_ENOMEM;
    }
    json_array_foreach(list, i, target)
    {
        struct engine *e = select_one(q->r, target);
        if (!e)
            json_array_append(bad, target);
        else if (!map_get(&seen, &e, sizeof(e))) {
            ret->engines[ret->n] = e;
            map_put(&seen, &ret->engines[ret->n++], sizeof(e), e);
        }
    }
    map_fini(&seen);
    int rc = json_array_size(bad) ? ERSA_ENOENT : 0;
    if (rc < 0)
        refuse_targets(q, bad);
    json_decref(bad);
    return rc;
}

/* An integer that fits nowhere is a real in our trees; it is no engine's id. */
static bool is_huge(const json_t *j)
{
    return fabs(json_real_value(j)) >= 0x1p63;
}

/* Reads the selector; on failure the query is answered. */
static int read_targets(const struct query *q, struct selection *ret)
{
    *ret = (struct selection){0};
    json_t *targets = json_object_get(q->content, "targets");
    if (!targets) {
        hub_error_key(q, "targets");
        return ERSA_ENOENT;
    }
    if (json_is_null(targets))
        return select_all(q->r, ret);
    json_t *list = json_is_array(targets) ? json_incref(targets) : json_pack("[O]", targets);
    int rc = 0;
    if (json_is_object(targets) || (json_is_real(targets) && !is_huge(targets))) {
        hub_error(q, "TypeError", "targets must be null, an id, a uuid, or a list of these");
        rc = ERSA_EINVAL;
    } else if (json_array_size(list) == 0) {
        hub_error(q, "IndexError", "No Engines Registered");
        rc = ERSA_ENOENT;
    } else {
        rc = select_listed(q, list, ret);
    }
    json_decref(list);
    return rc;
}

static const char *id_key(const struct engine *e, char out[24])
{
    snprintf(out, 24, "%" PRId64, e->id);
    return out;
}

/* A hundred thousand ids may be listed: they are written down at once, without a tree. */
struct listing {
    struct buf text;
    bool has_items;
    int rc;
};

static void put(struct listing *l, const char *text)
{
    if (l->rc == 0)
        l->rc = buf_puts(&l->text, text);
}

static void put_id(void *ctx, struct slice msg_id)
{
    struct listing *l = ctx;
    put(l, l->has_items ? ", " : "");
    l->has_items = true;
    if (l->rc == 0)
        l->rc = buf_put_json(&l->text, msg_id.data, msg_id.len);
}

static void begin_list(struct listing *l, const char *key)
{
    put(l, key);
    l->has_items = false;
}

static void list_engine(struct listing *l, struct engine *e)
{
    char key[24];
    put(l, ", \"");
    put(l, id_key(e, key));
    begin_list(l, "\": {\"queue\": [");
    ledger_walk_open(e, put_id, l);
    begin_list(l, "], \"completed\": [");
    ledger_walk_completed(e, put_id, l);
    begin_list(l, "], \"tasks\": [");
    sched_walk(e->task.sched, &e->task, put_id, l);
    put(l, "]}");
}

static void reply_lists(const struct query *q, const struct selection *sel)
{
    struct listing l = {0};
    buf_init(&l.text, LISTS_MAX);
    put(&l, "{\"status\": \"ok\"");
    for (size_t i = 0; i < sel->n; i++)
        list_engine(&l, sel->engines[i]);
    begin_list(&l, ", \"unassigned\": [");
    sched_walk(q->r->sched, NULL, put_id, &l);
    put(&l, "]}");
    if (l.rc == 0)
        hub_reply_text(q, "queue_reply", (struct slice){(const char *)l.text.data, l.text.len});
    else
        hub_error(q, "MemoryError", "the lists are too long");
    buf_fini(&l.text);
}

static void reply_counts(const struct query *q, const struct selection *sel)
{
    char key[24];
    json_t *reply = json_pack("{s:s}", "status", "ok");
    for (size_t i = 0; i < sel->n; i++) {
        const struct engine *e = sel->engines[i];
        json_object_set_new(reply, id_key(e, key),
                            json_pack("{s:I, s:I, s:I}", "queue", (json_int_t)e->n_queue,
                                      "completed", (json_int_t)e->n_completed, "tasks",
                                      (json_int_t)e->task.load));
    }
    json_object_set_new(reply, "unassigned",
                        json_integer((json_int_t)sched_counts(q->r->sched)->waiting));
    hub_reply(q, "queue_reply", reply);
}

void hub_queue_request(struct query *q)
{
    struct selection sel;
    if (read_targets(q, &sel) == 0) {
        bool is_verbose = json_truth(q->content, "verbose");
        (is_verbose ? reply_lists : reply_counts)(q, &sel);
    }
    free(sel.engines);
}

void hub_load_request(struct query *q)
{
    struct selection sel;
    char key[24];
    if (read_targets(q, &sel) == 0) {
        json_t *reply = json_pack("{s:s}", "status", "ok");
        for (size_t i = 0; i < sel.n; i++) {
            const struct engine *e = sel.engines[i];
            json_object_set_new(reply, id_key(e, key),
                                json_integer((json_int_t)e->n_queue + e->task.load));
        }
        hub_reply(q, "load_reply", reply);
    }
    free(sel.engines);
}
