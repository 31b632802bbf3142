/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding profiles, and the clusters in them that have a file. */
#ifndef ERSA_CLI_CLUSTER_SCAN_H
#define ERSA_CLI_CLUSTER_SCAN_H

#include "cli/cli.h"

struct cluster_ref {
    struct profile profile; /* owned */
    char *title; /* owned: name of the profile, its path outside the IPython directory */
    char *id;    /* owned */
    char *path;  /* owned: the cluster file */
};

struct cluster_refs {
    struct cluster_ref *items; /* owned array, by profile and id */
    size_t n, cap;
};

typedef int (*profile_fn)(void *ctx, const struct profile *p);

/* The profile that the command line chose; where it chose none and `all`: every profile of the
 * IPython directory. Nothing is created. 0, ERSA_ENOMEM, or what fn returned first. */
int cluster_scan_profiles(const struct cli *c, bool all, profile_fn fn, void *ctx);
/* Clusters with a file in one profile, added to `refs`. ERSA_ENOMEM. */
int cluster_scan(const struct cli *c, const struct profile *p, struct cluster_refs *refs);
void cluster_refs_fini(struct cluster_refs *refs);

#endif
