/* SPDX-License-Identifier: BSD-3-Clause */
/* Config files (cli_config.md 4): for each of `ipython_config`, `<program>_config` and the file
 * of
 * --config, in each directory from /etc/ipython to the profile's, first .py, then .json.
 *
 * JSON is read here. A .py file is evaluated as a whole by the user's Python (python.h), which
 * hands back plain values and the lines that set them; a file that sets nothing is not
 * evaluated. */
#ifndef ERSA_CONFIG_CONFIG_FILE_H
#define ERSA_CONFIG_CONFIG_FILE_H

#include "config/options.h"
#include "config/profile.h"

/* Reads all that is there. A file that fails, or cannot be evaluated since there is no Python,
 * is an error that names it (ERSA_EPARSE, ERSA_EIO, ERSA_EUNSUPPORTED); with
 * $IPYTHON_SUPPRESS_CONFIG_ERRORS set (and not 0) a warning. Unknown traits and bad values: as
 * options_set_json(). */
int config_files_load(struct options *o, const struct profile *p, struct ersa_error *err);

/* One file; its kind is told by its name. */
int config_file_load(struct options *o, const struct profile *p, const char *path,
                     struct ersa_error *err);

/* What Python made of the file (config_eval.h): a list of [class, trait, kind, value, file,
 * line]. */
int config_entries_set(struct options *o, const json_t *entries, const char *path,
                       struct ersa_error *err);

#endif
