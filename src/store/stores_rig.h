/* SPDX-License-Identifier: BSD-3-Clause */
/* For the suites of all stores: a row of `stores` says how to open one, whether it keeps
 * anything, and what it needs. Only tests include it. */
#ifndef ERSA_STORE_STORES_RIG_H
#define ERSA_STORE_STORES_RIG_H

#include "store/store_rig.h"

static inline int open_none(struct store **ret)
{
    return store_none_open(ret, NULL);
}

static inline int open_memory(struct store **ret)
{
    struct store_limits limits = {.records = 1000, .bytes = 1 << 20, .cull = 0.1};
    return store_memory_open(ret, &limits, NULL);
}

/* A server for tests: mongodb://... */
#define MONGODB "ERSA_TEST_MONGODB"

static inline int open_mongo(struct store **ret)
{
    static int n;
    char database[64];
    snprintf(database, sizeof(database), "test_%d_%d", (int)getpid(), n++);
    struct store_mongo_config cfg = {.uri = getenv(MONGODB), .database = database};
    return store_mongo_open(ret, &cfg, NULL);
}

static const struct seat {
    const char *name;
    int (*open)(struct store **ret);
    bool keeps;
    const char *needs; /* a variable of the environment */
} stores[] = {
    {"none", open_none, false, NULL},
    {"memory", open_memory, true, NULL},
    {"sqlite", open_sqlite, true, NULL},
    {"mongodb", open_mongo, true, MONGODB},
};
#define N_STORES (sizeof(stores) / sizeof(stores[0]))

static inline void run_on(bool keeps, void (*check)(struct store *st))
{
    for (size_t i = 0; i < N_STORES; i++) {
        struct store *st = NULL;
        if (stores[i].keeps != keeps || (stores[i].needs && !getenv(stores[i].needs)))
            continue;
        assert_int_equal(stores[i].open(&st), 0);
        assert_string_equal(st->ops->name, stores[i].name);
        check(st);
        st->ops->close(st);
    }
}

static inline int stop_at_second(void *ctx, const struct store_record *r)
{
    return ++*(int *)ctx == 2 ? ERSA_EFULL : 0;
}

#endif
