/* SPDX-License-Identifier: BSD-3-Clause */
/* Waits for the controller's engine file: fresh (a crash may have left an old one), whole,
 * readable. inotify tells at once; a slow timer helps where it can't be had. */
#ifndef ERSA_LAUNCH_AWAIT_FILE_H
#define ERSA_LAUNCH_AWAIT_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "ersa/error.h"
#include "loop/loop.h"

/* Which file has the name now; taken before its writer is started. */
struct file_mark {
    bool exists;
    struct stat st;
};
void file_mark_take(struct file_mark *m, const char *path);
/* Is there a file, and another than then (or written again since)? */
bool file_mark_is_newer(const struct file_mark *m, const char *path);

struct await_file;
/* rc: 0, ERSA_ETIMEDOUT. Comes once, from the loop. */
typedef void (*await_file_fn)(void *ctx, int rc, const struct ersa_error *err);

struct await_file {
    struct loop *loop; /* NULL: not waiting */
    char *path;        /* owned */
    struct file_mark before;
    struct watch inotify;
    struct timer poll, deadline;
    struct ersa_error why; /* why the file that is there was not taken */
    await_file_fn fn;
    void *ctx;
};

/* timeout_s < 0: no limit. ERSA_ENOMEM. */
int await_file_start(struct await_file *a, struct loop *l, const char *path,
                     const struct file_mark *before, double timeout_s, await_file_fn fn,
                     void *ctx);
void await_file_stop(struct await_file *a); /* no-op when not waiting */

#endif
