/* SPDX-License-Identifier: BSD-3-Clause */
/* What the metadata of a request says to the scheduler (schedulers.md 3), read in place. */
#ifndef ERSA_ROUTER_TASK_META_H
#define ERSA_ROUTER_TASK_META_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/jscan.h"

/* A dependency as written; `ids` is an array or a single string, J_ABSENT: none. */
struct dep_meta {
    struct jfield ids;
    bool all, success, failure;
};

struct task_meta {
    unsigned retries;
    struct jfield targets; /* array of strings, or J_ABSENT: any engine */
    struct dep_meta after, follow;
    int64_t timeout_ns; /* 0: none */
    bool is_plain;      /* neither targets nor dependencies nor timeout */
};

/* 0; ERSA_EPARSE: not a JSON object; ERSA_EINVAL: a member makes no sense, and *ret_complaint
 * (a static sentence) says which. */
int task_meta_read(struct slice metadata, struct task_meta *ret, const char **ret_complaint);

/* Walks the ids: start with *pos = 0, false at the end. `buf` is for an id with escapes. */
#define DEP_ID_MAX 512
bool dep_meta_next(const struct dep_meta *d, size_t *pos, char buf[DEP_ID_MAX],
                   struct slice *ret);

#endif
