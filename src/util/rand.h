/* SPDX-License-Identifier: BSD-3-Clause */
/* Random octets from the system, and the session ids made of them. */
#ifndef ERSA_UTIL_RAND_H
#define ERSA_UTIL_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Fills `out` from getrandom(); aborts where the system has no randomness to give. */
void rand_bytes(void *out, size_t len);
/* Fast generator for choices that need not be secret (seeded from rand_bytes per thread). */
uint64_t rand_u64(void);

#define RAND_SESSION_ID_LEN 33
/* 16 random octets as 8 + '-' + 24 lower-case hex digits, NUL-terminated (wire.md 5). */
void rand_session_id(char out[RAND_SESSION_ID_LEN + 1]);

#endif
