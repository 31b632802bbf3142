/* SPDX-License-Identifier: BSD-3-Clause */
/* The profile directory: where it is, and what is in it (cluster.md 1).
 *
 *     --profile-dir  >  --profile  >  $IPP_PROFILE_DIR  >  <ipython dir>/profile_default
 *     --ipython-dir  >  $IPYTHONDIR, $IPYTHON_DIR  >  ~/.config/ipython where only that exists
 * >  ~/.ipython */
#ifndef ERSA_CONFIG_PROFILE_H
#define ERSA_CONFIG_PROFILE_H

#include "config/options.h"

struct profile {
    char *ipython_dir; /* all owned, absolute, normalised */
    char *dir;         /* <ipython_dir>/profile_<name>, or as given */
    char *name;        /* "default"; "" when `dir` does not say */
    char *security_dir, *log_dir, *pid_dir, *startup_dir;
};

/* Resolves, and opens: `dir` must exist, or is made where it may be (`default`, or
 * BaseIPythonApplication.auto_create); then the sub-directories are made, security/ and pid/
 * with mode 0700 (applied again where looser). Takes IPP_PROFILE_DIR and IPYTHONDIR through the
 * options. ERSA_ENOENT: not found; ERSA_EIO. */
int profile_open(struct profile *ret, struct options *o, struct ersa_error *err);
/* Only resolves: nothing is looked at below the IPython directory, nothing made. */
int profile_resolve(struct profile *ret, struct options *o, struct ersa_error *err);
void profile_close(struct profile *p);

/* "~", "~user" and $VAR or ${VAR} replaced; owned, NULL when out of memory. */
char *path_expand(const char *path);
/* Absolute, without "." and "..", "//"; symbolic links are left alone. Owned. */
char *path_normal(const char *path);

/* "<dir>/<base>[-<cluster id>]<suffix>"; owned. */
char *profile_file(const char *dir, const char *base, const char *cluster_id,
                   const char *suffix);
/* "<security_dir>/ipcontroller[-<cluster id>]-{client,engine}.json"; owned. */
char *profile_connection_file(const struct profile *p, const char *cluster_id,
                              bool engine_side);

/* --clean-logs: removes <log_dir>/<program>-[<anything>-]<digits>.{log,err,out}, but not those
 * that a program in the background writes to (it holds a shared flock). */
void profile_clean_logs(const struct profile *p, const char *program);

#endif
