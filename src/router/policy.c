/* SPDX-License-Identifier: BSD-3-Clause */
/* The task schemes there are: one row each. */
#include "router/policy.h"

#include <string.h>

#include "util/err.h"

static const struct policy_ops *const schemes[] = {
    &policy_leastload, &policy_lru,    &policy_plainrandom,
    &policy_pure,      &policy_twobin, &policy_weighted,
};

int policy_open(struct policy **ret, const char *scheme, struct ersa_error *err)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strcmp(schemes[i]->name, scheme) != 0)
            continue;
        int rc = schemes[i]->open(ret);
        return rc < 0 ? err_set(err, rc, "task scheme %s: %s", scheme, ersa_strerror(rc)) : 0;
    }
    return err_set(err, ERSA_EUNSUPPORTED, "task scheme '%s' is not known", scheme);
}

void policy_close(struct policy *p)
{
    if (p)
        p->ops->close(p);
}
