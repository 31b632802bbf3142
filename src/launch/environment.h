/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment of a launched process (cluster.md 3.4). */
#ifndef ERSA_LAUNCH_ENVIRONMENT_H
#define ERSA_LAUNCH_ENVIRONMENT_H

#include <jansson.h>

/* Ours, without what would name another cluster to it (IPP_CONNECTION_INFO), with
 * IPP_PROFILE_DIR, IPP_CLUSTER_ID, and `more` (an object of texts, numbers or booleans; may be
 * NULL) over them. Owned, freed by environment_free(); NULL when out of memory. */
char **environment_make(const char *profile_dir, const char *cluster_id, const json_t *more);
void environment_free(char **env);

#endif
