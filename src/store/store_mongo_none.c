/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for store_mongo.c in a build without libmongoc. */
#include "store/store.h"
#include "util/err.h"

int store_mongo_open(struct store **ret, const struct store_mongo_config *cfg,
                     struct ersa_error *err)
{
    return err_set(err, ERSA_EUNSUPPORTED,
                   "this build has no MongoDB: it needs libmongoc when it is configured");
}
