/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of message ids that stays small: ids of the usual form "<session>_<pid>_<n>" are kept
 * as runs of n, so that ten million of them in about their order take a few octets; others,
 * each as it is, up to a bound, the oldest of which is forgotten. */
#ifndef ERSA_RECORDS_IDSET_H
#define ERSA_RECORDS_IDSET_H

#include <stdbool.h>

#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

#define IDSET_OTHERS_MAX 100000 /* ids of another form */
#define IDSET_RUNS_MAX 1000000  /* runs of all prefixes together */
#define IDSET_PREFIXES_MAX 100000

struct idset {
    struct map prefixes, others;
    struct list prefixes_by_age, others_by_age;
    struct id_prefix *last; /* the one used last, or NULL */
    size_t n_runs;
};

void idset_init(struct idset *s);
void idset_fini(struct idset *s);
/* 0 or ERSA_ENOMEM. Adding what is there changes nothing. */
int idset_add(struct idset *s, struct slice id);
bool idset_has(struct idset *s, struct slice id);
void idset_remove(struct idset *s, struct slice id);
void idset_clear(struct idset *s);

#endif
