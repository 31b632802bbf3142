/* SPDX-License-Identifier: BSD-3-Clause */
/* The fields of a record by number and by name. */
#include "store/store.h"

#include <string.h>

const struct store_field_def store_fields[F_MAX] = {
#define X(name, kind) {#name, #kind[0]},
    STORE_FIELDS(X)
#undef X
};

const struct slice store_stripped_content = SLICE_LIT(
    "{\"status\": \"error\", \"ename\": \"" STORE_STRIPPED_ENAME
    "\", \"evalue\": \"the record of this task was kept without its payload: the store had "
    "no room for it\", \"traceback\": [], \"engine_info\": {}}");

enum store_field store_field_find(struct slice name)
{
    unsigned f = 0;
    while (f < F_MAX && !slice_is(name, store_fields[f].name))
        f++;
    return (enum store_field)f;
}
