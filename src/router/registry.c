/* SPDX-License-Identifier: BSD-3-Clause */
/* Engines by uuid and id. The transitions are engine.c's; this file keeps the tables true to
 * them and passes each change on. */
#include "router/registry.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "wire/caps.h"
#include "util/err.h"
#include "util/log.h"

#define PAST_MAX 65536 /* ended engines remembered */

struct past_engine {
    struct list link;
    int64_t id, ended_ns;
    unsigned caps;
    bool by_heart;
    size_t uuid_len;
    char uuid[];
};

static void forget_past(struct registry *r, struct past_engine *p)
{
    map_remove(&r->past, p->uuid, p->uuid_len);
    list_remove(&p->link);
    free(p);
}

static void remember_past(struct registry *r, const struct engine *e, bool by_heart)
{
    struct past_engine *old = map_get(&r->past, e->uuid.data, e->uuid.len);
    if (old)
        forget_past(r, old);
    struct past_engine *p = malloc(sizeof(*p) + e->uuid.len);
    if (!p)
        return;
    p->id = e->id;
    p->ended_ns = loop_now_ns(r->env.loop);
    p->caps = e->caps;
    p->by_heart = by_heart;
    p->uuid_len = e->uuid.len;
    memcpy(p->uuid, e->uuid.data, e->uuid.len);
    if (map_put(&r->past, p->uuid, p->uuid_len, p) < 0) {
        free(p);
        return;
    }
    list_push_back(&r->past_order, &p->link);
    if (map_size(&r->past) > PAST_MAX)
        forget_past(r, container_of(r->past_order.next, struct past_engine, link));
}

static void on_alive(void *ctx, struct engine *e)
{
    struct registry *r = ctx;
    list_remove(&e->link);
    list_push_back(&r->live, &e->link);
    r->n_pending--;
    r->n_live++;
    r->ops->alive(r->ctx, e);
}

static void on_gone(void *ctx, struct engine *e, bool was_alive)
{
    struct registry *r = ctx;
    map_remove(&r->by_uuid, e->uuid.data, e->uuid.len);
    map_remove(&r->by_id, &e->id, sizeof(e->id));
    list_remove(&e->link);
    list_push_back(&r->leaving, &e->link);
    if (was_alive) {
        r->n_live--;
        remember_past(r, e, e->is_silent);
    } else {
        r->n_pending--;
        if (e->restored)
            remember_past(r, e, true);
    }
    r->ops->gone(r->ctx, e, was_alive);
}

static void on_strand(void *ctx, struct engine *e)
{
    struct registry *r = ctx;
    r->ops->strand(r->ctx, e);
}

static void on_absent(void *ctx, struct engine *e)
{
    struct registry *r = ctx;
    list_remove(&e->link);
    list_push_back(&r->dead, &e->link);
    loop_defer(r->env.loop, &r->sweep);
}

static const struct engine_ops own_ops = {
    .alive = on_alive,
    .gone = on_gone,
    .strand = on_strand,
    .absent = on_absent,
};

static void sweep_dead(struct defer *d)
{
    struct registry *r = container_of(d, struct registry, sweep);
    struct list *it;
    while ((it = list_pop_front(&r->dead))) {
        struct engine *e = container_of(it, struct engine, link);
        r->ops->absent(r->ctx, e);
        engine_free(e);
    }
}

static void free_all(struct list *head)
{
    struct list *it;
    while ((it = list_pop_front(head)))
        engine_free(container_of(it, struct engine, link));
}

/* The id for a registration; `wish` is honoured unless another engine has it. */
static int64_t choose_id(struct registry *r, struct slice uuid, int64_t wish)
{
    const struct past_engine *p = map_get(&r->past, uuid.data, uuid.len);
    if (wish == REGISTRY_NO_ID && p)
        wish = p->id;
    if (wish != REGISTRY_NO_ID && !map_get(&r->by_id, &wish, sizeof(wish))) {
        if (wish >= r->next_id)
            r->next_id = wish + 1;
        return wish;
    }
    if (wish != REGISTRY_NO_ID)
        log_warn("registration::engine id %" PRId64 " in use, engine %.*s gets another", wish,
                 SLICE_FMT(uuid));
    return r->next_id++;
}

void registry_init(struct registry *r, struct loop *l, const struct registry_limits *limits,
                   const struct engine_ops *ops, void *ctx)
{
    *r = (struct registry){
        .env =
            {
                .loop = l,
                .ops = &own_ops,
                .ctx = r,
                .stall_ms = limits->registration_timeout_ms,
                .restore_ms = limits->restore_ms,
                .settle_ms = limits->settle_ms ? limits->settle_ms : 2000,
                .lost_ms = limits->lost_ms ? limits->lost_ms : 5000,
                .linger_reported_ms =
                    limits->linger_reported_ms ? limits->linger_reported_ms : 200,
                .linger_lost_ms = limits->linger_lost_ms ? limits->linger_lost_ms : 5000,
                .linger_cut_ms = limits->linger_cut_ms ? limits->linger_cut_ms : 2000,
            },
        .sweep.fn = sweep_dead,
        .ops = ops,
        .ctx = ctx,
    };
    map_init(&r->by_uuid);
    map_init(&r->by_id);
    map_init(&r->past);
    list_init(&r->pending);
    list_init(&r->live);
    list_init(&r->leaving);
    list_init(&r->dead);
    list_init(&r->past_order);
    list_init(&r->sweep.link);
}

void registry_fini(struct registry *r)
{
    loop_undefer(&r->sweep);
    free_all(&r->pending);
    free_all(&r->live);
    free_all(&r->leaving);
    free_all(&r->dead);
    struct list *it;
    while ((it = list_pop_front(&r->past_order)))
        free(container_of(it, struct past_engine, link));
    map_fini(&r->past);
    map_fini(&r->by_uuid);
    map_fini(&r->by_id);
}

/* Takes `e`, which may be NULL. */
static int insert(struct registry *r, struct engine *e, struct engine **ret,
                  struct ersa_error *err)
{
    if (!e)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    if (map_put(&r->by_uuid, e->uuid.data, e->uuid.len, e) < 0) {
        engine_free(e);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    if (map_put(&r->by_id, &e->id, sizeof(e->id), e) < 0) {
        map_remove(&r->by_uuid, e->uuid.data, e->uuid.len);
        engine_free(e);
        return err_set(err, ERSA_ENOMEM, "out of memory");
    }
    list_push_back(&r->pending, &e->link);
    r->n_pending++;
    engine_event(e, EV_REGISTER);
    *ret = e;
    return 0;
}

/* It registers anew. A stock engine doesn't, one of ours has lost its connection; over the
 * stock sockets it may be in service already. */
static int take_restored(struct engine *e, unsigned caps)
{
    e->restored = false;
    e->caps = caps;
    if (engine_is_live(e))
        return 0;
    e->has_beaten = false;
    loop_after(e->env->loop, &e->stall, MS_TO_NS(e->env->stall_ms));
    return 0;
}

int registry_add(struct registry *r, struct slice uuid, int64_t wish, unsigned caps,
                 struct engine **ret, struct ersa_error *err)
{
    struct engine *e = registry_by_uuid(r, uuid);
    *ret = e;
    if (e && e->restored)
        return take_restored(e, caps);
    if (e)
        return err_set(err, ERSA_EEXIST, "uuid '%.*s' in use", SLICE_FMT(uuid));
    e = engine_new(&r->env, uuid, choose_id(r, uuid, wish));
    if (e)
        e->caps = caps;
    return insert(r, e, ret, err);
}

int registry_restore(struct registry *r, struct slice uuid, int64_t id, struct engine **ret,
                     struct ersa_error *err)
{
    if (registry_by_uuid(r, uuid) || registry_by_id(r, id))
        return err_set(err, ERSA_EEXIST, "engine %" PRId64 ":%.*s is there twice", id,
                       SLICE_FMT(uuid));
    struct engine *e = engine_new(&r->env, uuid, id);
    if (e)
        e->restored = e->has_beaten = true;
    if (id >= r->next_id)
        r->next_id = id + 1;
    return insert(r, e, ret, err);
}

struct engine *registry_by_uuid(const struct registry *r, struct slice uuid)
{
    return map_get(&r->by_uuid, uuid.data, uuid.len);
}

struct engine *registry_by_id(const struct registry *r, int64_t id)
{
    return map_get(&r->by_id, &id, sizeof(id));
}

bool registry_has_ended(const struct registry *r, struct slice uuid)
{
    return map_get(&r->past, uuid.data, uuid.len) && !registry_by_uuid(r, uuid);
}

void registry_walk_ended(const struct registry *r, int64_t since_ns,
                         void (*fn)(void *ctx, int64_t id, struct slice uuid), void *ctx)
{
    const struct list *past = &r->past_order;
    for (const struct list *it = past->prev; it != past; it = it->prev) {
        const struct past_engine *p = container_of(it, struct past_engine, link);
        struct slice uuid = {p->uuid, p->uuid_len};
        if (p->ended_ns < since_ns)
            return;
        if (!registry_by_uuid(r, uuid))
            fn(ctx, p->id, uuid);
    }
}

bool registry_lost_heart(const struct registry *r, struct slice uuid, int64_t *ret_id,
                         unsigned *ret_caps)
{
    const struct past_engine *p = map_get(&r->past, uuid.data, uuid.len);
    if (!p || !p->by_heart)
        return false;
    *ret_id = p->id;
    *ret_caps = p->caps;
    return true;
}
