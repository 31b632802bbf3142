/* SPDX-License-Identifier: BSD-3-Clause */
/* Log files of launched processes: opened, shown when a process ends, followed while it runs,
 * and tidied by age and number. A file that a process still writes to is told by a shared lock
 * on the open file that the process inherits, so tidying never takes a living process's log. */
#ifndef ERSA_LAUNCH_OUTPUT_H
#define ERSA_LAUNCH_OUTPUT_H

#include <stddef.h>
#include <sys/types.h>

#include "ersa/error.h"
#include "loop/loop.h"
#include "util/list.h"

/* For appending, mode 0600, locked as above. The descriptor, or ERSA_EIO. */
int output_open(const char *path, struct ersa_error *err);

/* The last `limit` lines of what was written behind offset `from`, owned, without a final
 * newline; "" when there is nothing, NULL when it can't be read. Long lines and texts are cut.
 */
char *output_tail(const char *path, off_t from, size_t limit);

/* Removes the file if it is empty. */
void output_drop_empty(const char *path);

/* Removes logs of launched processes in `log_dir` that nobody writes to: all but the newest
 * `keep`. Returns how many. */
size_t output_prune(const char *log_dir, size_t keep);

/* Copies what comes into some files to a descriptor, whole lines, ten times a second. */
struct follow {
    struct loop *loop; /* borrowed */
    struct timer timer;
    struct list files;
    int out_fd;
};

void follow_init(struct follow *f, struct loop *loop, int out_fd);
void follow_fini(struct follow *f);
/* From its beginning. ERSA_ENOMEM; a file that can't be opened is not followed. */
int follow_add(struct follow *f, const char *path);
/* Copies what is there now; called also when a process has ended. */
void follow_drain(struct follow *f);

#endif
