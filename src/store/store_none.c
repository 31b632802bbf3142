/* SPDX-License-Identifier: BSD-3-Clause */
/* The store that keeps nothing (db.md 5.1): writing succeeds, reading says so. */
#include <stdlib.h>

#include "store/store.h"
#include "util/err.h"

#define TEXT "NoDB backend doesn't store any data. "

static void on_close(struct store *st)
{
    free(st);
}

static int on_put(struct store *st, const struct store_record *r, struct ersa_error *err)
{
    return 0;
}

static int on_append(struct store *st, struct slice msg_id, enum store_field f,
                     struct slice text, struct ersa_error *err)
{
    return 0;
}

static int on_get(struct store *st, struct slice msg_id, uint32_t fields,
                  struct store_record *ret, struct ersa_error *err)
{
    return err_set(err, ERSA_EUNSUPPORTED, TEXT);
}

static int on_drop(struct store *st, struct slice msg_id, struct ersa_error *err)
{
    return 0;
}

static int on_history(struct store *st, void (*fn)(void *ctx, struct slice msg_id), void *ctx,
                      struct ersa_error *err)
{
    return err_set(err, ERSA_EUNSUPPORTED, TEXT);
}

static int on_find(struct store *st, const struct store_query *q, uint32_t fields,
                   int (*fn)(void *ctx, const struct store_record *r), void *ctx,
                   struct ersa_error *err)
{
    return err_set(err, ERSA_EUNSUPPORTED, TEXT);
}

static const struct store_ops ops = {
    .name = "none",
    .close = on_close,
    .put = on_put,
    .update = on_put,
    .append = on_append,
    .get = on_get,
    .drop = on_drop,
    .history = on_history,
    .find = on_find,
};

int store_none_open(struct store **ret, struct ersa_error *err)
{
    struct store *st = calloc(1, sizeof(*st));
    if (!st)
        return err_set(err, ERSA_ENOMEM, "out of memory");
    st->ops = &ops;
    *ret = st;
    return 0;
}
