/* SPDX-License-Identifier: BSD-3-Clause */
/* A process of this machine that outlives us in a file: pid, kernel start time and boot id, so
 * that a pid that was given to somebody else is never taken for it. In launcher states
 * (cluster.md 2):
 *
 *     {"pid": 4711, "ersa": {"start": 123456, "boot": "<boot id>"}, ...}
 *
 * A state that the reference wrote, or wrote again, has only the pid. Such a process must carry
 * the cluster in its environment, as every process of a launcher does (IPP_PROFILE_DIR,
 * IPP_CLUSTER_ID), to be taken for ours. */
#ifndef ERSA_LAUNCH_PROC_H
#define ERSA_LAUNCH_PROC_H

#include <sys/types.h>

#include "ersa/error.h"
#include "wire/json.h"

#define PROC_BOOT_MAX 37 /* with NUL */

struct proc {
    pid_t pid;
    unsigned long long start; /* clock ticks between boot and its start; 0: not recorded */
    char boot[PROC_BOOT_MAX]; /* "": not recorded */
};

/* Who has this pid now. ERSA_ENOENT: nobody, or a zombie. */
int proc_identify(pid_t pid, struct proc *ret);

/* Adds "pid" and "ersa" to a state; ERSA_ENOMEM. */
int proc_save(const struct proc *p, json_t *state);
/* ERSA_EPARSE: no pid in it. */
int proc_load(struct proc *ret, const json_t *state);

/* A pidfd of exactly this process: the pid is held first and looked at then, so nothing can
 * come between. ERSA_ENOENT: it does not run any more (a zombie included), or the pid is a
 * stranger's; ERSA_EIO. */
int proc_open(const struct proc *p, const char *profile_dir, const char *cluster_id,
              int *ret_fd);
/* Errors are ignored: the only one is that it has just ended. */
void proc_signal(int pidfd, int signo);
/* SIGKILL to the process group that it leads, if it leads one; older kernels can't, and nothing
 * happens. */
void proc_kill_group(int pidfd);

#endif
