/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a process ended, in one sentence (extensions.md 5): exit code or signal, the cgroup's
 * out-of-memory counter, peak memory. */
#ifndef ERSA_ENGINE_DEATH_H
#define ERSA_ENGINE_DEATH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* How many processes of our cgroup were killed for memory so far; 0 where nobody counts. */
uint64_t death_oom_count(void);

/* "killed by signal 9 (SIGKILL), out of memory in its cgroup, peak memory 3.1 GB". */
void death_sentence(char *out, size_t cap, int status, const struct rusage *usage,
                    uint64_t oom_kills);
/* What ipengine ends with when its runtime ended so: its exit code, or 128 + signal. */
int death_exit_code(int status);

#endif
