/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: a monotonic clock for everything that waits, and dates for the wire. */
#ifndef ERSA_UTIL_CLOCK_H
#define ERSA_UTIL_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_ns(void);
static inline int64_t clock_mono_ms(void)
{
    return clock_mono_ns() / 1000000;
}
/* Microseconds since 1970, UTC. */
int64_t clock_utc_us(void);

#define CLOCK_ISO_MAX 33 /* with NUL */
/* Writes "YYYY-MM-DDTHH:MM:SS.ffffffZ" (always with its fraction); returns its length.
 * The seconds' part is cached per thread: no calendar work within one second. Years 0000 to
 * 9999; before and after, the first and the last moment of these. */
size_t clock_iso(int64_t utc_us, char out[CLOCK_ISO_MAX]);
/* Parses an ISO date of wire.md 5 (no zone: local time). Returns 0 or ERSA_EPARSE, also for
 * what clock_iso() couldn't write. */
int clock_parse_iso(const char *s, size_t len, int64_t *ret_utc_us);

#endif
