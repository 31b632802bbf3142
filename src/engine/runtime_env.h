/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment that a runtime is started with (docs/protocol/runtime.md 1, 6;
 * engine.md 1.4). */
#ifndef ERSA_ENGINE_RUNTIME_ENV_H
#define ERSA_ENGINE_RUNTIME_ENV_H

/* Ours with the channel's descriptor, and `python_dir` (may be NULL) in front of PYTHONPATH;
 * owned, NULL when out of memory. */
char **runtime_env(const char *python_dir, int channel_fd);
void runtime_env_free(char **env);

#endif
