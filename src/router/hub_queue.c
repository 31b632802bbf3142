/* SPDX-License-Identifier: BSD-3-Clause */
/* queue_request and load_request (controller.md 14.2 and 14.3): what each engine has to do and
 * has done. Engines that are gone don't appear; a task that moved is counted where it is. */
#include <inttypes.h>
#include <stdlib.h>

#include "router/core.h"
#include "wire/reply.h"
#include "wire/json.h"

#define EVALUE_MAX 4096

/* The engines that `targets` names; they are borrowed. */
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

static int select_all(const struct router *r, struct selection *ret)
{
    ret->engines = calloc(r->registry.n_live + 1, sizeof(*ret->engines));
    if (!ret->engines)
        return ERSA_ENOMEM;
    list_for_each (&r->registry.live, it)
        ret->engines[ret->n++] = container_of(it, struct engine, link);
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
    ret->engines = calloc(json_array_size(list) + 1, sizeof(*ret->engines));
    if (!ret->engines) {
        json_decref(bad);
        return ERSA_ENOMEM;
    }
    json_array_foreach(list, i, target)
    {
        struct engine *e = select_one(q->r, target);
        if (e)
            ret->engines[ret->n++] = e;
        else
            json_array_append(bad, target);
    }
    int rc = json_array_size(bad) ? ERSA_ENOENT : 0;
    if (rc < 0)
        refuse_targets(q, bad);
    json_decref(bad);
    return rc;
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
    if (json_is_object(targets) || json_is_real(targets)) {
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

static void append_id(void *ctx, struct slice msg_id)
{
    json_array_append_new(ctx, json_stringn(msg_id.data, msg_id.len));
}

/* One task of the scheduler: to its engine's list, or to the unassigned ones. */
static void append_task(void *ctx, struct slice msg_id, struct sched_engine *task)
{
    struct engine *e = task ? container_of(task, struct engine, task) : NULL;
    json_t *reply = ctx;
    char key[24];
    json_t *list = e ? json_object_get(json_object_get(reply, id_key(e, key)), "tasks")
                     : json_object_get(reply, "unassigned");
    json_array_append_new(list, json_stringn(msg_id.data, msg_id.len));
}

static json_t *count_engine(const struct engine *e)
{
    return json_pack("{s:I, s:I, s:I}", "queue", (json_int_t)e->n_queue, "completed",
                     (json_int_t)e->n_completed, "tasks", (json_int_t)e->task.load);
}

static json_t *list_engine(const struct engine *e)
{
    json_t *queue = json_array(), *completed = json_array();
    ledger_walk_open(e, append_id, queue);
    ledger_walk_completed(e, append_id, completed);
    return json_pack("{s:o, s:o, s:[]}", "queue", queue, "completed", completed, "tasks");
}

void hub_queue_request(struct query *q)
{
    struct selection sel;
    bool is_verbose = json_is_true(json_object_get(q->content, "verbose"));
    char key[24];
    if (read_targets(q, &sel) == 0) {
        json_t *reply = json_pack("{s:s}", "status", "ok");
        for (size_t i = 0; i < sel.n; i++)
            if (!json_object_get(reply, id_key(sel.engines[i], key)))
                json_object_set_new(reply, key,
                                    is_verbose ? list_engine(sel.engines[i])
                                               : count_engine(sel.engines[i]));
        if (is_verbose) {
            json_object_set_new(reply, "unassigned", json_array());
            sched_walk(q->r->sched, append_task, reply);
        } else {
            json_object_set_new(reply, "unassigned",
                                json_integer((json_int_t)sched_counts(q->r->sched)->waiting));
        }
        hub_reply(q, "queue_reply", reply);
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
                                json_integer((json_int_t)(e->n_queue + e->task.load)));
        }
        hub_reply(q, "load_reply", reply);
    }
    free(sel.engines);
}
