/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests that measure the memory of their own process. Sanitizers keep memory of their own
 * beside it: there it says nothing. */
#ifndef ERSA_UTIL_RESIDENT_RIG_H
#define ERSA_UTIL_RESIDENT_RIG_H

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_MEASURABLE 0
#elif defined(__has_feature)
#define IS_MEASURABLE (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define IS_MEASURABLE 1
#endif

/* Octets; 0 where the system does not tell. */
static inline size_t resident_bytes(void)
{
    unsigned long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &pages, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
