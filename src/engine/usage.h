/* SPDX-License-Identifier: BSD-3-Clause */
/* What `usage_request` asks for, in the terms of psutil that its clients expect. */
#ifndef ERSA_ENGINE_USAGE_H
#define ERSA_ENGINE_USAGE_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

/* Content of the reply about these processes; a new reference. CPU times are relative to the
 * last call (0 in the first). */
json_t *usage_content(const pid_t *pids, size_t n);

#endif
