/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster as a program holds it: its launches, and its cluster file. Several programs may
 * hold the same one (who started it, `ipcluster engines`, `ipcluster stop`, a stock `Cluster`):
 * each change of the file is read, changed and written under a lock, and touches only what its
 * holder knows of. What the file says is believed only where a process really runs. */
#ifndef ERSA_LAUNCH_CLUSTER_H
#define ERSA_LAUNCH_CLUSTER_H

#include "config/cluster_file.h"
#include "config/profile.h"
#include "launch/launcher.h"

struct cluster_set {
    struct list link;
    char *id; /* owned */
    struct launch *launch;
};

struct cluster {
    struct loop *loop; /* borrowed */
    char *path, *lock_path,
        *pid_path;            /* owned; the cluster file, its lock, pid/ipcluster[-<id>].pid */
    char *log_dir;            /* owned */
    struct cluster_file file; /* head: what is common to the whole cluster */
    struct launch_events events; /* of launches that cluster_load() makes */
    struct launch *controller;   /* owned; NULL: not known here */
    struct list sets;            /* of struct cluster_set */
    bool is_guest;     /* adds sets to a cluster of somebody else: head and controller are the
                          file's */
    bool is_loaded;    /* a file was there */
    char *unsupported; /* owned; launcher that we can't handle, NULL */
};

/* Paths and an empty head. ERSA_ENOMEM. cluster_close() also after an error. */
int cluster_open(struct cluster *c, struct loop *l, const struct profile *p,
                 const char *cluster_id, struct ersa_error *err);
void cluster_close(struct cluster *c); /* stops nothing */

/* Reads the file and takes over what of it runs. ERSA_ENOENT: no file; ERSA_EPARSE, ERSA_EIO.
 * Parts that are held already are left alone. */
int cluster_load(struct cluster *c, struct ersa_error *err);

/* From the check whether it runs until the file says so: nobody else may start it. */
int cluster_lock(struct cluster *c, double timeout_s, struct ersa_error *err); /* descriptor */
void cluster_unlock(struct cluster *c, int fd);
/* Writes what has changed into the file; removes the file when nothing runs any more. For who
 * holds the lock. */
int cluster_save(struct cluster *c, struct ersa_error *err);

/* Takes `launch` on success. ERSA_ENOMEM. */
int cluster_add_set(struct cluster *c, const char *id, struct launch *launch);
/* Unix seconds, with -1, -2, ... behind where a set, here or in the file, has that id already;
 * owned. Who holds the lock until the set is saved has it for himself. */
char *cluster_new_set_id(const struct cluster *c);

/* A controller that is not known to have ended; one that we can't look at counts as running. */
bool cluster_has_controller(const struct cluster *c);
int cluster_n_engines(const struct cluster *c);
/* Launches that have not ended (sets of 0 engines included). */
int cluster_n_running(const struct cluster *c);
void cluster_stop(struct cluster *c, const struct launch_stop *how);
void cluster_signal_engines(struct cluster *c, int signo);
/* To engines that the file does not name (yet): who reads it cannot know of them. */
void cluster_signal_unsaved(struct cluster *c, int signo);
/* Stops all of `n` clusters at the same time, in turns of their common loop. 0, or
 * ERSA_ETIMEDOUT when something would not end. */
int cluster_stop_wait(struct cluster **clusters, size_t n, const struct launch_stop *how);
/* The file's object with only what runs: a new reference. */
json_t *cluster_json(const struct cluster *c);

#endif
