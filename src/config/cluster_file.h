/* SPDX-License-Identifier: BSD-3-Clause */
/* The cluster file security/cluster-<id>.json (cluster.md 2): what runs, so that a later
 * process, ours or the reference's `Cluster.from_file`, can take it over. No secrets in it. */
#ifndef ERSA_CONFIG_CLUSTER_FILE_H
#define ERSA_CONFIG_CLUSTER_FILE_H

#include <stdbool.h>

#include "ersa/error.h"
#include "wire/json.h"

/* Everything owned. */
struct cluster_file {
    char *cluster_id, *profile_dir;
    char *controller_ip, *controller_location;
    json_t *controller_args;  /* array of text */
    double delay;             /* seconds */
    int n;                    /* engines asked for, -1: null */
    char *class_name;         /* "ipyparallel.cluster.cluster.Cluster" */
    char *controller_class;   /* "local" */
    json_t *controller_state; /* the launcher's; NULL: no controller */
    char *engines_class;
    json_t *engine_sets; /* object: set id -> launcher's state */
};

/* Empty texts and containers, class names "local". ERSA_ENOMEM. */
int cluster_file_init(struct cluster_file *f, const char *profile_dir, const char *cluster_id);
void cluster_file_fini(struct cluster_file *f);

/* "<security_dir>/cluster-<id>.json", the dash also without an id; owned. */
char *cluster_file_path(const char *security_dir, const char *cluster_id);

/* `ret` needs no init before. ERSA_ENOENT, ERSA_EPARSE (what is wrong is named), ERSA_EIO. */
int cluster_file_read(const char *path, struct cluster_file *ret, struct ersa_error *err);
/* Rewrites the file as a whole; mode as umask says. */
int cluster_file_write(const char *path, const struct cluster_file *f, struct ersa_error *err);
/* Rewrites it, or removes it when nothing runs any more: no controller, no set. */
int cluster_file_update(const char *path, const struct cluster_file *f, struct ersa_error *err);
/* A file that is not there is fine. */
int cluster_file_remove(const char *path, struct ersa_error *err);
/* The object of the file, a new reference (also what `ipcluster list -o json` prints). */
json_t *cluster_file_json(const struct cluster_file *f);

/* Cluster files in a security directory: fn for each path, sorted. 0, or what fn returned
 * first. */
int cluster_file_each(const char *security_dir, int (*fn)(void *ctx, const char *path),
                      void *ctx);

#endif
