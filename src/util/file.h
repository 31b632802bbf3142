/* SPDX-License-Identifier: BSD-3-Clause */
/* Files as a daemon writes them: private from the first octet, never half there. */
#ifndef ERSA_UTIL_FILE_H
#define ERSA_UTIL_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "ersa/error.h"
#include "util/buf.h"

/* Writes to a temporary name with `mode`, syncs, renames. ERSA_EIO, err names the path. */
int file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                      struct ersa_error *err);
/* Appends the whole file to `out` (its max is the limit). ERSA_ENOENT, ERSA_EIO (a pipe that
 * nobody writes to, for 3 s, as well), ERSA_EFULL. */
int file_read(const char *path, struct buf *out, struct ersa_error *err);
/* mkdir -p with `mode` for what is created. */
int file_mkdirs(const char *path, mode_t mode, struct ersa_error *err);
/* Directory of the running executable, owned, or NULL. */
char *file_exe_dir(void);

#endif
