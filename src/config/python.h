/* SPDX-License-Identifier: BSD-3-Clause */
/* Which Python is the user's (design.md 2): the configured one, $VIRTUAL_ENV or $CONDA_PREFIX,
 * the python3 beside the program, PATH. */
#ifndef ERSA_CONFIG_PYTHON_H
#define ERSA_CONFIG_PYTHON_H

#include "ersa/error.h"

/* Absolute path, or a name that PATH has; owned. `configured` (may be NULL or "") is taken as
 * it is when it can be run, an error else. `ret_source` (may be NULL) says who chose it:
 * "configured",
 * "$VIRTUAL_ENV", "$CONDA_PREFIX", "beside the program", "$PATH"; static. ERSA_ENOENT,
 * ERSA_ENOMEM. */
int python_find(const char *configured, char **ret_path, const char **ret_source,
                struct ersa_error *err);

#endif
