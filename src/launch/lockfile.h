/* SPDX-License-Identifier: BSD-3-Clause */
/* Advisory locks in files of their own (flock): the short one around each change of a cluster
 * file, and the one that an ipcluster holds on its pid file as long as it lives. The system
 * lets go when the holder ends, however it ends. The file is removed by its holder before it
 * lets go; who waited for it notices and takes the new one. */
#ifndef ERSA_LAUNCH_LOCKFILE_H
#define ERSA_LAUNCH_LOCKFILE_H

#include <stdbool.h>

#include "ersa/error.h"

/* Waits at most `timeout_s`. The descriptor, or ERSA_ETIMEDOUT, ERSA_EIO. Where the file system
 * has no locks, goes on without (a debug line). Released by lockfile_drop(), or by the
 * process's end. */
int lockfile_take(const char *path, double timeout_s, struct ersa_error *err);
/* Removes the file and lets go. */
void lockfile_drop(const char *path, int fd);

/* Takes the pid file's lock and writes our pid into it. As lockfile_take(). */
int pidfile_create(const char *path, double timeout_s, struct ersa_error *err);
/* Waits until nobody holds it (a file that was left behind is removed): 0, ERSA_ETIMEDOUT,
 * ERSA_EIO. */
int pidfile_wait_gone(const char *path, double timeout_s, struct ersa_error *err);
/* Signals who holds it. False: nobody does. */
bool pidfile_signal(const char *path, int signo);

#endif
