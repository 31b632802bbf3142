/* SPDX-License-Identifier: BSD-3-Clause */
/* Who wrote a connection file. A controller that was killed leaves its files behind, and who
 * connects by them waits for nobody; so ours say which process they are of (extensions.md 1),
 * and whoever can tell that it is gone takes them for what they are. Files that are kept on
 * purpose
 * (--reuse), of the reference, or of another machine are left alone. */
#ifndef ERSA_CLI_WRITER_H
#define ERSA_CLI_WRITER_H

#include "config/connection_file.h"
#include "config/profile.h"

/* This process, for connection_info.controller: a new reference, NULL when out of memory. */
json_t *writer_self(void);
/* Certainly gone: a process of this machine that runs no more. */
bool writer_is_gone(const struct connection_info *c);
/* Removes the file if its writer is gone and did not want it kept. */
void writer_remove_stale(const char *path, bool engine_side);
/* Removes a file that `self` has written. False: it is another controller's by now (on another
 * host, perhaps, with the same home directory), and stays. */
bool writer_remove_own(const char *path, bool engine_side, const json_t *self);
/* Both files of the cluster. */
void writer_tidy(const struct profile *p, const char *cluster_id);

#endif
