/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is there: engines by uuid and by id (hashed), the rule for ids, and the engines that
 * ended (controller.md 7 and 9). Frees an engine after its last transition, at the end of the
 * turn. */
#ifndef ERSA_ROUTER_REGISTRY_H
#define ERSA_ROUTER_REGISTRY_H

#include "router/engine.h"
#include "util/map.h"

struct registry {
    struct engine_env env;
    struct map by_uuid;        /* PENDING, ALIVE, PROBATION */
    struct map by_id;          /* the same, by struct engine.id */
    struct list pending, live; /* by age */
    struct list leaving;       /* GONE: work is still open */
    size_t n_pending, n_live;
    int64_t next_id;

    struct map past;        /* struct past_engine by uuid: who may come back under its id */
    struct list past_order; /* oldest first */

    struct list dead; /* ABSENT again: freed by `sweep` */
    struct defer sweep;
    const struct engine_ops *ops; /* borrowed: what others do about a change */
    void *ctx;
};

struct registry_limits {
    int64_t registration_timeout_ms;
    int64_t restore_ms;
    int64_t settle_ms;          /* 0: 2,000 */
    int64_t lost_ms;            /* 0: 5,000 */
    int64_t linger_reported_ms; /* 0: 200 */
    int64_t linger_lost_ms;     /* 0: 5,000 */
    int64_t linger_cut_ms;      /* 0: 2,000 */
};

/* `ops` (all set) are called after the registry has done its own part; `absent` just before the
 * engine is freed. */
void registry_init(struct registry *r, struct loop *l, const struct registry_limits *limits,
                   const struct engine_ops *ops, void *ctx);
void registry_fini(struct registry *r);

#define REGISTRY_NO_ID (-1)

/* Takes an engine of an earlier run for one that is being registered: it is usable as soon as
 * it is connected again, and gone (`gone` is told, was_alive false) when it is not in
 * restore_ms. ERSA_EEXIST, ERSA_ENOMEM. */
int registry_restore(struct registry *r, struct slice uuid, int64_t id, struct engine **ret,
                     struct ersa_error *err);

/* Accepts a registration: the engine is PENDING then. `wish`: the id it asks for, or
 * REGISTRY_NO_ID. It gets it unless another engine has it; else its old id when the uuid was
 * here before, else the next number. A restored engine keeps its place and its id. ERSA_EEXIST:
 * the uuid is in use (`ret` is that engine). ERSA_ENOMEM. */
int registry_add(struct registry *r, struct slice uuid, int64_t wish, unsigned caps,
                 struct engine **ret, struct ersa_error *err);

/* It was here, has ended, and is not back. */
bool registry_has_ended(const struct registry *r, struct slice uuid);

/* Registered and not GONE; NULL when there is none. */
struct engine *registry_by_uuid(const struct registry *r, struct slice uuid);
struct engine *registry_by_id(const struct registry *r, int64_t id);

/* Those that ended since then and are not here again, the last one first. `uuid` is borrowed.
 */
void registry_walk_ended(const struct registry *r, int64_t since_ns,
                         void (*fn)(void *ctx, int64_t id, struct slice uuid), void *ctx);

/* Did an engine of that uuid end because its heart was silent? Then it can be announced again
 * when the heart comes back, with this id and these capabilities. */
bool registry_lost_heart(const struct registry *r, struct slice uuid, int64_t *ret_id,
                         unsigned *ret_caps);

#endif
